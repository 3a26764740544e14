"""The straight line: render, ask, keep, score, aggregate, finish. Restartable after any kill."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from assay.harness import accounting, fingerprint, records
from assay.harness.accounting import Budget
from assay.harness.backends.base import NEVER_CUT, Backend, BackendError, Recorded, Refused, Studious
from assay.harness.files import StoreError
from assay.harness.grading import Grading
from assay.harness.marking import Direct, InSandbox, Marking
from assay.harness.records import TaskResult
from assay.harness.rendered import Clock, Rendered
from assay.harness.store import RunWriter
from assay.sandbox.types import SandboxUnavailable
from assay.tasks import aggregate, datasets, render, scorers
from assay.tasks.aggregate import CompositeScore
from assay.tasks.datasets import Loaded, Part
from assay.tasks.lm_eval_opening import LmEvalError
from assay.tasks.registry import Registry
from assay.tasks.render import Prompt
from assay.tasks.selection import DocRange
from assay.tasks.spec import TaskSpec
from assay.tasks.types import Answer, Document, Generation, Greedy, LogLikelihood, Response, Tokenizer, UserError

SHARD = {"generation": 32, "code": 16}
SHARD_DEFAULT = 128
"""Documents asked, journaled and lost together: a kill costs at most this many answers of one task."""
Progress = Callable[[str, int, int], None]
"""Called with the task, documents done, documents in all."""


@dataclass(frozen=True, slots=True)
class Means:
    """What the runs of one command share."""

    grading: Grading
    cache: Rendered = field(default_factory=Rendered)
    budget: Budget = field(default_factory=Budget)
    progress: Progress = lambda *_: None
    loaded: Callable[[], None] = lambda: None
    """Called whenever the model that is measured has been loaded, and is about to be asked."""


def run(
    registry: Registry, specs: Sequence[TaskSpec], docs: DocRange, backend: Backend, out: RunWriter, means: Means
) -> None:
    """Measure every task, then write composites and manifest. Whatever was answered before is not asked again."""
    begun = time.perf_counter()
    for found in map(out.result, (s.name for s in specs)):
        if found is not None:
            means.budget.charge_finished(found)
    if out.complete and all(out.result(s.name) for s in specs):
        return
    for spec in specs:
        if out.result(spec.name) is None:
            if not out.plan.tasks[spec.name]:
                out.finish_task(_without_data(spec), None)
                continue
            try:
                run_task(spec, docs, backend, out, means)
            except (Refused, LmEvalError) as error:  # of this task alone; the next may go well
                out.finish_task(TaskResult(task=spec.name, status="incomplete", message=str(error)), None)
    finish(registry, out, time.perf_counter() - begun)


def finish(registry: Registry, out: RunWriter, wall_s: float, kept: Sequence[CompositeScore] = ()) -> None:
    """Write composites and manifest; a task that is scored in part counts in no composite.

    Args:
        registry: whose suites and groups have composites.
        out: the run.
        wall_s: seconds that it took.
        kept: composites that the run has already; those that can't be had from the registry stay.
    """
    found = composites(registry, list(out.plan.tasks), out.results)
    known = {c.name for c in found}
    found += [c for c in kept if c.name not in known]
    ended = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    out.finish(map(dataclasses.asdict, found), wall_s, ended)


def composites(registry: Registry, asked: Sequence[str], results: Mapping[str, TaskResult]) -> list[CompositeScore]:
    """Every composite and group mean whose tasks were all asked for, from those with a number of the whole task."""
    whole = {t: r for t, r in results.items() if r.value is not None and r.status != "partial"}
    values = {t: r.value for t, r in whole.items() if r.value is not None}
    stderrs = {t: r.stderr for t, r in whole.items() if r.stderr is not None}
    found = aggregate.composites(registry, asked, values, stderrs)
    for group in registry.groups.values():
        found += aggregate.group_means(group, whole) if set(group.tasks) <= set(asked) else []
    return found


def run_task(spec: TaskSpec, docs: DocRange, backend: Backend, out: RunWriter, means: Means) -> TaskResult:
    """Ask every document of one task, journal the answers, score them, record everything."""
    clock = Clock()
    try:
        loaded = datasets.load(spec)
    except datasets.NoData:
        return out.finish_task(_without_data(spec), None)
    if getattr(backend, "max_length", 0) is None:
        backend.load()  # only then it knows how much it takes
    planned = out.plan.tasks[spec.name]
    if planned != fingerprint.task(spec, loaded.git_blob, docs):
        raise UserError(f"task '{spec.name}': its data has changed since this run began; run the same command again")
    parts = datasets.parts(spec, loaded.rows)
    covered = backend.covers(spec) if isinstance(backend, Recorded) else None
    shards = list(_shards(spec, parts, docs, covered, backend.tokenizer if spec.draws.chat else None))
    if covered is not None and not shards:
        raise BackendError(f"task '{spec.name}': {backend.ref} has no answer to any of the problems asked for")
    journal = out.journal(spec.name)
    answered = usable(journal.answered())
    total, done = sum(len(s.prompts) for s in shards), 0
    fitted = _fit_to_model(spec, backend)
    marking = _marking(spec, loaded, [p.sample.doc_id for s in shards for p in s.prompts], means.grading)
    means.budget.charge(a for known in answered.values() for a in known)
    before = accounting.worked(backend, {})
    for shard in shards:
        if shard.number not in answered:
            means.budget.demand()
            answered[shard.number] = _ask(fitted, shard, backend, means, clock)
            journal.keep(shard.number, answered[shard.number])
            means.budget.charge(answered[shard.number])
        _demand_own(out, spec, shard, answered[shard.number])
        for prompt, answer in zip(shard.prompts, answered[shard.number], strict=True):
            marking.add(prompt.sample, answer)
        done += len(shard.prompts)
        means.progress(spec.name, done, total)
    clock.lap("other")
    draws = sum(max(1, len(a.responses)) for found in answered.values() for a in found)

    def graded(n: int) -> None:
        means.progress(f"{spec.name} graded", n, draws)

    marks = marking.done(graded)
    table = records.table(records.sample_row(*mark, draw) for mark, draw in marks)
    clock.lap("grading")
    result = _covering(spec, marking.result([p.group for p in parts]), docs, parts, covered)
    clock.lap("other")
    work = accounting.worked(backend, before)
    notes = [
        *(result.message, loaded.note and f"data: {loaded.note}", _fit_note(spec, fitted)),
        accounting.fallback(backend, work, (a for known in answered.values() for a in known)),
    ]
    result = dataclasses.replace(
        result,
        fingerprint=fingerprint.graded(planned, result.checker),
        wall_s=dict(clock.spent),
        usage=accounting.usage(
            (a for known in answered.values() for a in known),
            sum(score.run_s or 0.0 for (_, _, score), _ in marks),
            means.budget.price,
        )
        | work,
        message="; ".join(n for n in notes if n),
    )
    return out.finish_task(result, table)


def _demand_own(out: RunWriter, spec: TaskSpec, shard: _Shard, answers: Sequence[Answer]) -> None:
    """Journaled answers must be of the documents that are asked now: a replay file may have covered others."""
    if [p.sample.doc_id for p in shard.prompts] != [a.doc_id for a in answers]:
        raise StoreError(
            f"{out.path}: the journal of '{spec.name}' holds answers to other documents than are asked now: finish the "
            "run with the command that began it, or use --fresh"
        )


def _marking(spec: TaskSpec, loaded: Loaded, doc_ids: Sequence[str], grading: Grading) -> Marking:
    """How the task's answers become scores; where there is no sandbox, code is asked and kept all the same."""
    if spec.code is None:
        return Direct(spec)
    try:
        return InSandbox(spec, grading.open(spec, loaded), doc_ids)
    except SandboxUnavailable as error:
        return InSandbox(
            spec,
            None,
            doc_ids,
            f"not graded: {error}. The answers are kept: then run the same command again, or 'assay grade RUN'",
        )


def _covering(
    spec: TaskSpec, result: TaskResult, docs: DocRange, parts: Sequence[Part], covered: frozenset[str] | None
) -> TaskResult:
    """The result, marked as partial when the answers at hand are of a part of the task only."""
    wanted = sum(len(docs.rows(len(p.rows), p.group)) for p in parts)
    if covered is None or result.n == wanted or result.value is None:
        return result
    message = f"partial: answers to {result.n} of {wanted} problems; the number is of these alone"
    return dataclasses.replace(result, status="partial", message="; ".join(m for m in (message, result.message) if m))


def _without_data(spec: TaskSpec) -> TaskResult:
    return TaskResult(task=spec.name, status="no_data", message=datasets.how_to_get(spec))


@dataclass(frozen=True, slots=True)
class _Shard:
    number: int
    part: Part
    prompts: list[Prompt]


def _shards(
    spec: TaskSpec, parts: Sequence[Part], docs: DocRange, covered: frozenset[str] | None, tokenizer: Tokenizer | None
) -> Iterator[_Shard]:
    """Runs of prompts that never cross a category, numbered from 0; the same for every run over these rows."""
    number = 0
    for part in parts:
        prompts = (
            p for p in render.prompts(spec, part, docs, tokenizer) if covered is None or p.sample.doc_id in covered
        )
        for first in prompts:
            size = SHARD.get("generation" if spec.lm_eval and not first.continuations else spec.kind, SHARD_DEFAULT)
            yield _Shard(number, part, [first, *islice(prompts, size - 1)])
            number += 1


def _ask(spec: TaskSpec, shard: _Shard, backend: Backend, means: Means, clock: Clock) -> list[Answer]:
    clock.lap("other")
    backend.load()
    clock.lap("load")
    means.loaded()
    clock.lap("other")
    tokenizer = backend.tokenizer
    key = (tokenizer.identity, fingerprint.digest(dataclasses.astuple(spec)))
    limit = means.cache.max_new_tokens(key, spec, shard.part, tokenizer)
    asked = fingerprint.digest([key[1], *(p.sample.doc_id for p in shard.prompts)])  # two replay files may differ
    documents = means.cache.get(
        (key[0], asked, shard.number), lambda: list(render.tokenise(spec, shard.prompts, tokenizer, limit))
    )
    hashes = [fingerprint.request(d) for d in documents]
    clock.lap("render")
    if isinstance(backend, Studious):
        backend.study(spec, [d.sample for d in documents])
    before = accounting.used(backend)
    responses = ask(spec, backend, documents)
    seconds = clock.lap("model")
    tokens = accounting.shares(documents, responses, before, accounting.used(backend))
    return [
        Answer(
            doc_id=d.sample.doc_id,
            responses=r,
            request_sha256=h,
            dropped=max((q.dropped for q in d.requests), default=0),
            fault=d.fault,
            wall_s=seconds / len(documents),
            tokens_in=t[0],
            tokens_out=t[1],
        )
        for d, h, r, t in zip(documents, hashes, responses, tokens, strict=True)
    ]


def ask(spec: TaskSpec, backend: Backend, documents: Sequence[Document]) -> list[tuple[Response, ...]]:
    """Responses of each document's requests, in order; a document that can't be asked gets none."""
    if isinstance(backend, Recorded):
        return [backend.recorded(spec, d) if d.requests else () for d in documents]
    options = [r for d in documents for r in d.requests if isinstance(r, LogLikelihood)]
    prompts = [r for d in documents for r in d.requests if isinstance(r, Greedy)]
    found: dict[str, Response] = {}
    if options:
        found.update(zip((r.key for r in options), backend.likelihoods(options), strict=True))
    if prompts:
        found.update(zip((r.key for r in prompts), backend.generate(prompts), strict=True))
    return [tuple(_formed(found[r.key], d) for r in d.requests) for d in documents]


def _formed(response: Response, document: Document) -> Response:
    """A text that answers a chat prompt stands alone, and is marked so."""
    if isinstance(response, Generation) and response.form == "completion" and document.form != "completion":
        return dataclasses.replace(response, form=document.form)
    return response


def usable(shards: Mapping[int, list[Answer]]) -> dict[int, list[Answer]]:
    """Shards without an answer that would be an infra error: the others are asked again on resume."""
    return {n: a for n, a in shards.items() if not any(x.fault or any(map(scorers.broken, x.responses)) for x in a)}


def _fit_to_model(spec: TaskSpec, backend: Backend) -> TaskSpec:
    """The task with its context cut to what the model was built for, where that is shorter."""
    longest = getattr(backend, "max_length", None) or spec.max_length
    if longest >= NEVER_CUT or spec.lm_eval:  # it cuts by itself; and lm-eval's limit is the model's own
        return dataclasses.replace(spec, max_length=longest)
    return dataclasses.replace(spec, max_length=min(spec.max_length, longest))


def _fit_note(spec: TaskSpec, fitted: TaskSpec) -> str:
    if fitted.max_length >= spec.max_length or spec.lm_eval:
        return ""
    return f"the model takes {fitted.max_length} tokens, the task was made for {spec.max_length}: not comparable"
