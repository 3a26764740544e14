"""The command line: parses, calls, prints; no logic.

Exit codes: 0 done; 1 a bug of ours; 2 usage, or input that must be mended; 5 done in part: some task has no score
(no data, an infra error), or the machine failed; run the same command again; 130 interrupted.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import click

from assay.harness import (
    __version__,
    cli_baseline,
    cli_board,
    cli_data,
    cli_exchange,
    cli_gate,
    cli_sandbox,
    cli_submit,
    cli_watch,
    exits,
)
from assay.harness.cli_models import model_options
from assay.sandbox.types import SandboxUnavailable
from assay.tasks.registry import open_registry
from assay.tasks.types import UserError

tasks_dir = click.option(
    "--tasks-dir",
    "tasks_dirs",
    multiple=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder with your own task specs (docs/add-a-task.md); may be given again.",
)
store_option = click.option(
    "--store",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("runs"),
    show_default=True,
    envvar="ASSAY_STORE",
    help="Folder of run directories.",
)
offline_option = click.option("--offline", is_flag=True, envvar="ASSAY_OFFLINE", help="Never touch the network.")
as_json = click.option("--json", "as_json", is_flag=True, help="JSON on standard output.")
cells_option = click.option(
    "--cells",
    default=0,
    type=click.IntRange(0),
    help="Code: containers that work at a time; by default one more than cores, three a core for BigCodeBench.",
)
runtime_option = click.option(
    "--runtime", default="", envvar="ASSAY_RUNTIME", help="Code: the engine's runtime, such as runsc (gVisor)."
)


def _friendly(command: Callable[..., Any]) -> Callable[..., Any]:
    """A user's error is one line and exit code 2; the machine's says what is safe and how to go on."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except UserError as error:
            click.echo(f"assay: {error}", err=True)
            sys.exit(exits.PARTIAL if error.passing else exits.USAGE)
        except SandboxUnavailable as error:
            click.echo(f"assay: {error}", err=True)
            sys.exit(exits.PARTIAL)
        except BrokenPipeError:
            raise  # `assay ... | head`: click ends quietly
        except OSError as error:
            where = f" {error.filename}:" if error.filename else ""
            safe = ". Nothing answered is lost: mend this (free space, say) and run the same command again"
            running = click.get_current_context().info_name == "run"
            click.echo(f"assay:{where} {error.strerror or error}{safe if running else ''}", err=True)
            sys.exit(exits.PARTIAL)
        except KeyboardInterrupt:
            click.echo("\nassay: interrupted. Every journaled answer is kept: the same command resumes", err=True)
            sys.exit(exits.INTERRUPTED)

    return wrapped


def _emit(value: Any) -> None:
    click.echo(json.dumps(value, indent=1, ensure_ascii=False))


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=(__doc__ or "").split("\n\n")[1],
)
@click.version_option(__version__, prog_name="assay")
def main() -> None:
    r"""How good is this checkpoint, really?

    \b
      assay list suites                            what can be measured
      assay run dclm-core --model hf:PATH          measure it; again to resume
      assay run demo --model 'hf:ckpts/step-*'     a series of checkpoints, side by side
      assay show latest                            the numbers, with intervals
      assay samples latest TASK --wrong            what it got wrong
      assay compare A B                            is B better, or worse?
      assay gate check latest                      may this checkpoint pass?
      assay doctor                                 what works on this machine
    """


@main.command("list")
@click.argument("what", type=click.Choice(["tasks", "suites"]))
@tasks_dir
@as_json
@_friendly
def list_(what: str, tasks_dirs: Sequence[Path], as_json: bool) -> None:
    """Show what can be measured: every task, or every suite (a named list of tasks)."""
    registry = open_registry(tasks_dirs)
    if as_json:
        from dataclasses import asdict

        rows = registry.tasks if what == "tasks" else registry.suites
        _emit([asdict(row) for row in rows.values()])
    else:
        from assay.harness import views

        click.echo(views.tasks(registry) if what == "tasks" else views.suites(registry))


@main.command()
@click.argument("names", nargs=-1, required=True, metavar="TASK_OR_SUITE...")
@click.option(
    "--model",
    "models",
    multiple=True,
    required=True,
    help="hf:FOLDER, hf:OWNER/NAME@REVISION, a quoted glob of folders ('hf:ckpts/step-*'), vllm:, sglang:, "
    "openai-completions:URL#MODEL, openai-chat:URL#MODEL, lm_eval:TYPE?args (docs/backends.md), or a fake: oracle, "
    "corrupted:SHARE, random:SEED, constant, replay:FILE. May be given again.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help="A sample of N rows of each task (of each category), the same for every model.",
)
@click.option("--docs", help="Rows A to B-1 of each category, as A:B; prompts are those of the full run.")
@store_option
@click.option("--name", help="Run id, instead of the checkpoint's label and a hash.")
@model_options
@cells_option
@runtime_option
@click.option("--fresh", is_flag=True, help="Throw away what this run has and start anew.")
@offline_option
@click.option("--yes", is_flag=True, help="Don't ask before throwing a run away.")
@tasks_dir
@_friendly
def run(names: Sequence[str], models: Sequence[str], **options: Any) -> None:
    """Measure checkpoints. The same command again resumes: nothing answered is asked twice.

    Every sample is kept in the run directory. A task without data is reported and the rest runs; a composite that
    needs it is N/A, never a partial mean.
    """
    from assay.harness import commands

    sys.exit(commands.run(names, models, options))


@main.command()
@click.argument("run_name", metavar="RUN")
@store_option
@cells_option
@runtime_option
@tasks_dir
@_friendly
def grade(run_name: str, store: Path, **options: Any) -> None:
    """Run a run's kept programs again, without its model: after a change of image, say, or where Docker was missing."""
    from assay.harness import commands
    from assay.harness import store as runs

    sys.exit(commands.grade(runs.find_run(store, run_name), options))


@main.command()
@click.argument("run_name", metavar="RUN")
@store_option
@as_json
@_friendly
def show(run_name: str, store: Path, as_json: bool) -> None:
    """One run's numbers. RUN is an id, a unique beginning of one, a path, or 'latest'."""
    from assay.harness import records, views
    from assay.harness import store as runs

    found = runs.read_run(runs.find_run(store, run_name))
    if as_json:
        results = {t: records.to_json(r) for t, r in found.results.items()}
        _emit(
            {
                "plan": records.to_json(found.plan),
                "complete": found.complete,
                "tasks": results,
                "composites": found.composites,
            }
        )
    else:
        click.echo(views.run(found))


@main.command()
@click.argument("run_name", metavar="RUN")
@click.argument("task")
@click.option("--wrong", is_flag=True, help="Only samples that are not right.")
@store_option
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="JSON Lines (what this prints is JSON Lines either way).",
)
@_friendly
def samples(run_name: str, task: str, wrong: bool, store: Path, as_json: bool) -> None:
    """Every sample of a task as JSON Lines: options, prediction, target, verdict, response."""
    from assay.harness import records
    from assay.harness import store as runs

    del as_json
    found = runs.read_run(runs.find_run(store, run_name))
    for row in found.samples(task).to_pylist():
        if not (wrong and row["correct"]):
            click.echo(records.sample_json(task, row))


@main.command()
@store_option
@as_json
@_friendly
def runs(store: Path, as_json: bool) -> None:
    """All runs of a store, oldest first."""
    from assay.harness import records, views
    from assay.harness import store as stored

    found = []
    for path in stored.list_runs(store):
        try:
            found.append(stored.peek_run(path))
        except UserError as error:
            click.echo(f"assay: left out: {error}", err=True)
    if as_json:
        _emit([{"plan": records.to_json(r.plan), "complete": r.complete} for r in found])
    else:
        click.echo(views.runs(found) if found else f"no runs in {store}")


@main.command()
@click.argument("task")
@click.option("--doc", default="0", show_default=True, help="Row, or category/row.")
@click.option("--model", default="oracle", show_default=True, help="Whose tokenizer: as for run.")
@offline_option
@tasks_dir
@as_json
@_friendly
def preview(task: str, doc: str, model: str, offline: bool, tasks_dirs: Sequence[Path], as_json: bool) -> None:
    """The exact prompt, and token ids, of one document."""
    from assay.harness import commands
    from assay.harness.backends.base import ModelOptions, open_backend

    backend = open_backend(model, ModelOptions(offline=offline))
    commands.preview(open_registry(tasks_dirs), task, doc, backend, as_json)


cli_data.add_to(main, _friendly, as_json, tasks_dir, store_option, offline_option)
cli_sandbox.add_to(main, _friendly, as_json, runtime_option)
cli_exchange.add_to(main, _friendly, store_option, tasks_dir)
cli_board.add_to(main, _friendly, store_option, tasks_dir)
cli_submit.add_to(main, _friendly, as_json, tasks_dir)
cli_baseline.add_to(main, _friendly, store_option, tasks_dir)
cli_gate.add_to(main, _friendly, store_option, tasks_dir)
cli_watch.add_to(main, _friendly, store_option, tasks_dir, cells_option, runtime_option, offline_option)
