"""The command line's `assay export` and `assay import`: parses, calls, prints; no logic."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from assay.tasks.registry import open_registry
from assay.tasks.types import UserError

Option = Callable[[Callable[..., Any]], Callable[..., Any]]


def add_to(main: click.Group, friendly: Option, store_option: Option, tasks_dir: Option) -> None:
    """Add the commands to the program, with the options that they share with the others."""

    @main.command("export")
    @click.argument("run_name", metavar="RUN")
    @click.argument("form", metavar="FORMAT", type=click.Choice(list(EXPORTS)))
    @click.option("--out", type=click.Path(path_type=Path), help="lm-eval, every-eval-ever: folder. Others: file.")
    @click.option("--task", "tasks", multiple=True, help="Only this task; may be given again.")
    @click.option("--i-know", is_flag=True, help="feedback: export test data, on which nothing may be trained.")
    @store_option
    @tasks_dir
    @friendly
    def export(run_name: str, form: str, store: Path, tasks_dirs: Sequence[Path], **options: Any) -> None:
        """Write a run for another tool.

        FORMAT is lm-eval (its results JSON and samples, below --out, default: lm-eval), every-eval-ever (aggregate and
        samples, below --out/data, default: every-eval-ever), dclm (one evaluation's JSON), csv or parquet (a row a
        task, a row a composite; parquet's default is RUN.parquet), citation (BibTeX and CITATION.cff), feedback
        (prompt, completion and reward of every written answer; refused for test data). What is no folder goes to --out
        or standard output.
        """
        from assay.harness import store as runs

        found = runs.read_run(runs.find_run(store, run_name))
        EXPORTS[form](found, open_registry(tasks_dirs), **options)

    @main.command("import")
    @click.argument("form", metavar="FORMAT", type=click.Choice(list(IMPORTS)))
    @click.argument("path", type=click.Path(path_type=Path))
    @click.option("--models", type=click.Path(path_type=Path), help="dclm: folder of its models JSON.")
    @click.option("--database", type=click.Path(path_type=Path), help="dclm: CSV of its models.")
    @store_option
    @friendly
    def import_(form: str, path: Path, store: Path, **options: Path | None) -> None:
        """Read another tool's results into a store. Prints the id of each run.

        FORMAT is lm-eval (a results JSON or a folder of them, samples beside them), dclm (an evaluation's JSON, a
        folder of them, or the root of DCLM's repository, whose models JSON and database are then read too), evalplus,
        bigcodebench or human-eval (a result file or a folder of them), or evalplus-leaderboard (its results.json).
        """
        from assay.harness.interchange import imported

        given = {k: v for k, v in options.items() if v}
        if given and form != "dclm":
            raise UserError(f"--{next(iter(given))} belongs to dclm: leave it out")
        runs = []
        for found in IMPORTS[form](path, **given):
            run = imported.save(found, store)
            runs.append(run)
            click.echo(run.plan.run_id)
            sampled = sum(bool(r.samples_sha256) for r in run.results.values())
            click.echo(f"kept in {run.path}: {len(run.results)} tasks, {sampled} with samples", err=True)
        _index(runs, store)


def _index(runs: Sequence[Any], store: Path) -> None:
    """Show the runs to the site. That they can't be shown spoils nothing."""
    try:
        from assay.harness.index import Index

        index = Index(store, open_registry())
        for run in runs:
            index.record(run)
    except Exception as error:  # whatever it is, the runs are kept
        click.echo(f"assay: not in the site's index: {error}; later: assay reindex", err=True)


def _from_lm_eval(path: Path) -> Iterable[Any]:
    from assay.harness.interchange import import_lm_eval

    return import_lm_eval.read_all(path)


def _from_dclm(path: Path, models: Path | None = None, database: Path | None = None) -> Iterable[Any]:
    from assay.harness.interchange import import_dclm

    return import_dclm.read_all(path, models, database)


def _from_code(tool: str, path: Path) -> Iterable[Any]:
    from assay.harness.interchange import import_code

    return import_code.read_all(tool, path)


def _from_leaderboard(path: Path) -> Iterable[Any]:
    from assay.harness.interchange import import_leaderboard

    return import_leaderboard.read_all(path)


IMPORTS: dict[str, Callable[..., Iterable[Any]]] = {
    "lm-eval": _from_lm_eval,
    "dclm": _from_dclm,
    "evalplus": partial(_from_code, "evalplus"),
    "bigcodebench": partial(_from_code, "bigcodebench"),
    "human-eval": partial(_from_code, "human-eval"),
    "evalplus-leaderboard": _from_leaderboard,
}
"""Formats of `assay import`."""


def _lm_eval(run: Any, registry: Any, out: Path | None, tasks: Sequence[str], i_know: bool) -> None:
    from assay.harness.interchange import export_lm_eval

    del i_know
    done = export_lm_eval.save(run, registry, tasks, out or Path("lm-eval"))
    _say(done.notes)
    click.echo(str(done.folder))


def _every_eval_ever(run: Any, registry: Any, out: Path | None, tasks: Sequence[str], i_know: bool) -> None:
    from assay.harness.interchange import export_eee

    del i_know
    done = export_eee.save(run, registry, tasks, out or Path("every-eval-ever"))
    _say(done.notes)
    click.echo(str(done.path))


def _dclm(run: Any, registry: Any, out: Path | None, tasks: Sequence[str], i_know: bool) -> None:
    from assay.harness.interchange import export_dclm

    del i_know
    content, notes = export_dclm.encode(run, registry, tasks)
    _say(notes)
    _write(content, out)


def _csv(run: Any, registry: Any, out: Path | None, tasks: Sequence[str], i_know: bool) -> None:
    from assay.harness.interchange import export_table

    del registry, i_know
    _write(export_table.encode(run, tasks, "csv"), out)


def _parquet(run: Any, registry: Any, out: Path | None, tasks: Sequence[str], i_know: bool) -> None:
    from assay.harness.interchange import export_table

    del registry, i_know
    to = out or Path(f"{run.plan.run_id}.parquet")
    _write(export_table.encode(run, tasks, "parquet"), to)
    click.echo(str(to))


def _citation(run: Any, registry: Any, out: Path | None, tasks: Sequence[str], i_know: bool) -> None:
    from assay.harness.interchange import citation

    del registry, i_know
    _write(citation.of(run, tasks).encode(), out)


def _say(notes: Sequence[str]) -> None:
    for note in notes:
        click.echo(f"assay: {note}", err=True)


def _write(content: bytes, out: Path | None) -> None:
    """To a file, or to standard output."""
    from assay.harness import files

    if out is None:
        click.echo(content, nl=False)
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    files.write(out, content)


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


EXPORTS: dict[str, Callable[..., None]] = {
    "lm-eval": _lm_eval,
    "every-eval-ever": _every_eval_ever,
    "dclm": _dclm,
    "csv": _csv,
    "parquet": _parquet,
    "citation": _citation,
    "feedback": _feedback,
}
"""Formats of `assay export`."""
