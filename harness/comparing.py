"""Is one run better than another: paired differences of scores, item by item. Thin over SciPy and statsmodels."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from statsmodels.stats.power import TTestPower

FEW_ITEMS = 10
"""Below this a difference is shown with its interval and not tested."""
FEW_FLIPS = 5
"""Below this no outcome reaches p = 0.05, even one-sided."""
FLIPS = 99_999
"""Random sign flips; the least p value is then 1e-5, which leaves room for Holm over 57 tasks."""
MANY = 100.0
"""From so many equally heavy flips on, the distribution of their sum is taken as normal."""
ROUNDING = 12
"""Decimals: what two scores differ by beyond them is the order in which the same draws were averaged."""
BLOCK = 2_000_000
"""Sign flips in memory at a time."""
UNTESTED = ("too few items", "one cluster")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How two runs differ on the items of one task that both answered: other minus base.

    Attributes:
        n: items.
        lost, gained: items where base scored more than other, and other more than base.
        flip_rate: (lost + gained) / n.
        delta: difference of the task's number: mean over items, or over categories weighted alike.
        stderr: of `delta`; 0 where all items differ alike, though the interval has width then too.
        level: of the two-sided interval.
        low, high: its bounds.
        p: two-sided; None where nothing is tested, see `note`.
        p_worse, p_better: one-sided, of other being worse, and better.
        mde: least true drop that these items would show, at this flip rate, in 4 of 5 tries (one-sided, 0.05).
        test: what `p` comes from.
        note: "", "identical answers", "too few flips to decide", "too few items" or "one cluster".
    """

    n: int
    lost: int
    gained: int
    flip_rate: float
    delta: float
    stderr: float
    low: float
    high: float
    p: float | None
    p_worse: float | None
    p_better: float | None
    mde: float | None
    test: str
    note: str
    level: float = 0.95


def difference(
    base: ArrayLike,
    other: ArrayLike,
    *,
    clusters: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
    level: float = 0.95,
) -> Difference | None:
    """Paired difference of two runs on one task; None without items.

    Args:
        base: score of each item, in [0, 1].
        other: of the same items in the same order.
        clusters: ids of what items share, "" for an item on its own.
        groups: category of each item, where the task's number is the mean over categories weighted alike.
        level: of the two-sided interval; 1 − 2α makes its ends one-sided bounds at α.

    Returns:
        Unclustered 0/1 scores get exact McNemar and Bonett and Price's adjusted interval; everything else sign flips
        (of items, of whole clusters) and Student's t, cluster-robust where there are clusters.

    Raises:
        ValueError: lengths differ, or a score is not a number in [0, 1]. Leave out items that a run has no score for.
    """
    return next(iter(differences(base, other, (level,), clusters=clusters, groups=groups)), None)


def differences(
    base: ArrayLike,
    other: ArrayLike,
    levels: Sequence[float],
    *,
    clusters: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
) -> list[Difference]:
    """`difference` with an interval of each level, tested once; [] without items."""
    scores = _checked(base, other)
    d = np.round(scores[1] - scores[0], ROUNDING)
    n = len(d)
    if n == 0:
        return []
    weights, units = _weights(groups, n), _units(clusters, n)
    delta = float(weights @ d)
    spread = _Spread.about(delta, d, weights, units)
    clustered = spread.units < n
    binary = not clustered and np.array_equal(d, np.rint(d))
    bounds = spread.adjusted if binary or not spread.stderr else spread.student
    # relative to the largest weight: where all are equal, whole numbers stay whole
    totals = np.round(np.bincount(units, weights=d * (weights / weights.max())), ROUNDING)
    flips = totals[totals != 0]
    lost, gained = int((d < 0).sum()), int((d > 0).sum())
    note = _note(n, spread.units, lost + gained, len(flips))
    p, p_worse, p_better, test = (None, None, None, "") if note in UNTESTED else _sign_flips(flips)
    if test:
        test = "exact McNemar" if binary and groups is None else f"cluster {test}" if clustered else test
    found = Difference(
        n=n,
        lost=lost,
        gained=gained,
        flip_rate=(lost + gained) / n,
        delta=delta,
        stderr=spread.stderr,
        low=-1.0,
        high=1.0,
        p=p,
        p_worse=p_worse,
        p_better=p_better,
        mde=_Spread.about(0.0, d, weights, units).mde if test and len(flips) else None,
        test=test,
        note=note,
    )
    both = [(level, *bounds(delta, level)) for level in levels]
    return [replace(found, low=max(-1.0, low), high=min(1.0, high), level=level) for level, low, high in both]


def _checked(base: ArrayLike, other: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(base, dtype=float), np.asarray(other, dtype=float)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"scores of {a.shape} and {b.shape} items can't be paired: join them by item first")
    if not all(np.all((v >= 0) & (v <= 1)) for v in (a, b)):
        raise ValueError("a score is not a number in [0, 1]: leave out the items that either run has no score for")
    return a, b


def _weights(groups: Sequence[str] | None, n: int) -> np.ndarray:
    """What each item counts in the task's number; they sum to 1."""
    if groups is None:
        return np.full(n, 1 / n)
    sizes = Counter(groups)
    each = {g: 1 / (len(sizes) * size) for g, size in sizes.items()}
    return np.array([each[g] for g in groups])


def _units(clusters: Sequence[str] | None, n: int) -> np.ndarray:
    """Which independent unit each item belongs to, from 0."""
    if clusters is None or not any(clusters):
        return np.arange(n)
    known: dict[str | int, int] = {}
    return np.array([known.setdefault(c or i, len(known)) for i, c in enumerate(clusters)])


@dataclass(frozen=True, slots=True)
class _Spread:
    """How far independent units scatter: variance of the weighted mean, and as how many equal items they weigh."""

    variance: float
    size: float
    units: int

    @classmethod
    def about(cls, centre: float, d: np.ndarray, weights: np.ndarray, units: np.ndarray) -> _Spread:
        totals = np.bincount(units, weights=weights * (d - centre))
        size = min(1 / float(weights @ weights), len(totals))
        return cls(round(float(totals @ totals), 2 * ROUNDING), size, len(totals))

    @property
    def stderr(self) -> float:
        """Corrected for the mean being estimated; 0 for a single unit."""
        return math.sqrt(self.variance * self.units / (self.units - 1)) if self.units > 1 else 0.0

    @property
    def mde(self) -> float:
        return detectable(self.variance * self.size, max(2, round(self.size)))

    def student(self, delta: float, level: float) -> tuple[float, float]:
        low, high = stats.t.interval(level, self.units - 1, loc=delta, scale=self.stderr)
        return float(low), float(high)

    def adjusted(self, delta: float, level: float) -> tuple[float, float]:
        """Bonett and Price (2012): the Wald interval after one more item lost and one more gained."""
        n = self.size
        centre = delta * n / (n + 2)
        squares = n * (n * self.variance + delta**2)
        half = quantile(level) * math.sqrt(((squares + 2) / (n + 2) - centre**2) / (n + 2))
        return centre - half, centre + half


def _note(n: int, units: int, flips: int, flipped_units: int) -> str:
    if n < FEW_ITEMS:
        return "too few items"
    if not flips:
        return "identical answers"
    if units == 1:
        return "one cluster"
    return "too few flips to decide" if flipped_units < FEW_FLIPS else ""


def _sign_flips(totals: np.ndarray) -> tuple[float, float, float, str]:
    """Were each sign a coin's toss: p two-sided, p of a sum as low as this one, of one as high, and the test's name."""
    side = -1.0 if math.fsum(totals) < 0 else 1.0
    above, below, name = _tails(side * totals[np.argsort(np.abs(totals), kind="stable")])
    low, high = (above, below) if side < 0 else (below, above)
    return min(1.0, 2 * above), low, high, name


def _tails(totals: np.ndarray) -> tuple[float, float, str]:
    """P that random signs bring a sum of at least this one, and of at most this one; by rising magnitude."""
    m, sizes = len(totals), np.abs(totals)
    if m == 0:
        return 1.0, 1.0, "sign flips"
    if sizes[0] == sizes[-1]:
        above, below = (stats.binomtest(np.sum(totals > 0), m, alternative=a).pvalue for a in ("greater", "less"))
        return float(above), float(below), "sign flips"
    if np.sum(sizes**2) ** 2 >= MANY * np.sum(sizes**4):
        z = totals.sum() / math.sqrt(np.sum(sizes**2))
        return float(stats.norm.sf(z)), float(stats.norm.cdf(z)), "sign flips, normal limit"
    return *_drawn(totals), "sign flips"


def _drawn(totals: np.ndarray) -> tuple[float, float]:
    rng, sizes, m = np.random.default_rng(0), np.abs(totals), len(totals)

    def flipped(size: tuple[int, int]) -> np.ndarray:
        signed: np.ndarray = sizes * (1.0 - 2.0 * rng.integers(0, 2, size=size, dtype=np.int8))
        return signed

    draws, batch = min(FLIPS, 100 * BLOCK // m), max(1, BLOCK // m)
    found = stats.monte_carlo_test(totals, flipped, np.sum, n_resamples=draws, batch=batch, alternative="greater")
    below = np.count_nonzero(found.null_distribution <= found.statistic + 10.0**-ROUNDING)
    return float(found.pvalue), (below + 1) / (draws + 1)


def detectable(flip_rate: float, n: int, alpha: float = 0.05, power: float = 0.8) -> float:
    """Least true drop that a one-sided test of n items finds with this power; inf for fewer than 2 items.

    `flip_rate` is the share of items whose score changes; of fractional scores, the mean squared change.
    """
    if n < 2:
        return math.inf
    return _effect(n, alpha, power) * math.sqrt(flip_rate)


@lru_cache(maxsize=4096)
def _effect(n: int, alpha: float, power: float) -> float:
    """Of a one-sided t test, in standard deviations of an item's difference."""
    return float(TTestPower().solve_power(effect_size=None, nobs=n, alpha=alpha, power=power, alternative="larger"))


@lru_cache
def quantile(level: float) -> float:
    """Half a two-sided interval, in standard errors."""
    return float(stats.norm.ppf((1 + level) / 2))
