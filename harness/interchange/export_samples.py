"""Records of one task as lm-eval 0.4.13 logs samples: one line a document and filter (`evaluator.py`, `evaluate`)."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from assay.harness.interchange.asked import Question
from assay.harness.records import TaskResult, utf8

PERPLEXITIES = ("word_perplexity", "byte_perplexity", "bits_per_byte")
"""Metrics of `loglikelihood_rolling` tasks alone."""
SAME = 1e-9
"""Two ways to add up one mean differ by less."""
OWN = {"multiple_choice": "acc", "loglikelihood": "acc", "generate_until": "exact_match"}
"""What lm-eval calls the number of our own kinds, by its `output_type`; code is `pass@1`."""
Record = Mapping[str, Any]


def output_type(result: TaskResult, samples: Sequence[Record]) -> str:
    """lm-eval's name for what was asked."""
    if any(name.partition(",")[0] in PERPLEXITIES for name in result.metrics):
        return "loglikelihood_rolling"
    options = max((len(s["options"]) for s in samples), default=0)
    return ("generate_until", "loglikelihood", "multiple_choice")[min(options, 2)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """A task's numbers as lm-eval names them.

    Attributes:
        metrics: every number by `metric,filter`, standard errors (`metric_stderr,filter`) included; the task's own
            first. What a judge of ours says beside lm-eval's is none of them.
        scored: the one that the samples' `score` is; "" where their parts have every one by its name.
        extracted: the filter that the samples' `extracted` is of; "" where nothing tells.
    """

    metrics: Mapping[str, float]
    scored: str
    extracted: str


def numbers(result: TaskResult, kind: str, samples: Sequence[Record], wanted: str) -> Numbers:
    """The numbers of a task that has a value.

    Args:
        result: of the task.
        kind: lm-eval's output type.
        samples: of the task; the order of their parts is lm-eval's order of the metrics.
        wanted: the metric that the task's spec says is its number; "" where it says none or is not here.
    """
    value = 0.0 if result.value is None else result.value
    if not any("," in name for name in result.metrics):
        main = "pass@1,none" if "pass@1" in result.metrics else f"{OWN[kind]},none"
        named = {f"{k},none": v for k, v in result.metrics.items()}
        return Numbers(metrics={main: value, **named}, scored=main, extracted="")
    kept = {k: v for k, v in result.metrics.items() if "," in k}
    same = [k for k, v in kept.items() if abs(v - value) < SAME and not is_stderr(k)]
    order = [wanted, *(name for sample in samples[:1] for name, _ in sample["parts"])]
    main = next((k for k in order if k in same), min(same, key=lambda k: " " in k, default="value,none"))
    filters = {k.partition(",")[2] for k in same}
    sure = main == wanted or len(filters) == 1
    return Numbers(metrics={main: value, **kept}, scored="", extracted=main.partition(",")[2] if sure else "")


def is_stderr(name: str) -> bool:
    """It is the standard error of another number."""
    return name.partition(",")[0].endswith("_stderr")


def stderr_of(name: str) -> str:
    """What lm-eval calls the standard error of a number."""
    metric, _, chosen = name.partition(",")
    return f"{metric}_stderr,{chosen}"


def lines(
    samples: Sequence[Record], found: Numbers, kind: str, questions: Mapping[str, Question]
) -> Iterator[dict[str, Any]]:
    """Sample lines, documents in the order of the records, filters within each.

    Args:
        samples: of one task; the draws of a document follow one another and share a line.
        found: the task's numbers.
        kind: lm-eval's output type.
        questions: by `doc_id`; of others document, arguments and their hashes are null.
    """
    by_filter: dict[str, list[str]] = {}
    for name in found.metrics:
        if not is_stderr(name):
            by_filter.setdefault(name.partition(",")[2], []).append(name)
    grouped = groupby(samples, key=lambda s: str(s["doc_id"]))
    for at, (doc_id, same) in enumerate(grouped):
        draws = list(same)
        asked = questions.get(doc_id)
        for chosen, names in by_filter.items():
            scores = {n.partition(",")[0]: _score(draws, n, found.scored) for n in names}
            known = {m: v for m, v in scores.items() if v is not None}
            yield {
                "doc_id": int(doc_id) if doc_id.isdecimal() else at,
                **_document(draws[0], kind, asked),
                "resps": _answers(draws, kind),
                "filtered_resps": _filtered(draws, kind, found, chosen),
                "filter": chosen,
                "metrics": list(known),
                **_hashes(draws[0], kind, asked),
                **known,
                "assay": {k: [d[k] for d in draws] for k in ("doc_id", "request_sha256", "status", "score")},
            }


def _document(sample: Record, kind: str, asked: Question | None) -> dict[str, Any]:
    arguments = None
    if asked is not None:
        pairs = enumerate(_arguments(kind, asked))
        arguments = {f"gen_args_{i}": {f"arg_{j}": a for j, a in enumerate(pair)} for i, pair in pairs}
    return {"doc": None if asked is None else asked.row, "target": _target(sample), "arguments": arguments}


def _arguments(kind: str, asked: Question) -> list[tuple[str, ...]]:
    if kind == "loglikelihood_rolling":
        return [(asked.continuations[0],)]
    if asked.continuations:
        return list(zip(asked.contexts, asked.continuations, strict=True))
    return [asked.contexts]


def _target(sample: Record) -> str:
    """A single accepted answer is the target itself; of several, lm-eval writes the list as text."""
    target = json.loads(sample["target"])
    return str(target[0] if isinstance(target, list) and len(target) == 1 else target)


def _answers(draws: Sequence[Record], kind: str) -> list[Any]:
    """Every leaf is text, as lm-eval writes it (`sanitize_list`)."""
    options = draws[0]["options"]
    if kind == "loglikelihood_rolling":
        return [[_whole(options)]]
    return [[p] for p in _pairs(options)] if options else [[d["response"] for d in draws]]


def _filtered(draws: Sequence[Record], kind: str, found: Numbers, chosen: str) -> list[Any] | None:
    """What a filter left; None of a text that lm-eval filtered, but for the filter that `extracted` is of."""
    options = draws[0]["options"]
    if kind == "loglikelihood_rolling":
        return [_whole(options)]
    if options:
        return _pairs(options)
    if not found.scored:
        left = draws[0]["extracted"] if chosen == found.extracted else None
        return None if left is None else [left]
    texts = [d["response"] for d in draws]
    return texts if len(texts) == 1 else [texts]


def _pairs(options: Sequence[Record]) -> list[list[str]]:
    return [[str(o["logprob"]), str(o["greedy"])] for o in options]


def _whole(options: Sequence[Record]) -> str:
    """The log-probability of a text, from those of its windows."""
    return str(sum(o["logprob"] for o in options))


def _score(draws: Sequence[Record], name: str, scored: str) -> float | None:
    """A sample's value of a metric: a part of it, or its score where that is `scored`; of several draws the mean."""
    found = [d["score"] if name == scored else dict(d["parts"]).get(name) for d in draws]
    known = [float(f) for f in found if f is not None and math.isfinite(f)]
    return sum(known) / len(known) if len(known) == len(found) else None


def _hashes(sample: Record, kind: str, asked: Question | None) -> dict[str, str | None]:
    """Of document, prompt and target as lm-eval takes them (`evaluate`)."""
    found: dict[str, str | None] = {"doc_hash": None, "prompt_hash": None, "target_hash": text_sha256(_target(sample))}
    if asked is not None:
        row = json.dumps(asked.row, indent=2, default=str, ensure_ascii=False)
        found |= {"doc_hash": text_sha256(row), "prompt_hash": text_sha256(_arguments(kind, asked)[0][0])}
    return found


def text_sha256(text: str) -> str:
    """sha256 of a text in UTF-8, in hex."""
    return hashlib.sha256(utf8(text).encode()).hexdigest()
