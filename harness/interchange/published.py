"""A published number as a task's result: no samples, and no claim that would need them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from assay.harness import stats
from assay.harness.records import TaskResult
from assay.tasks import aggregate
from assay.tasks.spec import TaskSpec

NONE = "published mean, no samples"
PLAIN = "wilson (from the published mean and n)"
PARTS = "wilson (from the published mean, parts weighing alike)"
PASSAGES = "wilson (from the published mean, a passage counting once)"
WEIGH: Mapping[str, float] = {
    "mmlu_zeroshot": 9528.2,
    "mmlu_fewshot": 9528.2,
    "jeopardy": 2086.2,
    "bbq": 26985.1,
    "winograd": 156.2,
    "agi_eval_lsat_ar": 39.3,
    "agi_eval_lsat_rc": 39.4,
    "agi_eval_sat_en": 41.7,
    "squad": 1709.3,
    "coqa": 500.0,
}
"""As how many independent items a mean weighs, where it is not that of its rows.

Of G parts with n_g rows, whose means weigh alike: G^2 / sum(1 / n_g). Of n rows on passages with m rows each, at the
widest, were all answers on a passage right or wrong together: n^2 / sum(m^2); how far they are is in the samples, which
are not here. CoQA's development set has 500 passages (Reddy et al. 2019); its rows are no file of ours.
"""


def result(spec: TaskSpec, value: float, precision: float, fingerprint: str) -> TaskResult:
    """A task's published value, with what can be said of it without its samples.

    Args:
        spec: the task.
        value: in [0, 1].
        precision: by how much rounding has moved it at most.
        fingerprint: of the import.

    Returns:
        with an interval where the value is a mean over all rows of the task, each right or wrong; otherwise the message
        says that it is none, and n is 0.
    """
    found = TaskResult(
        task=spec.name,
        status="ok",
        fingerprint=fingerprint,
        version=spec.version,
        value=value,
        method=NONE,
        centred_v1=aggregate.centre(value, spec.baseline.v1) if spec.baseline else None,
        centred_v2=aggregate.centre(value, spec.baseline.v2) if spec.baseline else None,
    )
    if not spec.categories and not _share(value, spec.rows, precision):
        why = f"no share of this task's {spec.rows} rows: other rows than here, or a part of them; no interval"
        return dataclasses.replace(found, message=why)
    known = stats.wilson(value, WEIGH.get(spec.name, spec.rows))
    method = PARTS if spec.categories else PASSAGES if spec.cluster else PLAIN
    return dataclasses.replace(found, n=spec.rows, stderr=known.stderr, low=known.low, high=known.high, method=method)


def _share(value: float, n: int, precision: float) -> bool:
    """Whether some number of right answers among n gives this mean."""
    return abs(round(value * n) / n - value) <= precision
