"""The command line's `assay sandbox`: parses, calls, prints; no logic."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

Option = Callable[[Callable[..., Any]], Callable[..., Any]]


def add_to(main: click.Group, friendly: Option, as_json: Option, runtime: Option) -> None:
    """Add the group to the program, with the options that it shares with the other commands."""

    @main.group()
    def sandbox() -> None:
        """Where model-written code is run: images, cells, and proof that hostile code is held."""

    @sandbox.command()
    @click.argument("images", nargs=-1, type=click.Choice(["core", "bigcodebench"]))
    @click.option(
        "--base",
        type=click.Choice(["auto", "hub", "debian"]),
        default="auto",
        show_default=True,
        help="Python from the registry, or from Debian's archive (needs mmdebstrap); auto tries both.",
    )
    @click.option("--ca-bundle", type=click.Path(path_type=Path), help="Certificates (PEM) for a TLS-inspecting proxy.")
    @click.option("--build-network", help="Network of the build steps, such as host.")
    @click.option(
        "--nltk-data", type=click.Path(path_type=Path), help="Folder of NLTK corpora to put into bigcodebench's image."
    )
    @click.option(
        "--truth/--no-truth", default=True, show_default=True, help="Run the benchmarks' own solutions in it."
    )
    @click.option("--force", is_flag=True, help="Build it again.")
    @click.option("-v", "--verbose", is_flag=True, help="Show the build's steps.")
    @friendly
    def build(images: Sequence[str], **options: Any) -> None:
        """Build images, all of them by default: core (HumanEval+, MBPP+), bigcodebench (3 GB)."""
        from assay.harness import sandboxes

        sys.exit(sandboxes.build_images(images, options))

    @sandbox.command()
    @as_json
    @friendly
    def status(as_json: bool) -> None:
        """Show the engine, the images and the cells that run."""
        from assay.harness import sandboxes

        found = sandboxes.status(as_json)
        if as_json:
            click.echo(json.dumps(found, indent=1))

    @sandbox.command()
    @click.argument("kinds", nargs=-1, type=click.Choice(["calls", "tests", "machine"]))
    @runtime
    @as_json
    @friendly
    def check(kinds: Sequence[str], runtime: str, as_json: bool) -> None:
        """Run the hostile corpus, some minutes: no attack may pass a benchmark or harm the next program."""
        from assay.harness import sandboxes

        code, rows = sandboxes.check(kinds, runtime, as_json)
        if as_json:
            click.echo(json.dumps(rows, indent=1))
        sys.exit(code)

    @sandbox.command()
    @friendly
    def sweep() -> None:
        """Remove the cells that killed runs have left. Every run does this when it starts."""
        from assay.harness import sandboxes

        click.echo(f"{sandboxes.sweep()} cells removed")
