"""The straight line: render, ask, keep, score, aggregate, finish. Restartable after any kill."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from assay.harness import fingerprint, records, stats
from assay.harness.backends.base import Backend, Studious
from assay.harness.records import TaskResult
from assay.harness.store import RunWriter
from assay.tasks import aggregate, datasets, render, scorers
from assay.tasks.datasets import Part
from assay.tasks.registry import Registry
from assay.tasks.render import DocRange, Prompt
from assay.tasks.spec import TaskSpec
from assay.tasks.types import Answer, Document, Greedy, LogLikelihood, Response, Sample, Score, Tokenizer, UserError

SHARD = {"generation": 32}
SHARD_DEFAULT = 128
"""Documents asked, journaled and lost together: a kill costs at most this many answers of one task."""
CACHED_IDS = 100_000_000
"""Token ids of rendered shards kept for the next checkpoint of a series: 400 MB."""

Progress = Callable[[str, int, int], None]
"""Called with the task, documents done, documents in all."""


@dataclass(slots=True)
class Clock:
    """Seconds spent in each part of a task."""

    spent: dict[str, float] = field(default_factory=lambda: {"load": 0.0, "render": 0.0, "model": 0.0, "other": 0.0})
    _last: float = field(default_factory=time.perf_counter)

    def lap(self, part: str) -> float:
        """Charge the time since the last lap to `part`; return it."""
        now = time.perf_counter()
        took, self._last = now - self._last, now
        self.spent[part] += took
        return took


class Rendered:
    """Requests of shards, rendered once per tokenizer and kept for the other checkpoints of a series."""

    def __init__(self, capacity: int = CACHED_IDS) -> None:
        self._capacity, self._held = capacity, 0
        self._shards: OrderedDict[tuple[str, str, int], tuple[int, list[Document]]] = OrderedDict()
        self._limits: dict[tuple[str, str, str], int] = {}

    def max_new_tokens(self, key: tuple[str, str], spec: TaskSpec, part: Part, tokenizer: Tokenizer) -> int:
        """`render.max_new_tokens`, counted once for all shards of a part."""
        if (*key, part.group) not in self._limits:
            self._limits[*key, part.group] = render.max_new_tokens(spec, part, tokenizer)
        return self._limits[*key, part.group]

    def get(self, key: tuple[str, str, int], make: Callable[[], list[Document]]) -> list[Document]:
        """The shard under this key, made when it is not held; the oldest make room."""
        if key in self._shards:
            return self._shards[key][1]
        documents = make()
        size = sum(_ids(d) for d in documents)
        self._shards[key] = (size, documents)
        self._held += size
        while self._held > self._capacity:
            self._held -= self._shards.popitem(last=False)[1][0]
        return documents


def run(
    registry: Registry,
    specs: Sequence[TaskSpec],
    docs: DocRange,
    backend: Backend,
    out: RunWriter,
    cache: Rendered,
    progress: Progress,
) -> None:
    """Measure every task, then write composites and manifest. Whatever was answered before is not asked again."""
    begun = time.perf_counter()
    if out.complete and all(out.result(s.name) for s in specs):
        return
    for spec in specs:
        if out.result(spec.name) is None:
            if out.plan.tasks[spec.name]:
                run_task(spec, docs, backend, out, cache, progress)
            else:
                out.finish_task(_without_data(spec), None)
    results = out.results
    values = {t: r.value for t, r in results.items() if r.value is not None}
    stderrs = {t: r.stderr for t, r in results.items() if r.value is not None and r.stderr is not None}
    found = aggregate.composites(registry, [s.name for s in specs], values, stderrs)
    ended = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    out.finish(map(dataclasses.asdict, found), time.perf_counter() - begun, ended)


def run_task(
    spec: TaskSpec,
    docs: DocRange,
    backend: Backend,
    out: RunWriter,
    cache: Rendered,
    progress: Progress,
) -> TaskResult:
    """Ask every document of one task, journal the answers, score them, record everything."""
    clock = Clock()
    try:
        loaded = datasets.load(spec)
    except datasets.NoData:
        return out.finish_task(_without_data(spec), None)
    planned = out.plan.tasks[spec.name]
    if planned != fingerprint.task(spec, loaded.git_blob, docs):
        raise UserError(f"task '{spec.name}': its data has changed since this run began; run the same command again")
    parts = datasets.parts(spec, loaded.rows)
    shards = list(_shards(spec, parts, docs))
    journal = out.journal(spec.name)
    answered = {n: a for n, a in journal.answered().items() if not any(map(_unusable, a))}
    total = sum(len(s.prompts) for s in shards)
    scored: list[tuple[Sample, Answer, Score]] = []
    fitted = _fit_to_model(spec, backend)
    for shard in shards:
        if shard.number not in answered:
            answered[shard.number] = _ask(fitted, shard, backend, cache, clock)
            journal.keep(shard.number, answered[shard.number])
        for prompt, answer in zip(shard.prompts, answered[shard.number], strict=True):
            scored.append((prompt.sample, answer, scorers.score(spec, prompt.sample, answer)))
        progress(spec.name, len(scored), total)
    table = records.table(records.sample_row(*s) for s in scored)
    result = summarise(spec, scored, [p.group for p in parts])
    clock.lap("other")
    notes = [result.message, loaded.note and f"data: {loaded.note}", _fit_note(spec, fitted)]
    result = dataclasses.replace(
        result,
        fingerprint=planned,
        wall_s=dict(clock.spent),
        message="; ".join(n for n in notes if n),
    )
    return out.finish_task(result, table)


def _without_data(spec: TaskSpec) -> TaskResult:
    return TaskResult(task=spec.name, status="no_data", message=datasets.how_to_get(spec))


@dataclass(frozen=True, slots=True)
class _Shard:
    number: int
    part: Part
    prompts: list[Prompt]


def _shards(spec: TaskSpec, parts: Sequence[Part], docs: DocRange) -> Iterator[_Shard]:
    """Runs of prompts that never cross a category, numbered from 0; the same for every run over these rows."""
    number = 0
    for part in parts:
        prompts = render.prompts(spec, part, docs)
        while chunk := list(islice(prompts, SHARD.get(spec.kind, SHARD_DEFAULT))):
            yield _Shard(number, part, chunk)
            number += 1


def _ask(spec: TaskSpec, shard: _Shard, backend: Backend, cache: Rendered, clock: Clock) -> list[Answer]:
    clock.lap("other")
    backend.load()
    clock.lap("load")
    tokenizer = backend.tokenizer
    key = (tokenizer.identity, fingerprint.digest(dataclasses.astuple(spec)))
    limit = cache.max_new_tokens(key, spec, shard.part, tokenizer)
    documents = cache.get((*key, shard.number), lambda: list(render.tokenise(spec, shard.prompts, tokenizer, limit)))
    hashes = [fingerprint.request(d) for d in documents]
    clock.lap("render")
    if isinstance(backend, Studious):
        backend.study(spec, [d.sample for d in documents])
    responses = ask(backend, documents)
    seconds = clock.lap("model")
    return [
        Answer(
            doc_id=d.sample.doc_id,
            responses=r,
            request_sha256=h,
            dropped=max((q.dropped for q in d.requests), default=0),
            fault=d.fault,
            wall_s=seconds / len(documents),
        )
        for d, h, r in zip(documents, hashes, responses, strict=True)
    ]


def ask(backend: Backend, documents: Sequence[Document]) -> list[tuple[Response, ...]]:
    """Responses of each document's requests, in order; a document that can't be asked gets none."""
    options = [r for d in documents for r in d.requests if isinstance(r, LogLikelihood)]
    prompts = [r for d in documents for r in d.requests if isinstance(r, Greedy)]
    found: dict[str, Response] = {}
    if options:
        found.update(zip((r.key for r in options), backend.likelihoods(options), strict=True))
    if prompts:
        found.update(zip((r.key for r in prompts), backend.generate(prompts), strict=True))
    return [tuple(found[r.key] for r in d.requests) for d in documents]


def summarise(spec: TaskSpec, scored: Sequence[tuple[Sample, Answer, Score]], categories: Sequence[str]) -> TaskResult:
    """A task's number with its interval, or why there is none.

    None when a sample met an infra error, when a category has no row among those asked, or when nothing but ties
    decided every answer.
    """
    counts = Counter(score.status for _, _, score in scored)
    base = TaskResult(
        task=spec.name,
        status="ok",
        version=spec.version,
        n=len(scored),
        counts=dict(sorted(counts.items())),
        truncated=sum(answer.dropped > 0 for _, answer, _ in scored),
    )
    bad = [(s, score) for s, _, score in scored if score.value is None]
    absent = set(categories) - {s.group for s, _, _ in scored}
    if bad:
        first, score = bad[0]
        why = f"{len(bad)} of {len(scored)} samples could not be scored, first {first.doc_id}: {score.note}"
        return dataclasses.replace(base, status="incomplete", message=why)
    if absent:
        why = f"{len(absent)} of {len(categories)} parts have no row in the range asked for: no mean over the rest"
        return dataclasses.replace(base, status="incomplete", message=why)
    if all(score.tied for _, _, score in scored):
        message = (
            "constant scorer: every option of every document scored the same, so every answer is the tie rule's "
            "first option; look for an empty context, or inf or equal logits"
        )
        return dataclasses.replace(base, status="constant_scorer", message=message)
    groups = aggregate.by_group((s.group, score.value or 0.0) for s, _, score in scored)
    clusters: dict[str, list[str]] = {g: [] for g in groups}
    for sample, _, _ in scored:
        clusters[sample.group].append(sample.cluster)
    value = aggregate.task_mean(groups)
    bounds = stats.interval(groups, clusters)
    return dataclasses.replace(
        base,
        value=value,
        stderr=bounds.stderr if bounds else None,
        low=bounds.low if bounds else None,
        high=bounds.high if bounds else None,
        method=bounds.method if bounds else "",
        centred_v1=aggregate.centre(value, spec.baseline.v1),
        centred_v2=aggregate.centre(value, spec.baseline.v2),
        groups={g: (sum(v) / len(v), len(v)) for g, v in groups.items() if g},
    )


def _unusable(answer: Answer) -> bool:
    """An answer that would be an infra error: asked again on resume."""
    return bool(answer.fault) or any(map(scorers.broken, answer.responses))


def _fit_to_model(spec: TaskSpec, backend: Backend) -> TaskSpec:
    """The task with its context cut to what the model was built for, where that is shorter."""
    longest = getattr(backend, "max_length", None) or spec.max_length
    return dataclasses.replace(spec, max_length=min(spec.max_length, longest))


def _fit_note(spec: TaskSpec, fitted: TaskSpec) -> str:
    if fitted.max_length == spec.max_length:
        return ""
    return f"the model takes {fitted.max_length} tokens, the task was made for {spec.max_length}: not comparable"


def _ids(document: Document) -> int:
    return sum(
        len(r.context_ids) + len(r.continuation_ids) if isinstance(r, LogLikelihood) else len(r.prompt_ids)
        for r in document.requests
    )
