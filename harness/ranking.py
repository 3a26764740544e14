"""How sure a rank is: paired resamples of items, rank intervals, shares of a composite's variance, checkpoint noise."""

from __future__ import annotations

import hashlib
import math
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

DRAWS = 1000
"""Bootstrap resamples behind every rank interval."""
CACHED = 256 * 2**20
"""Bytes of the resamples that are kept for the next run over the same items."""
BLOCK = 4_000_000
"""Counts converted to floating point at a time."""
OUTLYING = 5.0
FEW_POINTS = 5
"""Below this a series says nothing about its noise."""
Z_RESOLVED = float(stats.norm.ppf(0.975) + stats.norm.ppf(0.8))
"""Standard errors that a gap must have to be found with power 0.8, two-sided at 0.05."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """Where a run stands; 1 is the highest value.

    Attributes:
        low, high: 95 % interval, which holds the rank of the value itself.
        tied: the 95 % interval of the leader's lead holds 0.
        resolution: items over those needed to tell the run from the next one below; below 1 they can't be told apart.
            None for the last, inf where no resample differs.
    """

    low: int
    high: int
    tied: bool
    resolution: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """How far the last checkpoints scatter about their own trend.

    Attributes:
        sd: of the residuals, in the score's unit.
        slope: of the trend, per unit of x.
        points: checkpoints used.
    """

    sd: float
    slope: float
    points: int


@dataclass(frozen=True, slots=True)
class _Resamples:
    """How often each draw takes each unit.

    Attributes:
        counts: uint8 [DRAWS, units], units of a category side by side.
        unit: of each item in sorted order.
        starts: first unit of each category.
    """

    counts: np.ndarray
    unit: np.ndarray
    starts: np.ndarray


class _Kept:
    """The last resamples, within a budget of bytes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, _Resamples] = OrderedDict()

    def get(self, key: bytes) -> _Resamples | None:
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
            return self._known.get(key)

    def put(self, key: bytes, made: _Resamples) -> None:
        with self._lock:
            self._known[key] = made
            self._known.move_to_end(key)
            while sum(r.counts.nbytes for r in self._known.values()) > CACHED:
                self._known.popitem(last=False)


_KEPT = _Kept()


def resampled(
    values: ArrayLike,
    doc_ids: Sequence[str],
    *,
    groups: Sequence[str] | None = None,
    clusters: Sequence[str] | None = None,
) -> np.ndarray:
    """Bootstrap means of a task's number.

    The ids alone decide which items a draw takes, in whatever order they come: draws of runs over the same items are
    paired, as are those of tasks over the same items. So ids must tell items of different files apart.

    Args:
        values: score of each item.
        doc_ids: distinct within a category.
        groups: category of each item, where the number is the mean over categories weighted alike: items are drawn
            within each.
        clusters: ids of what items share, "" for an item on its own: whole clusters are drawn.

    Returns:
        float32 [DRAWS].

    Raises:
        ValueError: no items, lengths that differ, or an id that comes twice.
    """
    none = [""] * len(doc_ids)
    rows = sorted(
        zip(
            none if groups is None else groups,
            doc_ids,
            none if clusters is None else clusters,
            np.asarray(values, dtype=float).tolist(),
            strict=True,
        )
    )
    if not rows:
        raise ValueError("nothing to resample")
    if any(a[:2] == b[:2] for a, b in pairwise(rows)):
        raise ValueError("an item's id comes twice: average its scores first")
    found = _resamples([row[:3] for row in rows])
    sums = np.bincount(found.unit, weights=[row[3] for row in rows])
    return _means(found, np.stack([sums, np.bincount(found.unit)], axis=1).astype(np.float32))


def _resamples(items: Sequence[tuple[str, str, str]]) -> _Resamples:
    """For items of sorted (category, id, cluster)."""
    key = hashlib.sha256("\0".join("\1".join(item) for item in items).encode()).digest()
    found = _KEPT.get(key)
    if found is None:
        found = _drawn(items, np.random.default_rng(int.from_bytes(key, "big")))
        _KEPT.put(key, found)
    return found


def _drawn(items: Sequence[tuple[str, str, str]], rng: np.random.Generator) -> _Resamples:
    known: dict[tuple[str, str | int], int] = {}
    unit = [known.setdefault((group, cluster or i), len(known)) for i, (group, _, cluster) in enumerate(items)]
    _, starts, sizes = np.unique([group for group, _ in known], return_index=True, return_counts=True)
    start, size = np.repeat(starts, sizes), np.repeat(sizes, sizes)
    # uint8 is enough: more than 255 takes of one unit of many have a chance of 1e-500, few units can't have them
    counts = np.empty((DRAWS, len(known)), dtype=np.uint8)
    for row in counts:
        taken = start + (rng.random(len(start)) * size).astype(np.int64)
        row[:] = np.bincount(taken, minlength=len(known))
    return _Resamples(counts, np.array(unit), starts)


def _means(drawn: _Resamples, totals: np.ndarray) -> np.ndarray:
    """Mean over categories of each one's ratio of sums; `totals` [units, 2] are sums and sizes."""
    counts, ends = drawn.counts, [*drawn.starts[1:], len(totals)]
    means = np.zeros(DRAWS, dtype=np.float32)
    for start, end in zip(drawn.starts, ends, strict=True):
        step = max(1, BLOCK // (end - start))
        for i in range(0, DRAWS, step):
            took = counts[i : i + step, start:end].astype(np.float32) @ totals[start:end]
            means[i : i + step] += took[:, 0] / took[:, 1]
    return means / np.float32(len(ends))


def simulated(value: float, stderr: float, key: str) -> np.ndarray:
    """Normal draws of a number of which no items are known, float32 [DRAWS].

    `key` names the run and the task and seeds the draws, which are thus paired with no other's.
    """
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest(), "big")
    return np.random.default_rng(seed).normal(value, stderr, DRAWS).astype(np.float32)


def ranks(values: np.ndarray, draws: np.ndarray) -> list[Rank]:
    """Ranks of runs by a number.

    Args:
        values: float [runs].
        draws: [runs, DRAWS] of the same number, by `resampled` or `simulated`.

    Raises:
        ValueError: shapes that don't fit, or a value that is no number: leave out runs without one.
    """
    values, draws = np.asarray(values, dtype=float), np.asarray(draws)
    if draws.shape[:1] != values.shape or not (np.isfinite(values).all() and np.isfinite(draws).all()):
        raise ValueError("each run to rank needs a finite value and a row of finite draws")
    if not len(values):
        return []
    best, worst = _intervals(values, draws)
    ahead = draws[values.argmax()] - draws
    low, high = np.quantile(ahead, (0.025, 0.975), axis=1)
    resolution = _resolution(values, draws)
    return [
        Rank(low=int(best[r]), high=int(worst[r]), tied=bool(low[r] <= 0 <= high[r]), resolution=resolution[r])
        for r in range(len(values))
    ]


def _intervals(values: np.ndarray, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """2.5 % of the best rank that equal values share, 97.5 % of the worst, stretched to the ranks of the values."""
    best, worst = (stats.rankdata(-draws, axis=0, method=m).astype(np.int32) for m in ("min", "max"))
    low = np.quantile(best, 0.025, axis=1, method="lower")
    high = np.quantile(worst, 0.975, axis=1, method="higher")
    return (
        np.minimum(low, stats.rankdata(-values, method="min")),
        np.maximum(high, stats.rankdata(-values, method="max")),
    )


def _resolution(values: np.ndarray, draws: np.ndarray) -> list[float | None]:
    order = np.argsort(-values, kind="stable")
    gaps = values[order[:-1]] - values[order[1:]]
    spreads = np.std(draws[order[:-1]] - draws[order[1:]], axis=1, ddof=1, dtype=float)
    found: list[float | None] = [None] * len(values)
    for run, gap, spread in zip(order, gaps, spreads, strict=False):
        needed = Z_RESOLVED * spread
        found[run] = float((gap / needed) ** 2) if needed else math.inf if gap else 0.0
    return found


def composite_stderr(stderrs: Mapping[str, float], baselines: Mapping[str, float], kin: Mapping[str, str]) -> float:
    """Standard error of a mean of centred scores.

    Args:
        stderrs: of each task's score.
        baselines: what guessing scores, in [0, 1), per task.
        kin: data file per task; errors of tasks that share one are added, not their squares.

    Raises:
        ValueError: a baseline outside [0, 1).
    """
    scaled = _centred(stderrs, baselines)
    return math.hypot(*_by_file(scaled, kin).values()) / len(scaled) if scaled else 0.0


def variance_shares(
    stderrs: Mapping[str, float], baselines: Mapping[str, float], kin: Mapping[str, str]
) -> dict[str, float]:
    """Each task's share of a composite's variance, arguments as for `composite_stderr`; they sum to 1.

    A file's variance is split among its tasks in proportion to their errors; equal shares where no task has an error.
    """
    scaled = _centred(stderrs, baselines)
    files = _by_file(scaled, kin)
    total = sum(error**2 for error in files.values())
    if not total:
        return {task: 1 / len(scaled) for task in scaled}
    return {task: error * files[kin.get(task, task)] / total for task, error in scaled.items()}


def _centred(stderrs: Mapping[str, float], baselines: Mapping[str, float]) -> dict[str, float]:
    wrong = [task for task in stderrs if not 0 <= baselines[task] < 1]
    if wrong:
        raise ValueError(f"baseline of {wrong[0]} is {baselines[wrong[0]]}: it must be in [0, 1)")
    return {task: error / (1 - baselines[task]) for task, error in stderrs.items()}


def _by_file(errors: Mapping[str, float], kin: Mapping[str, str]) -> dict[str, float]:
    files: dict[str, float] = {}
    for task, error in errors.items():
        files[kin.get(task, task)] = files.get(kin.get(task, task), 0.0) + error
    return files


def checkpoint_noise(x: ArrayLike, y: ArrayLike, window: int = 30) -> Noise | None:
    """Standard deviation of the last `window` points about their Theil-Sen line; None for fewer than 5 points.

    A point farther off than `OUTLYING` robust standard deviations is a crash and no noise: it is left out.
    `x` is each checkpoint's step, tokens or FLOPs, in any order; `y` its score, NaN where it has none.
    """
    steps, scores = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    known = np.isfinite(steps) & np.isfinite(scores)
    last = np.argsort(steps[known], kind="stable")[-window:]
    steps, scores = steps[known][last], scores[known][last]
    if len(steps) < FEW_POINTS or steps[0] == steps[-1]:
        return None
    line = stats.theilslopes(scores, steps)
    residuals = scores - (line.intercept + line.slope * steps)
    usual = OUTLYING * stats.median_abs_deviation(residuals, scale="normal")
    residuals = residuals[np.abs(residuals - np.median(residuals)) <= usual] if usual else residuals
    return Noise(sd=float(np.std(residuals, ddof=1)), slope=float(line.slope), points=len(steps))
