"""Scores to numbers: task means, centred scores, skills, CORE and EXTENDED. Never a partial mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Protocol

from assay.tasks.lm_eval_index import Group
from assay.tasks.registry import Registry
from assay.tasks.spec import Baseline, TaskSpec

SKILLS_OF = "dclm-extended"
"""Skill means are DCLM's: over every task of that skill in this suite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompositeScore:
    """A mean of centred scores, or the tasks without which it can't be had.

    Attributes:
        value: None when anything is missing.
        stderr: of `value`, when every task has one.
    """

    name: str
    value: float | None
    stderr: float | None = None
    missing: tuple[str, ...] = ()


def by_group(values: Iterable[tuple[str, float]]) -> dict[str, list[float]]:
    """Values of each group, groups sorted."""
    groups: dict[str, list[float]] = {}
    for group, value in values:
        groups.setdefault(group, []).append(value)
    return {g: groups[g] for g in sorted(groups)}


def task_mean(groups: Mapping[str, Sequence[float]]) -> float:
    """Unweighted mean over groups of the mean within each (DCLM's `performance_on_tasks`); plain mean of one group.

    Raises:
        StatisticsError: no values.
    """
    return fmean(fmean(values) for values in groups.values())


def centre(value: float, baseline_percent: float) -> float:
    """0 at the baseline, 1 at perfect, negative below (eval/aggregated_metrics.py, dclm 361714b)."""
    baseline = 0.01 * baseline_percent
    return (value - baseline) / (1 - baseline)


def baseline_of(baseline: Baseline | None, version: str) -> float:
    """Percent that guessing scores in version v1 or v2 of the table; 0 where nobody says."""
    if baseline is None:
        return 0.0
    return baseline.v1 if version == "v1" else baseline.v2


def mean_centred(
    name: str,
    specs: Sequence[TaskSpec],
    version: str,
    values: Mapping[str, float],
    stderrs: Mapping[str, float] | None = None,
) -> CompositeScore:
    """The mean centred score over all of `specs`; N/A, with the list, when one has no value.

    Standard errors of tasks that read the same file are added, as fully dependent (hellaswag with 0 and 10 shots,
    say); those of different files are added in squares.
    """
    missing = tuple(s.name for s in specs if s.name not in values or s.baseline is None)
    if missing or not specs:
        return CompositeScore(name=name, value=None, missing=missing)
    value = fmean(centre(values[s.name], baseline_of(s.baseline, version)) for s in specs)
    if stderrs is None or any(s.name not in stderrs for s in specs):
        return CompositeScore(name=name, value=value)
    shared: dict[str, float] = {}
    for s in specs:
        scaled = stderrs[s.name] / (1 - 0.01 * baseline_of(s.baseline, version))
        shared[s.data.path] = shared.get(s.data.path, 0.0) + scaled
    stderr = sum(x * x for x in shared.values()) ** 0.5 / len(specs)
    return CompositeScore(name=name, value=value, stderr=stderr)


def composites(
    registry: Registry,
    asked: Iterable[str],
    values: Mapping[str, float],
    stderrs: Mapping[str, float],
) -> list[CompositeScore]:
    """Every composite whose suite was asked for in full, then the skill means when EXTENDED was."""
    asked = set(asked)
    result = []
    for composite in registry.composites.values():
        names = registry.suites[composite.suite].tasks
        if asked.issuperset(names):
            specs = [registry.tasks[n] for n in names]
            result.append(mean_centred(composite.name, specs, composite.baseline, values, stderrs))
    names = registry.suites[SKILLS_OF].tasks
    if asked.issuperset(names):
        groups: dict[str, list[TaskSpec]] = {}
        for n in names:
            groups.setdefault(registry.tasks[n].skill, []).append(registry.tasks[n])
        result += [mean_centred(f"{skill} (v2)", groups[skill], "v2", values, stderrs) for skill in sorted(groups)]
    return result


def group_means(group: Group, results: Mapping[str, GroupMember]) -> Iterator[CompositeScore]:
    """lm-eval's means of a group, one a filter, not centred, over the tasks that have the metric.

    Errors of its tasks are taken as independent (`aggregate_subtask_metrics`, `pooled_sample_stderr`).
    """
    missing = tuple(t for t in group.tasks if t not in results)
    keys = [f"{group.metric},{f}" for f in group.filters] or sorted(
        {k for t in group.tasks if t in results for k in results[t].metrics if k.startswith(f"{group.metric},")}
    )
    for key in keys:
        have = [results[t] for t in group.tasks if t in results and key in results[t].metrics]
        name = f"{group.name} {key}"
        if missing or not have:
            yield CompositeScore(name=name, value=None, missing=missing)
            continue
        weights = [float(r.n) if group.by_size else 1.0 for r in have]
        value = sum(r.metrics[key] * w for r, w in zip(have, weights, strict=True)) / sum(weights)
        errors = [r.stderr for r in have if r.stderr is not None and r.metrics[key] == r.value]
        squares = sum((e * w) ** 2 for e, w in zip(errors, weights, strict=False))
        stderr = squares**0.5 / sum(weights) if len(errors) == len(have) else None
        yield CompositeScore(name=name, value=value, stderr=stderr)
    if not keys:
        yield CompositeScore(name=f"{group.name} {group.metric}", value=None, missing=missing)


class GroupMember(Protocol):
    """What a group's mean needs of a task's result."""

    @property
    def n(self) -> int:
        """Samples."""
        ...

    @property
    def value(self) -> float | None:
        """The task's number."""
        ...

    @property
    def stderr(self) -> float | None:
        """Of the number."""
        ...

    @property
    def metrics(self) -> Mapping[str, float]:
        """By `metric,filter`."""
        ...
