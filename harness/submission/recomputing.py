"""Every number of a submission from its samples, by the code that makes such numbers, and held against the claim."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from assay.harness import marking
from assay.harness.marking import Mark
from assay.harness.records import TaskResult
from assay.harness.submission.vetting import Fault, answer_of, differs, tied
from assay.tasks import scorers
from assay.tasks.spec import Code, Data, Draws, TaskSpec
from assay.tasks.types import Answer, Sample, Score

SAME = 1e-9
"""Two ways to one number differ by no more."""
MEANS = ("acc", "acc_norm", "acc_bytes", "acc_mutual_info", "exact_match", "math_verify", "assay number")
"""Metrics that are means of their samples wherever they occur."""
SLOW = "math_verify"
"""Takes seconds over one hostile answer: such verdicts are taken as recorded."""
COUNTED = ("n", "counts", "truncated")
NUMBERS = (*COUNTED, "groups", "value", "stderr", "low", "high", "method")
BY_RULE = (*NUMBERS, "metrics", "higher_is_better", "version")
"""What is recomputed where the spec is known, and compared."""


def differences(claimed: Any, found: Any, at: str = "") -> Iterator[str]:
    """Where two values are not the same, numbers within `SAME`; each names its place."""
    if isinstance(claimed, Mapping) and isinstance(found, Mapping):
        for key in sorted({*claimed, *found}):
            yield from differences(claimed.get(key), found.get(key), f"{at} {key}".strip())
    elif isinstance(claimed, Sequence) and isinstance(found, Sequence) and not isinstance(claimed, str):
        for one, other in zip(claimed, found, strict=False):
            yield from differences(one, other, at)
        if len(claimed) != len(found):
            yield f"{at}: {len(claimed)} are claimed, its samples give {len(found)}"
    elif not same(claimed, found):
        yield f"{at}: {claimed} is claimed, its samples give {found}"


def same(a: Any, b: Any) -> bool:
    """Equal, or two numbers within `SAME`; a NaN is like another."""
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return math.isclose(a, b, rel_tol=SAME, abs_tol=SAME) or (a != a and b != b)
    return bool(a == b)


def _of(result: TaskResult, names: Iterable[str]) -> dict[str, Any]:
    return {n: getattr(result, n) for n in names}


def by_rule(spec: TaskSpec, t: pa.Table, claimed: TaskResult, categories: Sequence[str]) -> Iterator[str]:
    """How a claim differs from what its samples give under the task's own rule; not for tasks of lm-eval's.

    Args:
        spec: of the task.
        t: its records, consistent.
        claimed: the number.
        categories: that the task has.
    """
    make = of_code if spec.code else _plainly
    yield from differences(_of(claimed, BY_RULE), _of(make(spec, list(_recorded(t)), categories, claimed), BY_RULE))


def _plainly(spec: TaskSpec, marks: Sequence[Mark], categories: Sequence[str], _: TaskResult) -> TaskResult:
    return marking.summarise(spec, marks, categories)


def of_code(spec: TaskSpec, marks: Sequence[Mark], categories: Sequence[str], claimed: TaskResult) -> TaskResult:
    """A number of programs' verdicts; which problems fail here by themselves only the claim says."""
    found = marking.of_draws(spec, marks, categories)
    if found.value is None:
        return found
    _, _, failing = claimed.message.partition(marking.OWN_FAILS)
    names = failing.partition(";")[0].split(", ") if failing else []
    return replace(found, metrics=marking.code_metrics(spec, marks, names))


def _recorded(t: pa.Table) -> Iterator[Mark]:
    """The marks that a run made of these records, one a row."""
    names = ("doc_id", "group", "cluster", "status", "score", "note", "truncated", "parts")
    for values in zip(*(t[n].to_pylist() for n in names), tied(t), strict=True):
        doc_id, group, cluster, status, score, note, truncated, parts, is_tied = values
        yield (
            Sample(task="", doc_id=doc_id, fields={}, target=0, group=group, cluster=cluster),
            Answer(doc_id=doc_id, responses=(), request_sha256="", dropped=truncated or 0),
            Score(value=score, extracted=None, status=status, note=note, tied=bool(is_tied), parts=dict(parts)),
        )


def by_lm_eval(
    spec: TaskSpec, t: pa.Table, claimed: TaskResult, samples: Mapping[str, Sample], categories: Sequence[str]
) -> Iterator[Fault]:
    """The same for a task of lm-eval's, by its own filters, metrics and aggregation, over the pinned rows `samples`.

    A first verdict that another one would be ends it.
    """
    from assay.tasks import lm_eval_scoring

    bare = replace(spec, shots=0, draws=Draws())
    again, marks = judged_again(spec, categories), []
    documents: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for i, row in enumerate(t.to_pylist()):
        documents.setdefault(row["doc_id"], []).append((i, row))
    for doc_id, drawn in documents.items():
        (at, row), answer = drawn[0], answer_of([r for _, r in drawn])
        parts = dict(row["parts"])
        score = Score(value=row["score"], extracted=None, status=row["status"], parts=parts, raw=parts)
        if again:
            score = scorers.score(bare, samples[doc_id], answer)
            if fault := differs(row, score) or next(differences(parts, score.parts), ""):
                yield Fault(fault, at)
                return
        elif row["score"] is not None and not same(row["score"], parts.get(lm_eval_scoring.main_metric(spec, parts))):
            yield Fault("its score is not that of its metric", at)
            return
        marks.append((samples[doc_id], answer, score))
    found = marking.summarise(bare, marks, categories)
    yield from map(Fault, differences(_of(claimed, BY_RULE), _of(found, BY_RULE)))


def judged_again(spec: TaskSpec, categories: Sequence[str]) -> bool:
    """Whether the answers to a task of lm-eval's can be judged again in a moment."""
    from assay.tasks import lm_eval_opening

    bare = replace(spec, shots=0, draws=Draws())
    return SLOW not in lm_eval_opening.opened(bare, next(iter(categories), "")).aggregation()


def is_mean(metric: str) -> bool:
    """Whether a metric, `metric,filter`, is a mean of its samples; that of a standard error is not asked."""
    name = metric.partition(",")[0]
    return name in MEANS or name.endswith("_stderr")


def by_means(t: pa.Table, claimed: TaskResult) -> Iterator[str]:
    """How a claim differs from the means of its samples, where no spec says how they become a number."""
    code = of_programs(claimed)
    marks = [m for m, draw in zip(_recorded(t), t["draw"].to_pylist(), strict=True) if code or not draw]
    groups = sorted({sample.group for sample, _, _ in marks})
    make = of_code if code else _plainly
    found = [make(spec, marks, groups, claimed) for spec in _guesses(claimed)]
    if claimed.metrics and not code:
        yield from _metrics_by_means(marks, claimed, next((f for f in found if same(f.value, claimed.value)), None))
        return
    names = (*NUMBERS, "metrics")
    yield from min((list(differences(_of(claimed, names), _of(f, names))) for f in found), key=len)


def of_programs(claimed: TaskResult) -> bool:
    """Whether a number is of programs' verdicts."""
    return bool(claimed.checker) or any("pass@" in name for name in claimed.metrics)


def _guesses(claimed: TaskResult) -> Iterator[TaskSpec]:
    """Specs that a task of which nothing is known could have, as far as its number depends on them."""
    data = Data(path="", git_blob="", rows=1)
    bare = TaskSpec(name="", kind="schema", skill="", shots=0, baseline=None, data=data, licence="")
    part: Literal["plus", "base"] = "plus" if any(n.startswith("base ") for n in claimed.metrics) else "base"
    for spec in (bare, replace(bare, mean="micro")):
        yield spec
        if of_programs(claimed):
            yield replace(spec, code=Code(dataset="humaneval", part=part, release="any"))
            yield replace(spec, code=Code(dataset="bigcodebench", part=part, release="any"))


def _metrics_by_means(marks: Sequence[Mark], claimed: TaskResult, likely: TaskResult | None) -> Iterator[str]:
    """Of another tool's metrics, those that are means; its number is one of them, and so is its interval's middle."""
    found = marking.summarise(next(_guesses(claimed)), marks, ())
    names = (*COUNTED, "groups") if claimed.groups else COUNTED
    yield from differences(_of(claimed, names), _of(found, names))
    for name, value in claimed.metrics.items():
        means = mean_of(marks, name)
        if name.partition(",")[0] in MEANS and means and not any(same(value, m) for m in means):
            yield f"metrics {name}: {value} is claimed, its samples give {means[0]}"
    if not any(same(claimed.value, v) for v in claimed.metrics.values()):
        yield f"value: {claimed.value} is claimed, and is none of its metrics"
    if claimed.low is not None or claimed.high is not None:
        wanted = _of(likely, ("low", "high", "method")) if likely else dict.fromkeys(("low", "high"))
        yield from differences(_of(claimed, wanted), wanted)


def mean_of(marks: Sequence[Mark], metric: str) -> list[float]:
    """The mean of a metric over samples, and over categories; empty where a sample lacks it."""
    groups: dict[str, list[float]] = {}
    for sample, _, score in marks:
        groups.setdefault(sample.group, []).append(score.parts.get(metric, math.nan))
    every = [v for values in groups.values() for v in values]
    means = [float(np.mean(every)), float(np.mean([np.mean(v) for v in groups.values()]))] if every else []
    return means if np.isfinite(means).all() else []
