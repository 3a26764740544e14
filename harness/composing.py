"""Is one run better than another on a mean of tasks: the tasks' paired differences, put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scipy import stats

from assay.harness.comparing import FEW_FLIPS, Difference, quantile
from assay.harness.ranking import composite_stderr, variance_shares


@dataclass(frozen=True, slots=True, kw_only=True)
class CompositeDifference:
    """How two runs differ on a mean of centred scores: other minus base.

    Attributes:
        low, high: two-sided, of the level that its parts have.
        p, p_worse: two-sided, and one-sided of other being worse.
        shares: of the variance, per task; they sum to 1.
    """

    delta: float
    stderr: float
    low: float
    high: float
    p: float
    p_worse: float
    shares: Mapping[str, float]


def _error(d: Difference) -> float:
    """Standard error of a difference; what its interval leaves open, where few flips, or flips alone, show none."""
    return d.stderr if d.stderr > 0 and d.lost + d.gained >= FEW_FLIPS else (d.high - d.low) / (2 * quantile(d.level))


def composite_difference(
    parts: Mapping[str, Difference], baselines: Mapping[str, float], kin: Mapping[str, str]
) -> CompositeDifference:
    """Difference of a mean of centred scores from those of all its tasks, taken as normal.

    Other arguments are those of `ranking.composite_stderr`. The interval has the level of the parts.

    Raises:
        ValueError: no tasks, or a baseline outside [0, 1).
    """
    if not parts:
        raise ValueError("a composite of no tasks has no difference")
    errors = {task: _error(d) for task, d in parts.items()}
    stderr = composite_stderr(errors, baselines, kin)
    delta = sum(d.delta / (1 - baselines[t]) for t, d in parts.items()) / len(parts)
    half = quantile(min(d.level for d in parts.values())) * stderr
    return CompositeDifference(
        delta=delta,
        stderr=stderr,
        low=delta - half,
        high=delta + half,
        p=float(2 * stats.norm.sf(abs(delta) / stderr)),
        p_worse=float(stats.norm.cdf(delta / stderr)),
        shares=variance_shares(errors, baselines, kin),
    )
