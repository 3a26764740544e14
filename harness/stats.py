"""Intervals for one score: thin over SciPy and statsmodels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.proportion import proportion_confint


@dataclass(frozen=True, slots=True)
class Interval:
    """Standard error and 95 % interval of a score, in the score's own unit, and how they were found."""

    stderr: float
    low: float
    high: float
    method: str


def interval(groups: Mapping[str, Sequence[float]], clusters: Mapping[str, Sequence[str]]) -> Interval | None:
    """95 % interval of a task's score, items being the sample.

    Args:
        groups: values per category, each in [0, 1]; one group for a plain task.
        clusters: cluster ids alongside; all "" when items are independent.

    Returns:
        Cluster-robust t where clusters are named, with a degree of freedom less than clusters; Wilson for 0/1 values,
        stratified over categories; Student's t for fractional values. None when n or the clusters are too few.
    """
    values = np.concatenate([np.asarray(v, dtype=float) for v in groups.values()])
    ids = [c for group in groups for c in clusters[group]]
    if any(ids) and len(groups) == 1:
        return _clustered(values, ids)
    if set(np.unique(values)) <= {0.0, 1.0}:
        return _wilson(groups)
    return _student(values) if len(groups) == 1 else None


def _wilson(groups: Mapping[str, Sequence[float]]) -> Interval:
    """Wilson score interval; over categories with the effective sample size of an equally weighted mean.

    Categories are strata: G means of n_g items weigh as G^2 / sum(1 / n_g) items would in one sample, slightly
    conservative since it forgoes the variance between categories.
    """
    sizes = np.array([len(v) for v in groups.values()], dtype=float)
    means = np.array([np.mean(v) for v in groups.values()])
    p, n = float(means.mean()), float(len(sizes) ** 2 / np.sum(1 / sizes))
    low, high = proportion_confint(p * n, n, alpha=0.05, method="wilson")
    stderr = float(np.sqrt(np.sum(means * (1 - means) / sizes)) / len(sizes))
    return Interval(stderr, float(low), float(high), "wilson")


def wilson(p: float, n: float) -> Interval:
    """95 % interval of a mean of 0/1 values of which only the number is known.

    Args:
        p: the mean, in [0, 1].
        n: as many independent values as it weighs; need not be whole.
    """
    low, high = proportion_confint(p * n, n, alpha=0.05, method="wilson")
    return Interval(float(np.sqrt(p * (1 - p) / n)), min(float(low), p), max(float(high), p), "wilson")


def _student(values: np.ndarray) -> Interval | None:
    if len(values) < 2:
        return None
    bounds = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    return Interval(float(stats.sem(values)), float(bounds.low), float(bounds.high), "t")


def _clustered(values: np.ndarray, ids: Sequence[str]) -> Interval | None:
    names, codes = np.unique(np.asarray(ids), return_inverse=True)
    if len(names) < 2:
        return None
    if values.min() == values.max():  # no spread to estimate from: each cluster is one observation
        return _wilson({"": [float(values[0])] * len(names)})
    fit = sm.OLS(values, np.ones(len(values))).fit(cov_type="cluster", cov_kwds={"groups": codes}, use_t=True)
    low, high = fit.conf_int(0.05)[0]
    return Interval(float(fit.bse[0]), float(low), float(high), "cluster-robust t")
