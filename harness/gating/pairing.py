"""May two results of a task be compared, and which of their items belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from assay.harness import comparing
from assay.harness.comparing import Difference
from assay.harness.gating.types import Config, Measured, Snapshot, State

SAME = 1e-6
"""A number and the mean of its samples' scores may differ by this much."""
NO_NUMBER: Mapping[str, tuple[State, str]] = {
    "no_data": ("missing", "had no data"),
    "constant_scorer": ("not_comparable", "tied every option of every document: the number is the tie rule's"),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pairs:
    """Scores of the items that both sides have, in the same order.

    Attributes:
        base, other: float64 [items].
        clusters, groups: of the items; None where the task has none.
        unpaired: share of all items that one side lacks.
    """

    base: np.ndarray
    other: np.ndarray
    clusters: tuple[str, ...] | None
    groups: tuple[str, ...] | None
    unpaired: float

    def difference(self, level: float) -> Difference | None:
        """Other minus base, with a two-sided interval of this level; None without items."""
        return next(iter(self.differences(level)), None)

    def differences(self, *levels: float) -> list[Difference]:
        """Other minus base, with a two-sided interval of each level; [] without items."""
        return comparing.differences(self.base, self.other, levels, clusters=self.clusters, groups=self.groups)


def settings(config: Config, anchor: Snapshot, candidate: Snapshot) -> str:
    """What differs of the settings that must not, in words; "" where nothing does."""
    names = [n for n in config.must_match if n != "fingerprint"]
    a, b = anchor.settings, candidate.settings
    return "; ".join(f"{n} was {a.get(n)!r}, is {b.get(n)!r}" for n in names if a.get(n) != b.get(n))


def fault(config: Config, base: Measured, other: Measured, differing: str) -> tuple[State | None, str]:
    """Why a task can't be judged: a state and a sentence; None where it can."""
    for side, of in (("the baseline", base), ("the candidate", other)):
        state, why = _alone(config, of)
        if state:
            return state, f"{side} {why}"
    if differing:
        return "not_comparable", differing
    if "fingerprint" in config.must_match and base.fingerprint != other.fingerprint:
        return "not_comparable", "asked or judged otherwise: its fingerprint is another"
    return None, ""


def _alone(config: Config, of: Measured) -> tuple[State | None, str]:
    """Why a result can't be compared with any other."""
    if of.status in NO_NUMBER:
        return NO_NUMBER[of.status]
    total, lost = sum(of.counts.values()), of.counts.get("infra_error", 0)
    if total and lost / total > config.max_infra_error:
        return "infra", f"lost {lost:,} of {total:,} samples to the machine: run it again"
    if not of.ids:
        return "not_comparable", "has no samples, only a number"
    known = of.scores[~np.isnan(of.scores)]
    if not len(known):
        return "not_comparable", "has no item with a score"
    off = abs(of.value - mean_of(of)) if of.value is not None and len(known) == len(of.scores) else 0.0
    faults = {
        "has an item twice": len(set(of.ids)) != len(of.ids),
        "is better when it is lower, no share of right answers": not of.higher_is_better,
        "has scores that are no shares between 0 and 1": bool(known.min() < 0 or known.max() > 1),
        "has a number that is not the mean of its samples' scores": off > SAME,
    }
    why = next((fault for fault, true in faults.items() if true), "")
    return ("not_comparable", why) if why else (None, "")


def mean_of(of: Measured) -> float:
    """The mean over a task's items, or over its categories weighted alike; items without a score left out."""
    if of.groups is None:
        return float(np.nanmean(of.scores))
    places: dict[str, list[int]] = {}
    for i in np.flatnonzero(~np.isnan(of.scores)).tolist():
        places.setdefault(of.groups[i], []).append(i)
    return float(np.mean([of.scores[at].mean() for at in places.values()]))


def rambling(config: Config, base: Measured, other: Measured) -> str:
    """Why a result that is no regression says nothing all the same: too many answers were cut off; "" where not."""
    rise = _truncated(other) - _truncated(base)
    if rise <= config.max_truncated_rise:
        return ""
    return f"answers cut off at the token limit rose by {100 * rise:.1f} points to {_truncated(other):.1%}"


def _truncated(of: Measured) -> float:
    return of.counts.get("truncated", 0) / max(1, sum(of.counts.values()))


def pairs(base: Measured, other: Measured) -> Pairs:
    """The items that both have."""
    left, right = _places(base.ids, other.ids)
    total = len(base.ids) + len(other.ids) - len(left)
    scored = ~(np.isnan(base.scores[left]) | np.isnan(other.scores[right]))
    left, right = left[scored], right[scored]
    return Pairs(
        base=base.scores[left].astype(float),
        other=other.scores[right].astype(float),
        clusters=_of(other.clusters, right) or _of(base.clusters, left),
        groups=_of(other.groups, right) or _of(base.groups, left),
        unpaired=1 - len(left) / total if total else 0.0,
    )


def _places(base: Sequence[str], other: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Where each item that both have stands in either."""
    if base == other:
        return np.arange(len(base)), np.arange(len(base))
    rows = {name: i for i, name in enumerate(base)}
    both = [(rows[name], j) for j, name in enumerate(other) if name in rows]
    return np.array([i for i, _ in both], dtype=int), np.array([j for _, j in both], dtype=int)


def _of(names: Sequence[str] | None, places: np.ndarray) -> tuple[str, ...] | None:
    return None if names is None else tuple(names[i] for i in places)


def shown(base: Measured, other: Measured, of: Pairs, d: Difference | None) -> tuple[float, float]:
    """Both sides' scores: the runs' own, or over the pairs where a sample without a score left a run without one."""
    if base.value is not None and other.value is not None:
        return base.value, other.value
    first = base.value if base.value is not None else float(of.base.mean())
    return first, first + (d.delta if d else 0.0)
