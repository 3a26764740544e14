"""Sample records of strangers: each row held against itself and against its task's rule."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from assay.harness.records import utf8
from assay.harness.submission.findings import SubmissionError
from assay.tasks import scorers
from assay.tasks.spec import TaskSpec
from assay.tasks.types import Answer, Form, Generation, Likelihood, Response, Sample, Score, Status

WHOLE = ("doc_id", "draw", "group", "cluster", "request_sha256", "options", "target", "status", "note", "parts")
"""Columns that are never null."""
REQUEST = r"^([0-9a-f]{64}|prompt [0-9a-f]{0,64}|)$"
FREE_TEXT = ("response", "extracted", "note", "program", "stderr", "form")
SURROGATE = re.compile(r"\\ud[89a-f]")
"""Half of a pair that was written as an escape: the record is not quite what was scored."""

Masks = Iterable[tuple[str, Any]]
"""What is wrong, and in which rows: booleans."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a file of samples; `row` is the first that has it, from 0, None where it is of all."""

    what: str
    row: int | None = None


def faults(masks: Masks) -> Iterator[Fault]:
    """Each fault that any row has, with the first of its rows and how many there are."""
    for what, wrong in masks:
        rows = np.flatnonzero(mask(wrong))
        if len(rows):
            yield Fault(what if len(rows) == 1 else f"{what} ({len(rows):,} rows)", int(rows[0]))


def mask(wrong: Any) -> np.ndarray:
    """Booleans of Arrow whose nulls are no, or of numpy."""
    if isinstance(wrong, np.ndarray):
        return wrong
    return np.asarray(pc.fill_null(wrong, False).to_numpy(zero_copy_only=False))


def consistent(t: pa.Table, *, imported: bool, fractions: bool) -> Masks:
    """What every record must be, whatever its task.

    Args:
        t: the records.
        imported: another tool kept no score of some samples.
        fractions: scores are in [0, 1].
    """
    for name in WHOLE:
        yield f"'{name}' is empty", pc.is_null(t[name])
    unscored, infra = pc.is_null(t["score"]), pc.equal(t["status"], "infra_error")
    yield "its status is none that assay knows", pc.invert(pc.is_in(t["status"], pa.array(get_args(Status))))
    yield "its form is none that assay knows", pc.and_not(pc.is_valid(t["form"]), pc.is_in(t["form"], _texts(Form)))
    yield "'request_sha256' is no hash", pc.invert(pc.match_substring_regex(t["request_sha256"], REQUEST))
    yield "the sample stands twice", _repeated(t)
    yield "an infra error has a score", pc.and_not(infra, unscored)
    if not imported:
        yield "it has no score, and its status is no infra error", pc.and_not(unscored, infra)
    if fractions:
        inside = pc.and_(pc.greater_equal(t["score"], 0.0), pc.less_equal(t["score"], 1.0))
        yield "its score is not in [0, 1]", pc.and_not(pc.is_valid(t["score"]), inside)
    right = pc.equal(t["score"], 1.0)
    yield "'correct' is not what its score says", pc.not_equal(t["correct"], right)
    yield "'correct' is not what its score says", pc.xor(pc.is_null(t["correct"]), unscored)


def _texts(kind: Any) -> pa.Array:
    return pa.array(get_args(kind))


def _repeated(t: pa.Table) -> np.ndarray:
    keys: set[tuple[Any, Any]] = set()
    again = np.zeros(len(t), dtype=bool)
    for i, key in enumerate(zip(t["doc_id"].to_pylist(), t["draw"].to_pylist(), strict=True)):
        again[i] = key in keys
        keys.add(key)
    return again


def without_text(t: pa.Table) -> Masks:
    """Protected data: nothing in a record may hold a row's text."""
    for name in FREE_TEXT:
        filled = pc.greater(pc.binary_length(t[name]), 0)
        ours = pc.and_(pc.equal(t["status"], "infra_error"), pc.equal(t[name], scorers.NAN))
        yield f"'{name}' holds text, and the task's data are protected", pc.and_not(filled, ours)
    for name, pattern in (("doc_id", r"^[0-9]{1,9}$"), ("target", r"^[0-9]{1,2}$"), ("cluster", r"^([0-9a-f]{12})?$")):
        odd = pc.invert(pc.match_substring_regex(t[name], pattern))
        yield f"'{name}' may hold text, and the task's data are protected", odd
    yield "'group' holds text, and the task's data are protected", pc.greater(pc.binary_length(t["group"]), 0)
    named = np.array([bool(p) for p in t["parts"].to_pylist()], dtype=bool)
    yield "'parts' holds text, and the task's data are protected", named


def sample_of(spec: TaskSpec, row: Mapping[str, Any]) -> Sample:
    """The sample as it was recorded; its fields are not.

    Raises:
        SubmissionError: the target is none that the task's kind can have.
    """
    try:
        target = json.loads(row["target"])
    except (ValueError, RecursionError):
        raise SubmissionError("its target is not JSON") from None
    target = tuple(target) if isinstance(target, list) else target
    return Sample(
        task=spec.name, doc_id=row["doc_id"], fields={}, target=target, group=row["group"], cluster=row["cluster"]
    )


def answer_of(rows: Sequence[Mapping[str, Any]]) -> Answer:
    """What the model said of one document, by its draws."""
    first = rows[0]
    responses: list[Response] = []
    for o in first["options"]:
        logprob = float("nan") if o["logprob"] is None else o["logprob"]
        known = Likelihood(logprob=logprob, tokens=o["tokens"], nbytes=o["bytes"], greedy=o["greedy"])
        responses.append(known)
    for r in rows:
        if r["response"] is not None:
            text = Generation(text=r["response"], stopped=r["stopped"], tokens=r["response_tokens"], form=r["form"])
            responses.append(text)
    return Answer(
        doc_id=first["doc_id"],
        responses=tuple(responses),
        request_sha256=first["request_sha256"],
        dropped=first["truncated"] or 0,
        fault=first["note"] if first["status"] == "infra_error" else "",
    )


def differs(row: Mapping[str, Any], score: Score) -> str:
    """How a record differs from what its own answer is worth; "" when it doesn't."""
    index = score.extracted if isinstance(score.extracted, int) else None
    text = utf8(score.extracted) if isinstance(score.extracted, str) else None
    escaped = bool(row["response"] and SURROGATE.search(row["response"]))
    if score.value != row["score"] and not (score.value != score.value and row["score"] != row["score"]):
        return f"its score is {row['score']}, its answer gives {score.value}"
    if index != row["predicted"]:
        return f"its prediction is option {row['predicted']}, its options give {index}"
    if text != row["extracted"] and not escaped:
        return "'extracted' is not what its answer gives"
    return "" if score.status == row["status"] else f"its status is {row['status']}, its answer gives {score.status}"


def judged_again(spec: TaskSpec, t: pa.Table) -> Iterator[Fault]:
    """Verdicts that another one would be, by the task's own rule: the first, and how many are suspected."""
    suspects = np.flatnonzero(_suspicious(spec, t))
    for i in map(int, suspects):
        (row,) = t.slice(i, 1).to_pylist()
        try:
            fault = differs(row, scorers.score(spec, sample_of(spec, row), answer_of([row])))
        except Exception as error:  # an answer of another shape than the rule takes: whatever the rule makes of it
            fault = f"its answer can't be judged by the task's rule: {type(error).__name__}: {error}"
        if fault:
            yield Fault(fault, i)
            return


def _suspicious(spec: TaskSpec, t: pa.Table) -> np.ndarray:
    """Rows that the rule must look at one by one: for written answers all, for options those that columns belie."""
    scored = mask(pc.not_equal(t["status"], "infra_error"))
    if spec.kind == "generation":
        return scored
    ok = mask(pc.and_(pc.equal(t["status"], "ok"), pc.is_null(t["extracted"])))
    score = t["score"].to_numpy(zero_copy_only=False)
    counts, logprob, tokens, greedy = options(t)
    if spec.kind == "language_modeling":
        if not np.all(counts == 1):
            return scored
        said = mask(pc.equal(t["predicted"], pa.array(greedy.astype(np.int32))))
        return np.asarray(scored & ~(ok & said & (score == greedy)))
    chosen = _lowest_perplexity(counts, logprob, tokens)
    target = np.array([int(x) if x and x.isdecimal() and len(x) < 9 else -1 for x in t["target"].to_pylist()])
    said = t["predicted"].to_numpy(zero_copy_only=False)
    return np.asarray(scored & ~(ok & (said == chosen) & (score == (chosen == target))))


def options(t: pa.Table) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """How many options each row has, and of all options in a row the log-probability, tokens and greedy flag."""
    column = t["options"].combine_chunks()
    values = pc.list_flatten(column)
    parts = [pc.struct_field(values, name) for name in ("logprob", "tokens", "greedy")]
    logprob, tokens, greedy = (np.asarray(p.to_numpy(zero_copy_only=False)) for p in parts)
    counts = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    sure = np.array(greedy == True, dtype=bool)  # noqa: E712 - null is no
    return np.asarray(counts), logprob.astype(float), tokens.astype(float), sure


def _lowest_perplexity(counts: np.ndarray, logprob: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """What `scorers.lowest_perplexity` chooses, by columns; -1 where there is nothing to choose from.

    It only clears rows: one that differs is judged by the rule itself.
    """
    with np.errstate(all="ignore"):
        perplexity = np.exp((-logprob / tokens).astype(np.float32))
    chosen = np.full(len(counts), -1)
    filled = np.flatnonzero(counts)
    if not len(filled):
        return chosen
    starts = np.cumsum(counts)[filled] - counts[filled]
    row = np.repeat(np.arange(len(filled)), counts[filled])
    best = np.flatnonzero(perplexity == np.minimum.reduceat(perplexity, starts)[row])
    rows, at = np.unique(row[best], return_index=True)
    chosen[filled[rows]] = best[at] - starts[rows]
    return chosen


def tied(t: pa.Table) -> np.ndarray:
    """Rows whose options are all equally likely, so that nothing but the tie rule chose."""
    counts, logprob, tokens, _ = options(t)
    same = np.zeros(len(t), dtype=bool)
    filled = np.flatnonzero(counts > 1)
    row = np.repeat(np.arange(len(t)), counts)
    inside = np.isin(row, filled)
    if len(filled):
        with np.errstate(all="ignore"):
            perplexity = np.exp((-logprob / tokens).astype(np.float32))[inside]
        starts = np.cumsum(counts[filled]) - counts[filled]
        same[filled] = np.minimum.reduceat(perplexity, starts) == np.maximum.reduceat(perplexity, starts)
    return same


def programs(t: pa.Table, part: str) -> Masks:
    """What a verdict on a program must be; whether the program is right only the sandbox can say."""
    scored = pc.is_valid(t["score"])
    right = pc.fill_null(pc.equal(t["score"], 1.0), False)
    yield "a verdict on a program is neither 0 nor 1", pc.and_(scored, pc.invert(pc.is_in(t["score"], _ends())))
    yield "a program that is right has another status than ok", pc.and_(right, pc.not_equal(t["status"], "ok"))
    yield "a verdict without a program", pc.and_(scored, pc.is_null(t["program"]))
    if part == "plus":
        parts = [dict(p or ()) for p in t["parts"].to_pylist()]
        passed = np.array([p.keys() == {"base", "plus"} and set(p.values()) == {1.0} for p in parts], dtype=bool)
        yield "its score is not what its parts say", mask(scored) & (mask(right) != passed)


def _ends() -> pa.Array:
    return pa.array([0.0, 1.0])
