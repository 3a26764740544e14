"""One sample in Every Eval Ever's instance-level schema 0.3.0."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

from assay.harness.interchange.asked import Question
from assay.harness.records import utf8

ANSWERED = ("ok", "no_answer")
"""Statuses that are no error."""
Record = Mapping[str, Any]


def line(sample: Record, question: Question | None, why: str) -> dict[str, Any] | None:
    """What one answer was asked, said and scored; None where it has no finite score, which the schema demands.

    Args:
        sample: a record (`records.SAMPLES`); each draw is a line of its own.
        question: as it was asked; None where that is not known, and the prompt is empty.
        why: it is not known.
    """
    score = sample["score"]
    if score is None or not math.isfinite(score):
        return None
    choices = _choices(question)
    reference, said = _reference(sample, choices), _said(sample, choices)
    raw = utf8(_prompt(question))
    failed = sample["status"] not in ANSWERED
    return {
        "sample_id": sample["doc_id"],
        "sample_hash": _hash(raw, reference) if question else None,
        "interaction_type": "single_turn",
        "input": {"raw": raw, "reference": reference, **({"choices": choices} if choices else {})},
        "output": {"raw": said[:1]},
        "answer_attribution": [_attribution(sample, said)] if said else [],
        "evaluation": {"score": score, "is_correct": score == 1.0},
        "performance": {"latency_ms": sample["wall_s"] * 1000} if sample["wall_s"] is not None else None,
        "error": f"{sample['status']}: {sample['note']}".rstrip(": ") if failed else None,
        "metadata": _metadata(sample, why),
    }


def _choices(question: Question | None) -> list[str]:
    """The options; of a schema, where the contexts differ, these."""
    if question is None or max(len(question.contexts), len(question.continuations)) < 2:
        return []
    differ = len(set(question.continuations)) > 1 or len(set(question.contexts)) < 2
    return [utf8(t) for t in (question.continuations if differ else question.contexts)]


def _prompt(question: Question | None) -> str:
    """The text before the options; of a schema, the text that all of them go on to."""
    if question is None:
        return ""
    return question.contexts[0] if len(set(question.contexts)) == 1 else "".join(question.continuations[:1])


def _reference(sample: Record, choices: list[str]) -> list[str]:
    target = json.loads(sample["target"])
    if isinstance(target, int) and not isinstance(target, bool):
        return [choices[target] if target < len(choices) else str(target)]
    return [utf8(str(t)) for t in (target if isinstance(target, list) else [target])]


def _said(sample: Record, choices: list[str]) -> list[str]:
    """The answer and what was compared of it; nothing where a given text was only scored."""
    if sample["response"] is not None:
        return [sample["response"], sample["program"] or sample["extracted"] or sample["response"]]
    chosen = sample["predicted"]
    if chosen is None or len(sample["options"]) < 2:
        return []
    return [choices[chosen] if chosen < len(choices) else str(chosen)] * 2


def _attribution(sample: Record, said: list[str]) -> dict[str, Any]:
    how = "log-likelihood" if sample["response"] is None else "program" if sample["program"] else "filter"
    untouched = sample["response"] is not None and said[0] == said[1]
    return {
        "turn_idx": 0,
        "source": "output.raw",
        "extracted_value": said[1],
        "extraction_method": "none" if untouched else how,
        "is_terminal": True,
    }


def _hash(raw: str, reference: list[str]) -> str:
    """Over prompt and reference, as the schema's authors take it."""
    text = json.dumps({"raw": raw, "reference": reference}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _metadata(sample: Record, why: str) -> dict[str, str]:
    """All else that is known of it; their schema takes texts alone."""
    told = {k: str(sample[k]) for k in ("draw", "group", "cluster", "status", "note", "request_sha256", "form")}
    logprobs = [o["logprob"] if math.isfinite(o["logprob"] or 0.0) else None for o in sample["options"]]
    maps = {"logprobs": logprobs, "parts": dict(sample["parts"] or {})}
    found = {k: v for k, v in told.items() if v not in ("", "None")} | {k: json.dumps(v) for k, v in maps.items() if v}
    return found | ({"input": f"not known: {why}"} if why else {})
