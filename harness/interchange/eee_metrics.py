"""What Every Eval Ever calls a task's number, and between which bounds it lies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from assay.harness.interchange import export_samples
from assay.harness.interchange.export_samples import Record
from assay.harness.records import TaskResult
from assay.tasks.spec import TaskSpec

HARNESS = "lm-evaluation-harness"
"""Its registry's name of lm-eval, before names of metrics that the registry lacks."""
KINDS = {"generation": "exact_match", "code": "pass@1"}
"""Numbers of our own kinds; of those that choose among options it is `acc`."""
KNOWN = {
    "acc": ("accuracy", "accuracy", 0.0, 1.0),
    "acc_norm": (f"{HARNESS}.acc_norm", "accuracy", 0.0, 1.0),
    "acc_bytes": (f"{HARNESS}.acc_bytes", "accuracy", 0.0, 1.0),
    "exact_match": ("exact-match", "accuracy", 0.0, 1.0),
    "em": ("exact-match", "accuracy", 0.0, 1.0),
    "f1": ("f1", "f1", 0.0, 1.0),
    "mcc": (f"{HARNESS}.mcc", "correlation", -1.0, 1.0),
    "rouge1": ("rouge-1", "text_overlap", 0.0, 1.0),
    "rouge2": ("rouge-2", "text_overlap", 0.0, 1.0),
    "rougeL": ("rouge-l", "text_overlap", 0.0, 1.0),
    "bleu": ("bleu", "text_overlap", 0.0, 100.0),
    "chrf": (f"{HARNESS}.chrf", "text_overlap", 0.0, 100.0),
    "ter": (f"{HARNESS}.ter", "edit_distance", 0.0, math.inf),
    "brier_score": (f"{HARNESS}.brier_score", "brier_score", 0.0, 2.0),
    "perplexity": ("perplexity", "perplexity", 1.0, math.inf),
    "word_perplexity": (f"{HARNESS}.word_perplexity", "perplexity", 1.0, math.inf),
    "byte_perplexity": (f"{HARNESS}.byte_perplexity", "perplexity", 1.0, math.inf),
    "bits_per_byte": (f"{HARNESS}.bits_per_byte", "compression_rate", 0.0, math.inf),
    "pass@1": ("pass-at-1", "pass_rate", 0.0, 1.0),
    "score": ("assay.score", "", 0.0, 1.0),
}
"""Id, family, least and greatest value by lm-eval's name or ours; `score` is a share that nobody named."""
UNITS = {(0.0, 1.0): "proportion", (0.0, 100.0): "percent"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One number's name there; bounds are None where nobody knows them.

    Attributes:
        name: lm-eval's or ours; the filter that it is of stands after a colon, where there are several.
        id: what records of other harnesses are joined by.
        kind: its family, or "".
    """

    name: str
    id: str
    kind: str
    bounds: tuple[float, float] | None

    def config(self, *, lower_is_better: bool) -> dict[str, Any]:
        """`metric_config`; an unbounded end is a word, since JSON has no infinity."""
        found: dict[str, Any] = {"metric_id": self.id, "metric_name": self.name, "lower_is_better": lower_is_better}
        found |= {"metric_kind": self.kind} if self.kind else {}
        if self.bounds is None:
            return found | {"additional_details": {"bounds_status": "unknown"}}
        low, high = (x if math.isfinite(x) else "Infinity" for x in self.bounds)
        found |= {"metric_unit": UNITS[self.bounds]} if self.bounds in UNITS else {}
        return found | {"score_type": "continuous", "min_score": low, "max_score": high}


def of(result: TaskResult, samples: Sequence[Record], spec: TaskSpec | None) -> Metric:
    """The metric that a task's value is.

    Args:
        result: of the task, with a value.
        samples: of the task, where it has some: they tell its kind.
        spec: of the task, where it is here.
    """
    name, _, chosen = _said(result, samples, spec).partition(",")
    known, kind, *bounds = KNOWN.get(name, (f"{HARNESS}.{name}", "", math.inf, -math.inf))
    low, high = bounds
    value = 0.0 if result.value is None else result.value
    return Metric(
        name=name if chosen in ("", "none") else f"{name}:{chosen}",
        id=known,
        kind=kind,
        bounds=(low, high) if low <= value <= high else None,
    )


def _said(result: TaskResult, samples: Sequence[Record], spec: TaskSpec | None) -> str:
    """lm-eval's `metric,filter`, or the name of a number of ours."""
    if samples or any("," in name for name in result.metrics):
        wanted = spec.lm_eval.metric if spec and spec.lm_eval else ""
        kind = export_samples.output_type(result, samples)
        return next(iter(export_samples.numbers(result, kind, samples, wanted).metrics))
    if "pass@1" in result.metrics:
        return "pass@1"
    return "score" if spec is None else KINDS.get(spec.kind, "acc")
