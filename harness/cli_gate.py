"""The command line's `assay gate` and `assay compare`: parses, calls, prints; no logic."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import click

from assay.harness import exits
from assay.harness.cli_baseline import baselines_option
from assay.tasks.registry import open_registry
from assay.tasks.types import UserError

Option = Callable[[Callable[..., Any]], Callable[..., Any]]
FORMATS = ("text", "json", "md", "junit", "github")

gate_option = click.option(
    "--gate",
    "gate_file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("gate.yaml"),
    show_default=True,
    help="The rules (docs/gate.md).",
)


def add_to(main: click.Group, friendly: Option, store_option: Option, tasks_dir: Option) -> None:
    """Add the commands to the program, with the options that they share with the others."""

    @main.group()
    def gate() -> None:
        """Did this checkpoint get worse? 0 passes, 3 regressed, 4 inconclusive (where that fails), 5 not measured."""

    @gate.command()
    @click.option("--suite", required=True, help="Task, suite or glob, as assay run takes it.")
    @click.option("--use", default="pinned/main", show_default=True, help="The baseline (docs/gate.md).")
    @gate_option
    @store_option
    @tasks_dir
    @friendly
    def init(suite: str, use: str, gate_file: Path, store: Path, tasks_dirs: Sequence[Path]) -> None:
        """Write a gate.yaml for a suite, with margins that its items resolve."""
        from assay.harness.gating import commands

        click.echo(commands.init(suite, use, gate_file, store, open_registry(tasks_dirs)))

    @gate.command()
    @click.option("--accept-underpowered", is_flag=True, help="Exit with 0 even where a margin can't be resolved.")
    @gate_option
    @store_option
    @tasks_dir
    @friendly
    def plan(accept_underpowered: bool, gate_file: Path, store: Path, tasks_dirs: Sequence[Path]) -> None:
        """What this gate can see, task by task, before a GPU minute is spent; 2 where a margin is below that."""
        from assay.harness.gating import commands, config

        said, weak = commands.plan(config.load(gate_file), store, open_registry(tasks_dirs))
        click.echo(said)
        if weak and not accept_underpowered:
            raise UserError(
                f"{len(weak)} margins are below what their items resolve ({', '.join(weak[:3])}): raise them to the "
                "column 'least', put the task in tier warn or track, or pass --accept-underpowered"
            )

    @gate.command()
    @click.argument("run_name", metavar="RUN")
    @gate_option
    @store_option
    @baselines_option
    @click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True)
    @click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for every format at once.")
    @click.option("--link", default="", help="Address of a board, for links to Compare in the Markdown.")
    @click.option("--exit-zero", is_flag=True, help="Report only: a verdict never fails the build.")
    @click.option(
        "--exit-codes",
        type=click.Choice(["full", "simple"]),
        default="full",
        show_default=True,
        help="simple: 1 for any failure, for systems that know no other.",
    )
    @click.option("--strict", is_flag=True, help="JUnit: inconclusive is a failure, not skipped.")
    @tasks_dir
    @friendly
    def check(run_name: str, tasks_dirs: Sequence[Path], **options: Any) -> None:
        """Judge a run against its baseline. RUN is an id, a unique beginning of one, a path, or 'latest'."""
        from assay.harness.gating import commands

        code = commands.check(run_name, open_registry(tasks_dirs), date.today(), options)
        sys.exit(exits.OK if options["exit_zero"] else min(code, 1) if options["exit_codes"] == "simple" else code)

    @gate.command()
    @store_option
    @friendly
    def history(store: Path) -> None:
        """Every verdict over a store's runs, newest first, and how many false blocks so many would bring."""
        from assay.harness.gating import commands

        click.echo(commands.told(store))

    @main.command()
    @click.argument("base", metavar="A")
    @click.argument("other", metavar="B")
    @click.option("--alpha", default=0.05, show_default=True, type=click.FloatRange(0, 0.5, True, True), help="Level.")
    @click.option("--json", "as_json", is_flag=True, help="JSON on standard output.")
    @store_option
    @tasks_dir
    @friendly
    def compare(base: str, other: str, alpha: float, store: Path, tasks_dirs: Sequence[Path], as_json: bool) -> None:
        """Is run B better or worse than run A? A verdict, a table, and where the difference comes from.

        A and B are each an id, a unique beginning of one, a path, or 'latest'.
        """
        from assay.harness.gating import versus

        found = versus.compare(store, base, other, alpha, open_registry(tasks_dirs))
        if as_json:
            click.echo(json.dumps(versus.to_json(found), indent=1, ensure_ascii=True))
        else:
            click.echo(versus.text(found, store))
