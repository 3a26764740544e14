"""Answers to scores by lm-eval's own filters, metrics and aggregation; a judge of ours beside them where one is due."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from assay.tasks import lm_eval_opening
from assay.tasks.aggregate import by_group
from assay.tasks.spec import TaskSpec
from assay.tasks.types import Answer, Generation, Likelihood, Sample, Score, Status

INVALID = ("[invalid]", "[invalidanswer]")
"""What lm-eval's filters say where they find no answer."""
NUMBER = re.compile(r"-?\$?\d[\d,]*(?:\.\d+)?")
LENGTHS: dict[str, Callable[[str], float]] = {
    "acc": lambda _: 1.0,
    "acc_norm": len,
    "acc_bytes": lambda choice: len(choice.encode()),
}
"""What an option's log-probability is divided by under each of lm-eval's accuracies."""
MARKS = ("####", "answer is")
BESIDE = "assay number"


def score(spec: TaskSpec, sample: Sample, answer: Answer) -> Score:
    """What lm-eval makes of one document's answers: its metrics under each filter, the task's own first.

    Filters are applied to one document at a time, which for every filter that lm-eval ships is the same as to all.
    """
    task = lm_eval_opening.opened(spec, sample.group)
    instances = _instances(task, sample, answer)
    raw: dict[str, Any] = {}
    with lm_eval_opening.saying(spec, f"document {sample.doc_id}"):
        for ensemble in task._filters:
            ensemble.apply(instances)
            filtered = [x.filtered_resps[ensemble.name] for x in instances]
            found = task.process_results(sample.fields, filtered)
            raw |= {f"{metric},{ensemble.name}": value for metric, value in found.items()}
    main = main_metric(spec, raw)
    parts = {k: float(v) for k, v in raw.items() if _is_number(v)}
    if spec.lm_eval and spec.lm_eval.beside:
        parts[BESIDE] = raw[BESIDE] = float(_same_number(_text(answer), _gold(sample)))
    extracted = _extracted(task, instances, main)
    value = parts[main] if main in parts else _alone(task, main, raw[main])
    return Score(
        value=value,
        extracted=extracted,
        status=_status(extracted, value, answer),
        tied=_tied(task, answer),
        parts=parts,
        raw=raw,
    )


def main_metric(spec: TaskSpec, found: Mapping[str, Any]) -> str:
    """The metric that is the task's number: what its spec says, else the first."""
    wanted = spec.lm_eval.metric if spec.lm_eval else ""
    if wanted and wanted not in found:
        raise lm_eval_opening.LmEvalError(f"task '{spec.name}' has no metric '{wanted}'; it has {', '.join(found)}")
    return wanted or next(iter(found))


def _instances(task: Any, sample: Sample, answer: Answer) -> list[Any]:
    """lm-eval's Instances holding our answers; windows of a rolling text are one instance, and so are its draws."""
    from lm_eval.api.instance import Instance

    kind = task.OUTPUT_TYPE
    texts = [r.text for r in answer.responses if isinstance(r, Generation)]
    pairs = [(r.logprob, r.greedy) for r in answer.responses if isinstance(r, Likelihood)]
    given: list[list[Any]] = [[pair] for pair in pairs]
    if kind == "loglikelihood_rolling":
        given = [[sum(logprob for logprob, _ in pairs)]]
    elif texts:
        repeats = int(task.config.repeats or 1)
        given = [texts if len(texts) > 1 else texts * repeats]
    return [
        Instance(
            request_type=kind if kind != "multiple_choice" else "loglikelihood",
            doc=sample.fields,
            arguments=("",),
            idx=i,
            metadata=(sample.task, i, len(resps)),
            resps=list(resps),
        )
        for i, resps in enumerate(given)
    ]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) or (hasattr(value, "item") and getattr(value, "ndim", 1) == 0)


def _alone(task: Any, metric: str, raw: Any) -> float:
    """The aggregation over one document alone, for metrics that aggregate pairs: bits per byte, say; else NaN."""
    try:
        return float(_aggregation(task, metric)([raw]))
    except (ValueError, TypeError, ZeroDivisionError, OverflowError):
        return math.nan


def _extracted(task: Any, instances: Sequence[Any], main: str) -> int | str | None:
    if task.OUTPUT_TYPE == "generate_until":
        found = instances[0].filtered_resps.get(main.rpartition(",")[2])
        return None if found in INVALID else str(found)
    lengths = LENGTHS.get(main.partition(",")[0])
    if task.OUTPUT_TYPE == "multiple_choice" and lengths is not None:
        choices = task.doc_to_choice(instances[0].doc)
        logprobs = [x.resps[0][0] / lengths(c) for x, c in zip(instances, choices, strict=False)]
        return logprobs.index(max(logprobs))
    return None


def _status(extracted: int | str | None, value: float, answer: Answer) -> Status:
    texts = [r for r in answer.responses if isinstance(r, Generation)]
    if not texts or value > 0:
        return "ok"
    if not texts[0].stopped:
        return "truncated"
    return "no_answer" if extracted is None else "ok"


def _tied(task: Any, answer: Answer) -> bool:
    logprobs = {r.logprob for r in answer.responses if isinstance(r, Likelihood)}
    return task.OUTPUT_TYPE == "multiple_choice" and len(answer.responses) > 1 and len(logprobs) == 1


def aggregate(spec: TaskSpec, scored: Sequence[tuple[Sample, Score]]) -> dict[str, float]:
    """Every metric over the task: lm-eval's aggregation in each category, then their mean, by size for `micro`.

    `macro METRIC` is the plain mean over categories where the weighted one is the task's number; `GROUP METRIC` is the
    weighted mean over lm-eval's tags of the categories' tasks (stem, humanities, ...).
    """
    found: dict[str, float] = {}
    for metric in dict.fromkeys(m for _, s in scored for m in s.raw):
        values = by_group((sample.group, s.raw[metric]) for sample, s in scored if metric in s.raw)
        with lm_eval_opening.saying(spec, f"aggregation of {metric}"):
            means = {g: float(_aggregation(lm_eval_opening.opened(spec, g), metric)(v)) for g, v in values.items()}
        sizes = {g: len(v) for g, v in values.items()}
        plain = sum(means.values()) / len(means)
        found[metric] = _weighted(means, sizes, means) if spec.mean == "micro" else plain
        if spec.mean == "micro":
            found[f"macro {metric}"] = plain
            for name, members in lm_eval_opening.tags(spec, sorted(means)).items():
                found[f"{name} {metric}"] = _weighted(means, sizes, members)
    return found


def _weighted(means: Mapping[str, float], sizes: Mapping[str, int], members: Any) -> float:
    return sum(means[g] * sizes[g] for g in members) / sum(sizes[g] for g in members)


def _aggregation(task: Any, metric: str) -> Any:
    """lm-eval's own for its metrics, the mean for ours and those without (`_compute_task_aggregations`)."""
    from lm_eval.api.metrics import mean

    return task.aggregation().get(metric.rpartition(",")[0], mean)


def higher_is_better(spec: TaskSpec, group: str, metric: str) -> bool:
    """False for perplexities and their like."""
    return bool(lm_eval_opening.opened(spec, group).higher_is_better().get(metric.rpartition(",")[0], True))


def _text(answer: Answer) -> str:
    return next((r.text for r in answer.responses if isinstance(r, Generation)), "")


def _gold(sample: Sample) -> str:
    return sample.target[0] if isinstance(sample.target, tuple) else str(sample.target)


def number(text: str) -> Decimal | None:
    """The answer that a worked solution ends in: the number after the first mark ("####", "answer is"), else its last.

    Currency, thousands commas and a full stop after it are no part of it. lm-eval's filters read "1,800.00." as
    "1,800.00." and "The answer is 18" as "1" (PARITY D 16, 17).
    """
    marked = [at + len(mark) for mark in MARKS if (at := text.find(mark)) >= 0]
    found = NUMBER.findall(text[min(marked) :]) if marked else NUMBER.findall(text)
    if not found:
        return None
    try:
        return Decimal((found[0] if marked else found[-1]).replace("$", "").replace(",", ""))
    except InvalidOperation:
        return None


def _same_number(said: str, gold: str) -> bool:
    wanted = number(gold)
    return wanted is not None and number(said) == wanted
