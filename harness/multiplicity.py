"""Many tests at once: adjusted p values of a family. Thin over SciPy and statsmodels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests


def holm(p: Mapping[str, float | None], alpha: float = 0.05) -> dict[str, float | None]:
    """Holm's adjusted p, valid however the tasks depend on each other; None and NaN stay None and don't count."""
    return _adjusted(p, lambda known: multipletests(known, alpha, method="holm")[1])


def benjamini_hochberg(p: Mapping[str, float | None]) -> dict[str, float | None]:
    """Benjamini and Hochberg's adjusted p, for a look over many tasks; None and NaN stay None and don't count."""
    return _adjusted(p, lambda known: stats.false_discovery_control(known, method="bh"))


def _adjusted(p: Mapping[str, float | None], method: Callable[[list[float]], np.ndarray]) -> dict[str, float | None]:
    known = {k: v for k, v in p.items() if v is not None and not math.isnan(v)}
    found = method(list(known.values())) if known else np.array([])
    return dict.fromkeys(p) | {k: float(v) for k, v in zip(known, found, strict=True)}
