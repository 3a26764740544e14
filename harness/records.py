"""What a run leaves behind: the plan it started with, one row a sample, one result a task."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import pyarrow as pa

from assay.harness import fingerprint
from assay.tasks.types import Answer, Generation, Likelihood, Response, Sample, Score

SCHEMA_VERSION = 3
READABLE = (2, 3)
"""Versions whose runs this one reads; what they lack has a default."""
MAX_NOTE = 500

TaskStatus = Literal["ok", "partial", "no_data", "incomplete", "constant_scorer"]
"""Only `ok` and `partial` have a value. `partial`: the answers cover a part of the task, and that part is scored.
`incomplete`: a sample met an infra_error; run again. `constant_scorer`: every option of every document tied, so the
number would be the tie rule's, not the model's (PARITY D 6)."""
FINAL = ("ok", "partial", "constant_scorer")
"""A task with one of these is measured; with any other it is done again, from what its journal has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Which model, as a user speaks of it.

    Attributes:
        label: folder or Hub name, for tables.
        step, tokens: of training, when a state file or the name tells.
        parameters: of the model, when a state file tells.
    """

    label: str
    step: int | None = None
    tokens: int | None = None
    parameters: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run set out to do, written before the first question. The same plan resumes the run.

    Attributes:
        identity: of the backend; weights by hash, engine, dtype. Two runs agree only if it is equal.
        tasks: fingerprint of each task, "" where it had no data.
        docs: [start, stop, limit] rows within each category; stop and limit may be null (`DocRange`).
        options: what the user passed; batch size and device among them, which are recorded and never hashed.
    """

    run_id: str
    created: str
    assay_version: str
    identity: Mapping[str, str]
    checkpoint: Checkpoint
    tasks: Mapping[str, str]
    docs: tuple[int, int | None, int | None]
    options: Mapping[str, Any]
    environment: Mapping[str, Any]
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResult:
    """One task's number and all that defends it.

    Attributes:
        value: in [0, 1], but for perplexities; None unless status is `ok` or `partial`.
        low, high: 95 % interval; `method` says how.
        centred_v1, centred_v2: 0 at the baseline, 1 at perfect.
        counts: samples per status. truncated: samples whose context lost its left end.
        groups: value and n per category.
        wall_s: seconds waiting for the model (once a run), rendering, in the model, waiting for grades, the rest.
        metrics: further numbers by name: `pass@k`, `base pass@1`, `verified pass@1`; lm-eval's `metric,filter`.
        checker: who judged, for code: checker, dataset, image digest and cell; part of the fingerprint.
        usage: tokens in and out of the model, seconds of programs in the sandbox, estimated cost in US dollars; of
            log-likelihoods on `hf:` `tokens_asked` (each request alone), `tokens_unique` (without any that are shared)
            and `tokens_forwarded`, in the session that finished the task: what an earlier one answered is not in them.
        message: what is wrong and what to do, when there is no value; how the data deviates, when it does.
    """

    task: str
    status: TaskStatus
    fingerprint: str = ""
    version: int = 1
    value: float | None = None
    stderr: float | None = None
    low: float | None = None
    high: float | None = None
    method: str = ""
    n: int = 0
    centred_v1: float | None = None
    centred_v2: float | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    truncated: int = 0
    groups: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    wall_s: Mapping[str, float] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    checker: Mapping[str, str] = field(default_factory=dict)
    samples_sha256: str = ""
    message: str = ""
    higher_is_better: bool = True
    usage: Mapping[str, float] = field(default_factory=dict)

    def is_final(self, planned: str) -> bool:
        """Whether it stands under a plan that gives the task this fingerprint; if not, the task is done again."""
        return self.status in FINAL and self.fingerprint == fingerprint.graded(planned, self.checker)


SAMPLES = pa.schema(
    [
        ("doc_id", pa.string()),
        ("draw", pa.int32()),
        ("group", pa.string()),
        ("cluster", pa.string()),
        ("request_sha256", pa.string()),
        (
            "options",
            pa.list_(
                pa.struct(
                    [
                        ("logprob", pa.float64()),
                        ("tokens", pa.int32()),
                        ("bytes", pa.int32()),
                        ("greedy", pa.bool_()),
                    ]
                )
            ),
        ),
        ("response", pa.string()),
        ("response_tokens", pa.int32()),
        ("stopped", pa.bool_()),
        ("predicted", pa.int32()),
        ("extracted", pa.string()),
        ("target", pa.string()),
        ("score", pa.float64()),
        ("correct", pa.bool_()),
        ("status", pa.string()),
        ("truncated", pa.int32()),
        ("note", pa.string()),
        ("wall_s", pa.float64()),
        ("form", pa.string()),
        ("parts", pa.map_(pa.string(), pa.float64())),
        ("program", pa.string()),
        ("stderr", pa.string()),
        ("run_s", pa.float64()),
        ("memory_mib", pa.float64()),
    ]
)
"""One row a sample. `target` is JSON: an option's index, a continuation, or a list of accepted answers.
`truncated` counts context tokens cut from the left. `logprob` is in nats, summed."""


def sample_row(sample: Sample, answer: Answer, score: Score, draw: int = 0) -> dict[str, Any]:
    """The record of one sample; of several draws, the one that the score is of."""
    texts = [r for r in answer.responses if isinstance(r, Generation)]
    text = texts[draw] if texts else None
    return {
        "doc_id": sample.doc_id,
        "draw": draw,
        "group": sample.group,
        "cluster": sample.cluster,
        "request_sha256": answer.request_sha256,
        "options": [
            {"logprob": r.logprob, "tokens": r.tokens, "bytes": r.nbytes, "greedy": r.greedy}
            for r in answer.responses
            if isinstance(r, Likelihood)
        ],
        "response": utf8(text.text) if text else None,
        "response_tokens": text.tokens if text else None,
        "stopped": text.stopped if text else None,
        "predicted": score.extracted if isinstance(score.extracted, int) else None,
        "extracted": utf8(score.extracted) if isinstance(score.extracted, str) else None,
        "target": json.dumps(sample.target, ensure_ascii=False),
        "score": score.value,
        "correct": None if score.value is None else score.value == 1.0,
        "status": score.status,
        "truncated": answer.dropped,
        "note": utf8(score.note[:MAX_NOTE]),
        "wall_s": answer.wall_s,
        "form": text.form if text else None,
        "parts": list(score.parts.items()),
        "program": None if score.program is None else utf8(score.program),
        "stderr": utf8(score.stderr),
        "run_s": score.run_s,
        "memory_mib": score.memory_mib,
    }


def utf8(text: str) -> str:
    """The text with halves of surrogate pairs, which no file can hold, written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def sample_json(task: str, row: Mapping[str, Any]) -> str:
    """One line of `assay samples`: the record with its target as a value; a NaN, which JSON lacks, as null."""
    options = [o | {"logprob": _finite(o["logprob"])} for o in row["options"]]
    parts = {k: _finite(v) for k, v in row["parts"]}
    known = {"options": options, "target": json.loads(row["target"]), "parts": parts, "score": _finite(row["score"])}
    return json.dumps({"task": task, **row, **known}, ensure_ascii=False)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def table(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Sample records as Arrow."""
    return pa.Table.from_pylist(list(rows), schema=SAMPLES)


def answer_json(answer: Answer) -> list[Any]:
    """One journal entry; floats survive the round trip exactly."""
    return [
        answer.doc_id,
        answer.request_sha256,
        answer.dropped,
        answer.fault,
        answer.wall_s,
        [_response_json(r) for r in answer.responses],
        [answer.tokens_in, answer.tokens_out],
    ]


def _response_json(r: Response) -> list[Any]:
    if isinstance(r, Likelihood):
        return ["L", r.logprob, r.tokens, r.nbytes, r.greedy]
    return ["G", r.text, r.stopped, r.tokens, r.broken, r.form]


def answer_from_json(entry: list[Any]) -> Answer:
    """The inverse of `answer_json`."""
    doc_id, sha, dropped, fault, wall_s, responses, *tokens = entry
    tokens_in, tokens_out = tokens[0] if tokens else (0, 0)  # a journal of schema 2 has none
    return Answer(
        doc_id=doc_id,
        request_sha256=sha,
        dropped=dropped,
        fault=fault,
        wall_s=wall_s,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        responses=tuple(
            Likelihood(logprob=r[1], tokens=r[2], nbytes=r[3], greedy=r[4])
            if r[0] == "L"
            else Generation(text=r[1], stopped=r[2], tokens=r[3], broken=r[4], form=r[5])
            for r in responses
        ),
    )


def to_json(record: Plan | TaskResult) -> dict[str, Any]:
    """A record as plain JSON values."""
    return asdict(record)


def plan_from_json(data: Mapping[str, Any]) -> Plan:
    """A plan read back from disk."""
    fields = dict(data) | {
        "checkpoint": Checkpoint(**data["checkpoint"]),
        "docs": (*data["docs"], None)[:3],
    }
    return Plan(**fields)


def result_from_json(data: Mapping[str, Any]) -> TaskResult:
    """A task result read back from disk."""
    groups = {g: (float(v), int(n)) for g, (v, n) in data["groups"].items()}
    return TaskResult(**(dict(data) | {"groups": groups}))
