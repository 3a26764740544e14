"""What the commands do that is more than one call."""

from __future__ import annotations

import gc
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from assay.harness import accounting, ahead, exits, runner, session, store, views
from assay.harness.accounting import Budget
from assay.harness.backends.base import Backend, BackendError, ModelOptions, open_backend
from assay.harness.backends.kept import Kept
from assay.harness.grading import Grading
from assay.harness.records import Plan
from assay.harness.rendered import CACHED_IDS, Rendered
from assay.tasks import datasets, render
from assay.tasks.aggregate import CompositeScore
from assay.tasks.registry import Registry, open_registry
from assay.tasks.selection import DocRange
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
    finished: list[store.Run] = []
    with Grading(cells=options["cells"], runtime=options["runtime"]) as grading:
        means = runner.Means(grading, Rendered(CACHED_IDS if len(planned) > 1 else 0), _budget(options))
        while planned:
            ref = planned[0][0].ref
            once = cache(partial(ahead.prepare_next, planned, specs, docs, options))
            with _going_on(failed, alone=len(refs) == 1):
                try:
                    finished.append(
                        _run_one(registry, specs, docs, *planned.pop(0), options, replace(means, loaded=once))
                    )
                except accounting.BudgetSpent as spent:
                    failed += [f"{ref}: {spent}", *(f"{b.ref}: not begun" for b, _ in planned)]
                    break
            # A checkpoint's weights must be gone from the device before the next one's are put there: here nothing
            # holds its backend any more. Host memory may hold the next one's already, and no third.
            gc.collect()
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
        tokenizer=options["tokenizer"],
        strip_reasoning=options["strip_reasoning"],
        deterministic=options["deterministic"],
        concurrency=options["concurrency"],
        timeout_s=options["timeout"],
        retries=options["retries"],
    )


def _budget(options: Mapping[str, Any]) -> Budget:
    price = accounting.parse_price(options["price"])
    if options["budget"] and not (price.tokens_in or price.tokens_out):
        raise UserError(
            "--budget needs --price IN:OUT, dollars per million tokens: nothing else tells what a token costs"
        )
    return Budget(price, options["budget"])


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
    means: runner.Means,
) -> store.Run:
    with store.RunWriter(options["store"], plan, fresh=options["fresh"]) as out:
        bar = Bar(plan.checkpoint.label)
        try:
            runner.run(registry, specs, docs, backend, out, replace(means, progress=bar))
        finally:
            bar.close()
        found = store.read_run(out.path)
    _index(found, registry)
    return found


def _index(run: store.Run, registry: Registry) -> None:
    """Show the run to the site. That it can't be shown spoils nothing."""
    try:
        from assay.harness.index import Index  # SQLAlchemy is slow to import

        Index(run.path.parent, registry).record(run)
    except Exception as error:  # whatever it is, the run is measured and kept
        click.echo(f"assay: {run.plan.run_id} is not in the site's index: {error}; later: assay reindex", err=True)


def grade(run_path: Path, options: Mapping[str, Any]) -> int:
    """Run a run's kept programs again and score them anew, without its model; the exit code."""
    registry = open_registry(options["tasks_dirs"])
    kept = store.read_run(run_path)
    if "imported" in kept.plan.environment:
        raise UserError(
            f"run {kept.plan.run_id} is imported: its verdicts are another tool's; judge its answers here with "
            "'assay run TASK --model replay:FILE' of the samples that it was made from"
        )
    draws = session.parse_draws(kept.plan.options)
    specs = [
        s
        for s in session.with_draws([registry.tasks[t] for t in kept.plan.tasks if t in registry.tasks], draws)
        if s.code
    ]
    if not specs:
        raise UserError(f"run {kept.plan.run_id} has no code tasks: there is nothing to grade")
    docs = DocRange(*kept.plan.docs)
    bar = Bar(kept.plan.checkpoint.label)
    with Grading(cells=options["cells"], runtime=options["runtime"]) as grading:
        grading.open(specs[0], datasets.load(specs[0]))  # no sandbox: say so before anything is touched
        with store.RunWriter(run_path.parent, kept.plan) as out:
            for spec in specs:
                backend = Kept(kept, spec)
                out.reopen(spec.name)
                runner.run_task(spec, docs, backend, out, runner.Means(grading, Rendered(0), progress=bar))
            bar.close()
            if all(out.result(t) for t in kept.plan.tasks):
                runner.finish(registry, out, 0.0, [CompositeScore(**c) for c in kept.composites])
    found = store.read_run(run_path)
    _index(found, registry)
    click.echo(views.run(found))
    return exits.OK if all(found.results[s.name].value is not None for s in specs) else exits.PARTIAL


def _batch_size(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise UserError(f"--batch-size {text}: a whole number from 1, or auto")
    return int(text)


def preview(registry: Registry, task: str, doc: str, backend: Backend, as_json: bool) -> None:
    """Print one document as it is asked."""
    (spec, *others) = registry.select([task])  # says what is near a name that is none
    if others or task in registry.suites:
        raise UserError(f"preview shows one task, and '{task}' names several; see: assay list tasks")
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
