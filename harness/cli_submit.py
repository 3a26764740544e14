"""The command line's `assay submit`: parses, calls, prints; no logic."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from assay.harness import exits
from assay.tasks.registry import open_registry

Option = Callable[[Callable[..., Any]], Callable[..., Any]]


def add_to(main: click.Group, friendly: Option, as_json: Option, tasks_dir: Option) -> None:
    """Add the group to the program, with the options that it shares with the other commands."""

    @main.group()
    def submit() -> None:
        """Results for the leaderboard, by pull request."""

    @submit.command()
    @click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
    @tasks_dir
    @as_json
    @friendly
    def validate(folder: Path, tasks_dirs: Sequence[Path], as_json: bool) -> None:
        """Recompute every number of the runs in DIR from their samples, and say what doesn't hold; exit code 2 then.

        DIR holds run folders as assay run wrote them, or is one. Nothing is written.
        """
        from assay.harness import submission, views

        found = submission.validate(folder, open_registry(tasks_dirs))
        if as_json:
            click.echo(json.dumps([asdict(f) for f in found], indent=1, ensure_ascii=False))
        else:
            rows = ((f.level.upper() if f.level == "fail" else f.level, f.where, f.what, f.remedy) for f in found)
            click.echo(views.columns(("", "where", "what", "remedy"), rows))
        sys.exit(exits.USAGE if any(f.level == "fail" for f in found) else exits.OK)
