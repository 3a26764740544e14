"""The command line's `assay export` and `assay import`: parses, calls, prints; no logic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from assay.tasks.registry import open_registry

Option = Callable[[Callable[..., Any]], Callable[..., Any]]


def add_to(main: click.Group, friendly: Option, store_option: Option, tasks_dir: Option) -> None:
    """Add the commands to the program, with the options that they share with the others."""

    @main.command("export")
    @click.argument("run_name", metavar="RUN")
    @click.argument("form", metavar="FORMAT", type=click.Choice(["lm-eval", "feedback"]))
    @click.option("--out", type=click.Path(path_type=Path), help="lm-eval: folder. feedback: .jsonl or .parquet file.")
    @click.option("--task", "tasks", multiple=True, help="Only this task; may be given again.")
    @click.option("--i-know", is_flag=True, help="feedback: export test data, on which nothing may be trained.")
    @store_option
    @tasks_dir
    @friendly
    def export(run_name: str, form: str, store: Path, tasks_dirs: Sequence[Path], **options: Any) -> None:
        """Write a run for another tool: FORMAT is lm-eval or feedback.

        lm-eval: its results JSON and samples, below --out (default: lm-eval). feedback: prompt, completion and reward
        of every written answer, to --out or standard output; refused for test data.
        """
        from assay.harness import store as runs

        found = runs.read_run(runs.find_run(store, run_name))
        {"lm-eval": _lm_eval, "feedback": _feedback}[form](found, open_registry(tasks_dirs), **options)

    @main.command("import")
    @click.argument("form", metavar="FORMAT", type=click.Choice(["lm-eval"]))
    @click.argument("path", type=click.Path(path_type=Path))
    @store_option
    @friendly
    def import_(form: str, path: Path, store: Path) -> None:
        """Read another tool's results into a store: FORMAT is lm-eval.

        PATH is a results JSON, or a folder of them, samples beside them. Prints the id of each run.
        """
        from assay.harness.interchange import import_lm_eval

        del form
        for file in import_lm_eval.find(path):
            run = import_lm_eval.save(import_lm_eval.read(file), store)
            click.echo(run.plan.run_id)
            sampled = sum(bool(r.samples_sha256) for r in run.results.values())
            click.echo(f"kept in {run.path}: {len(run.results)} tasks, {sampled} with samples", err=True)


def _lm_eval(run: Any, registry: Any, out: Path | None, tasks: Sequence[str], i_know: bool) -> None:
    from assay.harness.interchange import export_lm_eval

    del i_know
    done = export_lm_eval.save(run, registry, tasks, out or Path("lm-eval"))
    for note in done.notes:
        click.echo(f"assay: {note}", err=True)
    click.echo(str(done.folder))


def _feedback(run: Any, registry: Any, out: Path | None, tasks: Sequence[str], i_know: bool) -> None:
    from assay.harness.interchange import feedback

    found = feedback.collect(run, registry, tasks, test_data=i_know)
    if out is None:
        for line in feedback.json_lines(found):
            click.echo(line)
    else:
        feedback.save(found, out)
    for why, number in found.left_out.items():
        click.echo(f"assay: left out {number} of {why}", err=True)
    click.echo(f"{len(found.rows)} answers, {sum(r['reward'] for r in found.rows)} right", err=True)
