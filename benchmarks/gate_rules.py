"""What other rules say of the checkpoints that benchmarks/gate.py simulates, beside this gate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache

import numpy as np
from scipy import stats

from assay.harness.gating.types import Report, Snapshot

GATE, KEY, UNCORRECTED = "this gate", "its first key alone (Holm)", "uncorrected McNemar, 0.05"
THRESHOLDS, MAX_DROPS = (0.01, 0.02, 0.05), (0.01, 0.015)


def threshold(drop: float) -> str:
    """A rule's name."""
    return f"any task drops by more than {100 * drop:g}"


def nemo_says(verdict: str, drop: float) -> str:
    """A rule's name; its verdict on a suite is the worst of its tasks'."""
    return f"NeMo's rule, max_drop {100 * drop:g}: {verdict}"


RULES = [
    *(GATE, KEY, UNCORRECTED),
    *map(threshold, THRESHOLDS),
    *(nemo_says(verdict, drop) for drop in MAX_DROPS for verdict in ("NO-GO", "inconclusive")),
]


def objections(report: Report) -> dict[str, set[str]]:
    """The tasks and composites that this gate blocks, and those that simpler rules would, by rule."""
    tasks = [f for f in report.findings if f.kind == "task"]
    found = {
        GATE: {f.name for f in report.findings if f.effect == "fail"},
        KEY: {f.name for f in report.findings if f.p_adjusted <= report.alpha},
        UNCORRECTED: {f.name for f in tasks if f.p <= 0.05},
    }
    return found | {threshold(drop): {f.name for f in tasks if f.delta < -drop} for drop in THRESHOLDS}


def nemo_objections(
    base: Snapshot, candidate: Snapshot, categories: Mapping[str, np.ndarray | None]
) -> dict[str, set[str]]:
    """The tasks that NeMo Evaluator's rule finds breached, and those that it can't decide, by `max_drop`."""
    bounds = {t: nemo(candidate.tasks[t].scores - base.tasks[t].scores, of) for t, of in categories.items()}
    found = {}
    for drop in MAX_DROPS:
        found[nemo_says("NO-GO", drop)] = {t for t, (_, high) in bounds.items() if high < -drop}
        found[nemo_says("inconclusive", drop)] = {t for t, (low, high) in bounds.items() if low < -drop <= high}
    return found


def nemo(d: np.ndarray, categories: np.ndarray | None) -> tuple[float, float]:
    """NeMo Evaluator's 95 % interval of a paired difference: Student's t, categories taken for clusters."""
    mean, n = float(d.mean()), len(d)
    totals = d - mean if categories is None else np.bincount(categories, weights=d - mean)
    m = len(totals)
    half = student(m - 1) * math.sqrt(float(totals @ totals) * m / (m - 1)) / n
    return mean - half, mean + half


@cache
def student(df: int) -> float:
    """Half a 95 % interval, in standard errors."""
    return float(stats.t.ppf(0.975, df))
