"""The command line's `assay reindex`, `assay board` and `assay demo`: parses, calls, prints; no logic."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from assay.harness import exits
from assay.tasks.registry import open_registry
from assay.tasks.types import UserError

Option = Callable[[Callable[..., Any]], Callable[..., Any]]


def add_to(main: click.Group, friendly: Option, store_option: Option, tasks_dir: Option) -> None:
    """Add the commands to the program, with the options that they share with the others."""

    @main.command()
    @store_option
    @tasks_dir
    @friendly
    def reindex(store: Path, tasks_dirs: Sequence[Path]) -> None:
        """Make the index that the site reads equal to the store: new and changed runs, and those that are gone.

        The index is index.sqlite in the store, or the database that $ASSAY_INDEX names (postgresql://...).
        """
        sys.exit(exits.PARTIAL if _sync(store, tasks_dirs) else exits.OK)

    @main.command()
    @store_option
    @click.option("--port", default=8501, show_default=True, type=click.IntRange(1, 65535), help="To listen on.")
    @click.option(
        "--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for the whole network."
    )
    @click.option("--no-index", is_flag=True, help="Don't bring the index up to date first: the store is read-only.")
    @tasks_dir
    @friendly
    def board(store: Path, port: int, host: str, no_index: bool, tasks_dirs: Sequence[Path]) -> None:
        """The leaderboard in a browser, over a store's runs. It reads, and never runs or writes anything."""
        missing = [name for name in ("streamlit", "altair", "pandas") if importlib.util.find_spec(name) is None]
        if missing:
            raise UserError(f"the board needs {', '.join(missing)}: pip install 'assay-evals[board]'")
        if not no_index:
            _sync(store, tasks_dirs)
        site = importlib.util.find_spec("assay.leaderboard.app")
        if site is None or site.origin is None:
            raise UserError("the board is not installed: pip install 'assay-evals[board]'")
        os.environ["ASSAY_STORE"] = str(store.resolve())
        os.environ["ASSAY_TASKS_DIRS"] = os.pathsep.join(str(d.resolve()) for d in tasks_dirs)
        click.echo(f"assay: the board of {store} at http://{host}:{port} (Ctrl-C ends it)", err=True)
        where = ("--server.port", str(port), "--server.address", host)
        module = (sys.executable, "-P", "-m", "assay.leaderboard")  # -P: nothing of this folder
        os.execv(sys.executable, (*module, "run", site.origin, *where))  # noqa: S606 - our own program

    @main.command()
    @click.option(
        "--folder",
        type=click.Path(file_okay=False, path_type=Path),
        default=Path("demo"),
        show_default=True,
        help="Where the toy checkpoints and runs go.",
    )
    @click.option(
        "--published", type=click.Path(exists=True, path_type=Path), help="DCLM's published results, for the board."
    )
    @friendly
    def demo(folder: Path, published: Path | None) -> None:
        """Train three toy checkpoints on our own text, measure them, show that later ones are better."""
        from assay.harness import demo as demos

        demos.main(folder, published)


def _sync(store: Path, tasks_dirs: Sequence[Path]) -> int:
    """Bring the index up to date and say what was done; how many runs could not be read."""
    from tqdm import tqdm

    from assay.harness.index import Index
    from assay.harness.interchange.imported import plain

    if not store.is_dir():
        raise UserError(f"no folder {store}: measure something (assay run ... --store {store}), or try: make demo")
    with tqdm(desc="reading", unit=" runs", file=sys.stderr, disable=None) as bar:
        done = Index(store, open_registry(tasks_dirs)).sync(lambda _: bar.update())
    for run, why in done.left_out.items():
        click.echo(f"assay: left out {plain(run)}: {plain(why, 1_000)}", err=True)
    total = done.unchanged + len(done.added)
    click.echo(f"{total} runs in the index: {len(done.added)} read, {len(done.removed)} forgotten", err=True)
    return len(done.left_out)
