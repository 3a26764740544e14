"""What models wrote, item by item: one task of one or two runs, and never more of the store than that."""

from __future__ import annotations

import difflib
import functools
import json
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from assay.harness import records, store
from assay.harness.interchange import asked
from assay.leaderboard import queries
from assay.leaderboard.loads import compare
from assay.leaderboard.queries import Source
from assay.leaderboard.text import visible
from assay.tasks.registry import Registry, open_registry
from assay.tasks.types import UserError

PAIRED = ("lost", "gained", "both wrong", "both right", "infra")
ALONE = ("wrong", "right", "infra")
LISTED = ("doc_id", "group", "score", "status")
UNTOLD = ("doc_id", "draw", "request_sha256", "options", "score", "status")
"""Columns of a protected task's samples that hold no text of its rows."""
SEARCHED = ("response", "extracted", "target", "program", "stderr", "note")
EVERY = tuple(records.SAMPLES.names)
MOST_BYTES = 20_000
"""Of a text that is shown at first."""
SHORT = 2_000
"""Of a text in a table."""
MOST_LINES = 400
"""Of a text that is compared line by line: what that takes grows with their square."""
PROTECTED = "gpqa"
"""Also under names that the registry does not know: rows of it are not to be shown."""
_rendering = threading.Lock()
"""lm-eval's tasks draw their examples from generators of their own, which two sessions must not share."""


def tasks_of(source: Source, a: str, b: str) -> list[str]:
    """Tasks that A, or B, has samples of; those of both first."""
    found = queries.results(source, run_ids=[r for r in (a, b) if r])
    sampled = found[found["sampled"]]
    counts = sampled.groupby("task")["run_id"].nunique()
    return sorted(counts.index, key=lambda task: (-counts[task], task))


def unpaired(source: Source, a: str, b: str, task: str) -> str:
    """Why the answers of B can't be set beside those of A; "" where they can."""
    sides = [queries.results(source, run_ids=[run], tasks=[task]).to_dict("records") for run in (a, b)]
    return compare.unlike(source, *(side[0] if side else {} for side in sides))[1]


def one_of(source: Source, a: str, b: str, task: str) -> str:
    """A, or B where only that has samples of the task."""
    return a if queries.result(source, a, task).get("sampled") else b


def protected(source: Source, task: str) -> bool:
    """Whether no text of its rows may be shown."""
    known = queries.tasks(source).set_index("task")["protected"]
    return bool(known.get(task, False)) or PROTECTED in task.lower()


def listing(source: Source, a: str, b: str, task: str) -> pd.DataFrame:
    """One row a document, in A's order: doc_id, group, score and status of A (and of B, where it is named), `show`."""
    found = _documents(source, a, task)
    if not b:
        found["show"] = _segments(found["A"], None)
        return found
    other = _documents(source, b, task).rename(columns={"A": "B", "status A": "status B"})
    only = other[~other["doc_id"].isin(found["doc_id"])]
    found = pd.concat([found, only[["doc_id", "group"]]]).merge(other.drop(columns="group"), on="doc_id", how="left")
    found["show"] = _segments(found["A"], found["B"])
    return found


def _documents(source: Source, run_id: str, task: str) -> pd.DataFrame:
    found = queries.samples(source, run_id, task, LISTED)
    if protected(source, task):
        found["group"] = ""
    if not found["doc_id"].is_unique:
        by = found.groupby("doc_id", sort=False)
        found = by.agg({"group": "first", "score": "mean", "status": _together}).reset_index()
    return found.rename(columns={"score": "A", "status": "status A"})


def _together(statuses: pd.Series) -> str:
    """Statuses of several draws: 3 ok, 1 timeout."""
    return ", ".join(f"{n} {status}" for status, n in statuses.value_counts().items())


def _segments(a: pd.Series, b: pd.Series | None) -> pd.Series:
    """Which of `PAIRED`, or `ALONE`, each document is; without a score on a side it is `infra`, never wrong."""
    if b is None:
        return pd.Series("wrong", index=a.index).mask(a == 1, "right").mask(a.isna(), "infra")
    shown = pd.Series("both wrong", index=a.index).mask((a == b) & (a == 1), "both right")
    return shown.mask(a > b, "lost").mask(b > a, "gained").mask(a.isna() | b.isna(), "infra")


def found_in(source: Source, run_id: str, task: str, text: str) -> set[str]:
    """Documents whose id, answer, target, program, error output or note contains a text, in any case."""
    hidden = protected(source, task)
    table = queries.sample_table(source, run_id, task, ("doc_id",) if hidden else ("doc_id", *SEARCHED))
    hit = pa.array([False] * len(table))
    for name in table.column_names:
        matched = pc.match_substring(table[name], text, ignore_case=True)
        hit = pc.or_(hit, pc.fill_null(matched, False))
    return set(table["doc_id"].filter(hit).to_pylist())


def item(source: Source, run_id: str, task: str, doc_id: str) -> list[dict[str, Any]]:
    """Everything recorded of one document, draw by draw; of a protected task no text, nothing that tells the answer."""
    columns = UNTOLD if protected(source, task) else EVERY
    rows: list[dict[str, Any]] = queries.sample_table(source, run_id, task, columns, doc_id).to_pylist()
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question as text.

    Attributes:
        examples: answered questions that came first.
        context: what stood before every option; "" where the options are what differed before one `ending`.
        options: the texts that were weighed; none where the answer was written.
    """

    examples: str
    context: str
    options: tuple[str, ...] = ()
    ending: str = ""


def prompt(source: Source, run_id: str, task: str, doc_id: str) -> Asked:
    """The question, rendered again from the pinned data.

    Raises:
        UserError: it can't be had here; says why.
    """
    registry = _registry(os.environ.get("ASSAY_TASKS_DIRS", ""))
    if task not in registry.tasks:
        raise UserError(
            "the prompt of a task that no spec here describes can't be rendered: start the board with the "
            "--tasks-dir that it was run with (lm-eval's own tasks fetch their data, which the board never does)"
        )
    run = store.peek_run(source.store / run_id)
    try:
        with _rendering:
            found = asked.one(run, asked.spec_of(run, registry, task), doc_id)
    except ImportError as error:
        raise UserError(
            f"to render the prompts of '{task}', install {error.name}: pip install 'assay-evals[api,code]'"
        ) from None
    contexts = [c[len(found.examples) :] for c in found.contexts]
    if len(set(contexts)) > 1:
        return Asked(examples=found.examples, context="", options=tuple(contexts), ending=found.continuations[0])
    return Asked(examples=found.examples, context=contexts[0], options=found.continuations)


@functools.cache
def _registry(folders: str) -> Registry:
    return open_registry([Path(p) for p in folders.split(os.pathsep) if p])


def target(row: Mapping[str, Any]) -> int | list[str] | None:
    """What was accepted: an option's index, or texts."""
    try:
        found = json.loads(row["target"] or "null")
    except ValueError:
        return [str(row["target"])]
    if found is None or type(found) is int:
        return found
    return [str(x) for x in found] if isinstance(found, list) else [str(found)]


def options(rows: Sequence[Mapping[str, Any] | None], texts: Sequence[str]) -> pd.DataFrame:
    """What was weighed: text, which is right, and per run log-probability, the same per token, and which it chose.

    Args:
        rows: the item of A, and of B, or None.
        texts: of the options; none where they can't be had.
    """
    first = next(r for r in rows if r)
    right, count = target(first), len(first["options"])
    made = pd.DataFrame({"option": texts if len(texts) == count else [f"option {i}" for i in range(count)]})
    if isinstance(right, int):
        made["right"] = ["right" if i == right else "" for i in made.index]
    for name, row in zip("AB", rows, strict=False):
        if not row:
            continue
        known = row["options"]
        made[f"{name} nats"] = pd.Series([o["logprob"] for o in known], dtype=float)
        made[f"{name} nats a token"] = made[f"{name} nats"] / pd.Series([o["tokens"] for o in known], dtype=float)
        if isinstance(right, int):
            made[f"{name} chose"] = ["chosen" if row["predicted"] == i else "" for i in made.index]
        else:
            made[f"{name} greedy"] = pd.Series(["yes" if o["greedy"] else "no" for o in known])
    return made


def facts(row: Mapping[str, Any]) -> dict[str, str]:
    """What is recorded of one answer beside its texts, as text; nothing that is not recorded."""
    known = {
        "score": None if row["score"] is None else f"{row['score']:.4g}",
        "status": row["status"],
        "parts": ", ".join(f"{k} {v:.4g}" for k, v in row["parts"] or ()),
        "extracted": None if row["extracted"] is None else clipped(row["extracted"], SHORT)[0],
        "tokens written": row["response_tokens"],
        "ended by itself": None if row["stopped"] is None else "yes" if row["stopped"] else "no: ran into its limit",
        "asked as": row["form"],
        "tokens cut from the prompt": row["truncated"] or None,
        "model, seconds": None if row["wall_s"] is None else f"{row['wall_s']:.3g}",
        "sandbox, seconds": None if row["run_s"] is None else f"{row['run_s']:.3g}",
        "sandbox, MiB": None if row["memory_mib"] is None else f"{row['memory_mib']:.4g}",
    }
    return {k: str(v) for k, v in known.items() if v not in (None, "")}


def sizes(row: Mapping[str, Any]) -> dict[str, str]:
    """All that may be said of one answer to a protected task: hash and lengths."""
    of = row["options"] or ()
    return {
        "score": "–" if row["score"] is None else f"{row['score']:.4g}",
        "status": row["status"],
        "sha256 of the question": row["request_sha256"],
        "options": str(len(of)),
        "their bytes": ", ".join(str(o["bytes"]) for o in of),
        "their tokens": ", ".join(str(o["tokens"]) for o in of),
    }


def difference(a: str, b: str) -> str:
    """A unified diff by lines, of the first `MOST_LINES` of each; "" where these are alike."""
    before, after = (visible(text).splitlines()[:MOST_LINES] for text in (a, b))
    return "\n".join(difflib.unified_diff(before, after, "A", "B", lineterm=""))


def clipped(text: str, most: int = MOST_BYTES) -> tuple[str, int]:
    """The beginning of a text, and how many of its bytes are left out."""
    raw = text.encode()
    return raw[:most].decode(errors="ignore"), max(0, len(raw) - most)
