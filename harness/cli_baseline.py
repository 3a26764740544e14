"""The command line's `assay baseline`: parses, calls, prints; no logic."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from assay.tasks.registry import open_registry
from assay.tasks.types import UserError

Option = Callable[[Callable[..., Any]], Callable[..., Any]]

baselines_option = click.option(
    "--baselines",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("baselines"),
    show_default=True,
    envvar="ASSAY_BASELINES",
    help="Folder of baselines, in your git.",
)


def add_to(main: click.Group, friendly: Option, store_option: Option, tasks_dir: Option) -> None:
    """Add the group to the program, with the options that it shares with the other commands."""

    @main.group()
    def baseline() -> None:
        """Runs that checkpoints are judged by: small files, for your git and its review."""

    @baseline.command()
    @click.argument("run_name", metavar="RUN")
    @click.option("--as", "name", required=True, help="The baseline's name, such as main.")
    @click.option("--reason", required=True, help="Why this run; kept, and shown to reviewers.")
    @click.option("--by", default="", help="Who answers for it; by default git's user.name, else $USER.")
    @click.option(
        "--again", metavar="RUN2", help="A second run of the same weights: where both differ is the noise of measuring."
    )
    @click.option("--yes", is_flag=True, help="Don't ask.")
    @store_option
    @baselines_option
    @tasks_dir
    @friendly
    def promote(run_name: str, store: Path, folder: Path, again: str | None, yes: bool, **said: Any) -> None:
        """Make RUN the baseline of a name. Shows what that changes, and asks; the diff in git is for others to review.

        Refused: a run that is unfinished, has a task without a number or without samples, or lost samples to the
        machine.
        """
        from assay.harness import facts
        from assay.harness import store as runs
        from assay.harness.gating import baseline_views, baselines, repository, snapshots

        known, registry = facts.read(store), open_registry(said["tasks_dirs"])
        run = runs.read_run(runs.find_run(store, run_name))
        snapshot = snapshots.of_run(run, known, registry)
        second = snapshots.of_run(runs.read_run(runs.find_run(store, again)), known, registry) if again else None
        baselines.demand_sound(run, snapshot)
        try:
            old = baselines.read(folder, said["name"])
        except baselines.BaselineDamaged as error:
            click.echo(f"assay: replaces a damaged one: {error}", err=True)
            old = None
        except baselines.BaselineMissing:
            old = None
        click.echo(baseline_views.changes(old, snapshot))
        if not yes:
            _ask(f"write this to {folder / said['name']}?")
        by = said["by"] or repository.author()
        path = baselines.promote(run, snapshot, folder, said["name"], said["reason"], by, second)
        click.echo(f"assay: wrote {path}: commit it, and let someone review it", err=True)

    @baseline.command()
    @click.argument("name")
    @baselines_option
    @friendly
    def show(name: str, folder: Path) -> None:
        """One baseline: who made it, of which run, why, and its numbers. Every hash of it is checked."""
        from assay.harness.gating import baseline_views, baselines

        click.echo(baseline_views.shown(baselines.load(folder, name)))

    @baseline.command("list")
    @baselines_option
    @friendly
    def list_(folder: Path) -> None:
        """All baselines of a folder. Every hash of them is checked."""
        from assay.harness.gating import baseline_views, baselines

        found = {}
        for name in baselines.names(folder):
            try:
                found[name] = baselines.load(folder, name)
            except UserError as error:
                click.echo(f"assay: left out: {error}", err=True)
        click.echo(baseline_views.listed(found) if found else f"no baselines in {folder}")


def _ask(question: str) -> None:
    """Go on only if someone says so.

    Raises:
        UserError: nobody is there to ask.
    """
    if not sys.stdin.isatty():
        raise UserError("nobody is there to ask: pass --yes to write the baseline")
    click.confirm(question, abort=True, err=True)
