"""What the commands do that is more than one call."""

from __future__ import annotations

import gc
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from assay.harness import exits, runner, session, store, views
from assay.harness.backends.base import Backend, BackendError, ModelOptions, open_backend
from assay.harness.backends.kept import Kept
from assay.harness.grading import Grading
from assay.harness.records import Plan
from assay.tasks import datasets, download, render
from assay.tasks.registry import Registry, open_registry
from assay.tasks.render import DocRange
from assay.tasks.spec import TaskSpec
from assay.tasks.types import Greedy, LogLikelihood, UserError


class Bar:
    """Progress on standard error: rate and time left, one bar a task."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._task = ""
        self._bar: tqdm[Any] | None = None

    def __call__(self, task: str, done: int, total: int) -> None:
        """Show that `done` of `total` documents of `task` are scored."""
        if task != self._task or self._bar is None:
            self.close()
            self._task = task
            self._bar = tqdm(total=total, desc=f"{self._label} {task}", unit="doc", file=sys.stderr, disable=None)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """Leave the last bar as it stands."""
        if self._bar is not None:
            self._bar.close()


def run(names: Sequence[str], models: Sequence[str], options: Mapping[str, Any]) -> int:
    """Measure every model on the chosen tasks; the exit code."""
    registry = open_registry(options["tasks_dirs"])
    specs = session.with_draws(registry.select(names), session.parse_draws(options))
    refs = session.expand_models(models)
    docs, model_options = _checked(options, refs)
    for missing in session.fetch_missing(specs, offline=options["offline"]):
        click.echo(f"assay: no data for {missing.task}: {missing.reason}", err=True)
    failed: list[str] = []
    planned = []
    asked = {k: str(v) if isinstance(v, Path) else v for k, v in options.items() if k != "tasks_dirs"}
    for ref in refs:
        with _going_on(failed, alone=len(refs) == 1):
            backend = open_backend(ref, model_options)
            planned.append((backend, session.make_plan(specs, docs, backend, options["name"], asked)))
    _confirm_fresh(options, [plan for _, plan in planned])
    finished = []
    cache = runner.Rendered(runner.CACHED_IDS if len(planned) > 1 else 0)
    with Grading(cells=options["cells"], runtime=options["runtime"]) as grading:
        while planned:
            with _going_on(failed, alone=len(refs) == 1):
                finished.append(_run_one(registry, specs, docs, *planned.pop(0), options, cache, grading))
            gc.collect()  # a checkpoint's weights must be gone before the next one's are loaded
    if finished:
        click.echo(views.run(finished[0]) if len(refs) == 1 else views.series(finished))
    for r in finished:
        click.echo(f"kept in {r.path}", err=True)
    for message in failed:
        click.echo(f"assay: not measured: {message}", err=True)
    scored = all(x.value is not None for r in finished for x in r.results.values())
    return exits.OK if scored and not failed else exits.PARTIAL


def _checked(options: Mapping[str, Any], refs: Sequence[str]) -> tuple[DocRange, ModelOptions]:
    """What click can't check."""
    try:
        docs = session.parse_docs(options["docs"], options["limit"])
    except ValueError as error:
        raise UserError(str(error)) from None
    name = options["name"]
    if name and not re.fullmatch(r"(?!latest$)\w[\w.-]{0,99}", name):
        raise UserError(f"--name {name}: it names a folder: up to 100 letters, digits, '.', '_', '-'; not 'latest'")
    if name and len(refs) > 1:
        raise UserError(f"--name names one run, but {len(refs)} models were given: leave it out")
    return docs, ModelOptions(
        batch_size=_batch_size(options["batch_size"]),
        device=options["device"],
        dtype=options["dtype"],
        offline=options["offline"],
    )


@contextmanager
def _going_on(failed: list[str], *, alone: bool) -> Iterator[None]:
    """One bad checkpoint does not end a series: its error is noted, and raised only when it stands alone."""
    try:
        yield
    except BackendError as error:
        if alone:
            raise
        failed.append(str(error))


def _confirm_fresh(options: Mapping[str, Any], plans: Sequence[Plan]) -> None:
    """Ask once, before anything is measured, whether runs may be thrown away."""
    doomed = [p for p in (options["store"] / plan.run_id for plan in plans) if (p / "plan.json").is_file()]
    if options["fresh"] and doomed and not options["yes"]:
        click.confirm(f"throw away what {', '.join(map(str, doomed))} holds?", abort=True, err=True)


def _run_one(
    registry: Registry,
    specs: Sequence[TaskSpec],
    docs: DocRange,
    backend: Backend,
    plan: Plan,
    options: Mapping[str, Any],
    cache: runner.Rendered,
    grading: Grading,
) -> store.Run:
    with store.RunWriter(options["store"], plan, fresh=options["fresh"]) as out:
        bar = Bar(plan.checkpoint.label)
        try:
            runner.run(registry, specs, docs, backend, out, cache, bar, grading)
        finally:
            bar.close()
        return store.read_run(out.path)


def grade(run_path: Path, options: Mapping[str, Any]) -> int:
    """Run a run's kept programs again and score them anew, without its model; the exit code."""
    registry = open_registry(options["tasks_dirs"])
    kept = store.read_run(run_path)
    draws = session.parse_draws(kept.plan.options)
    specs = [s for s in session.with_draws(registry.select(list(kept.plan.tasks)), draws) if s.code]
    if not specs:
        raise UserError(f"run {kept.plan.run_id} has no code tasks: there is nothing to grade")
    docs, cache = DocRange(*kept.plan.docs), runner.Rendered(0)
    bar = Bar(kept.plan.checkpoint.label)
    with Grading(cells=options["cells"], runtime=options["runtime"]) as grading:
        grading.open(specs[0], datasets.load(specs[0]))  # no sandbox: say so before anything is touched
        with store.RunWriter(run_path.parent, kept.plan) as out:
            for spec in specs:
                backend = Kept(kept, spec)
                out.reopen(spec.name)
                runner.run_task(spec, docs, backend, out, cache, bar, grading)
            bar.close()
            if all(out.result(t) for t in kept.plan.tasks):
                runner.finish(registry, out, 0.0)
    found = store.read_run(run_path)
    click.echo(views.run(found))
    return exits.OK if all(found.results[s.name].value is not None for s in specs) else exits.PARTIAL


def _batch_size(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise UserError(f"--batch-size {text}: a whole number from 1, or auto")
    return int(text)


def data_status(specs: Sequence[TaskSpec], as_json: bool) -> int:
    """Print each task's data; the exit code says whether all is there."""
    rows = [_data_row(s) for s in specs]
    if as_json:
        click.echo(json.dumps(rows, indent=1, ensure_ascii=False))
    else:
        click.echo(
            views.columns(
                ("task", "state", "rows", "where", "licence"),
                ([r["task"], r["state"], r["rows"], r["where"], r["licence"]] for r in rows),
            )
        )
        for r in rows:
            if r["remedy"]:
                click.echo(f"{r['task']}: {r['remedy']}")
    return 0 if all(r["state"] in ("present", "rebuilt") for r in rows) else exits.PARTIAL


def _data_row(spec: TaskSpec) -> dict[str, Any]:
    row = {
        "task": spec.name,
        "rows": spec.rows,
        "licence": spec.licence,
        "where": "-",
        "remedy": "",
    }
    try:
        loaded = datasets.load(spec)
    except datasets.NoData:
        return row | {
            "state": "missing",
            "remedy": f"assay data fetch {spec.name} (from {spec.data.url})"
            if spec.data.url
            else f"put {spec.data.path} into a folder of $ASSAY_DATA; no url is known (docs/code.md)",
        }
    except datasets.DataMismatch as error:
        return row | {"state": "damaged", "remedy": str(error)}
    where = str(loaded.where)
    return row | {
        "state": "rebuilt" if loaded.note else "present",
        "where": where,
        "remedy": loaded.note,
    }


def data_fetch(specs: Sequence[TaskSpec]) -> int:
    """Download what is not here, a line a task; the exit code says whether all is there."""
    failed = 0
    for spec in specs:
        try:
            found = datasets.find(spec)
            if found is not None and not found.is_relative_to(datasets.cache_folder()):
                datasets.load(spec)
                click.echo(f"{spec.name}: here already: {found}")
                continue
            with tqdm(desc=spec.name, unit="B", unit_scale=True, file=sys.stderr, disable=None) as bar:
                path = download.fetch(spec, bar.update)
            click.echo(f"{spec.name}: fetched: {path}")
        except (datasets.NoData, datasets.DataMismatch) as error:
            failed += 1
            click.echo(f"{spec.name}: {error}", err=True)
    return exits.PARTIAL if failed else 0


def preview(registry: Registry, task: str, doc: str, backend: Backend, as_json: bool) -> None:
    """Print one document as it is asked."""
    if task not in registry.tasks:
        registry.select([task])  # says what is near, unless it is a suite
        raise UserError(f"preview shows one task, and '{task}' names several; see: assay list tasks")
    spec = registry.tasks[task]
    group, _, row = doc.rpartition("/")
    part = {p.group: p for p in datasets.parts(spec, datasets.load(spec).rows)}.get(group)
    if part is None or not row.isdecimal() or int(row) >= len(part.rows):
        how = "CATEGORY/ROW, such as " + _first_doc(spec) if spec.categories else f"0 to {spec.rows - 1}"
        raise UserError(f"task '{spec.name}' has no document '{doc}'; --doc takes {how}")
    (prompt,) = render.prompts(spec, part, DocRange(int(row), int(row) + 1))
    limit = render.max_new_tokens(spec, part, backend.tokenizer)
    (document,) = render.tokenise(spec, [prompt], backend.tokenizer, limit)
    if spec.data.protected:
        asked = [_sizes(r) for r in document.requests]
        click.echo(f"{spec.name} is protected: its authors ask that rows are not shown. Sizes only: {asked}")
        return
    shown: dict[str, Any] = {
        "doc_id": prompt.sample.doc_id,
        "target": prompt.sample.target,
        "preamble": prompt.preamble,
        "contexts": list(dict.fromkeys(prompt.contexts)),
        "continuations": list(prompt.continuations),
        "requests": [_request(r) for r in document.requests],
        "fault": document.fault,
    }
    if as_json:
        click.echo(json.dumps(shown, indent=1, ensure_ascii=False))
        return
    target = "" if spec.code else f", target {prompt.sample.target!r}"
    click.echo(f"{spec.name} {prompt.sample.doc_id}{target}\n")
    for context in dict.fromkeys(prompt.contexts):
        click.echo(prompt.preamble + context + "\n")
    for i, continuation in enumerate(prompt.continuations):
        click.echo(f"option {i}: {continuation!r}")
    for asked_of in shown["requests"]:
        click.echo(json.dumps(asked_of))


def _first_doc(spec: TaskSpec) -> str:
    return f"{datasets.parts(spec, datasets.load(spec).rows)[0].group}/0"


def _sizes(request: LogLikelihood | Greedy) -> str:
    if isinstance(request, Greedy):
        return f"{len(request.prompt_ids)} tokens"
    return f"{len(request.context_ids)}+{len(request.continuation_ids)} tokens"


def _request(request: LogLikelihood | Greedy) -> dict[str, Any]:
    if isinstance(request, Greedy):
        return {
            "prompt_ids": list(request.prompt_ids),
            "stop": request.stop,
            "max_tokens": request.max_tokens,
            "dropped": request.dropped,
        }
    return {
        "context_ids": list(request.context_ids),
        "continuation_ids": list(request.continuation_ids),
        "dropped": request.dropped,
    }
