"""The command line's `assay data` and `assay doctor`: parses, calls, prints; no logic."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from assay.harness import cli_models, exits
from assay.tasks.registry import Registry, open_registry

Option = Callable[[Callable[..., Any]], Callable[..., Any]]


def add_to(
    main: click.Group, friendly: Option, as_json: Option, tasks_dir: Option, store_option: Option, offline: Option
) -> None:
    """Add the commands to the program, with the options that it shares with the other commands."""

    @main.group()
    def data() -> None:
        """Benchmark files: what is here, and how to get the rest."""

    @data.command()
    @click.argument("names", nargs=-1, metavar="[TASK_OR_SUITE...]")
    @tasks_dir
    @as_json
    @friendly
    def status(names: Sequence[str], tasks_dirs: Sequence[Path], as_json: bool) -> None:
        """Which files are present and right, where, under what licence, and what is missing."""
        from assay.harness import commands_data

        sys.exit(commands_data.status(_chosen(open_registry(tasks_dirs), names), as_json))

    @data.command()
    @click.argument("names", nargs=-1, required=True, metavar="TASK_OR_SUITE...")
    @tasks_dir
    @friendly
    def fetch(names: Sequence[str], tasks_dirs: Sequence[Path]) -> None:
        """Download into the cache ($ASSAY_CACHE); resumed, retried, verified. What is here already is kept."""
        from assay.harness import commands_data

        sys.exit(commands_data.fetch(_chosen(open_registry(tasks_dirs), names)))

    @main.command()
    @click.option(
        "--numerics",
        "model",
        metavar="MODEL",
        help="Measure instead how much this hf: model's scores depend on how requests are packed.",
    )
    @cli_models.dtype
    @cli_models.device
    @offline
    @store_option
    @tasks_dir
    @as_json
    @friendly
    def doctor(model: str | None, store: Path, tasks_dirs: Sequence[Path], as_json: bool, **how: Any) -> None:
        """What works on this machine, and what to do about the rest.

        --numerics asks a model in float32, in bfloat16 and in --dtype; exit code 1 when ways of asking differ by more
        than the dtype's rounding explains.
        """
        from assay.harness import doctor as doctors
        from assay.harness import views

        if model:
            sys.exit(_numerics(model, how, as_json))
        findings = list(doctors.examine(open_registry(tasks_dirs), store))
        if as_json:
            click.echo(json.dumps([asdict(f) for f in findings], indent=1, ensure_ascii=False))
        else:
            rows = (("ok" if f.ok else "NO", f.what, f.found, f.remedy) for f in findings)
            click.echo(views.columns(("", "what", "found", "remedy"), rows))


def _numerics(model: str, how: dict[str, Any], as_json: bool) -> int:
    from assay.harness import numerics
    from assay.harness.backends.base import ModelOptions

    found = numerics.measure(model, ModelOptions(**how))
    click.echo(json.dumps([asdict(x) | {"ok": x.ok} for x in found], indent=1) if as_json else numerics.table(found))
    return exits.OK if all(x.ok for x in found) else exits.BUG


def _chosen(registry: Registry, names: Sequence[str]) -> list[Any]:
    return registry.select(names) if names else list(registry.tasks.values())
