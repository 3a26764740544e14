"""One run: its tasks against guessing, its composites and where their uncertainty comes from, what went wrong."""

from __future__ import annotations

import difflib
import heapq
import math
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import pandas as pd
import sqlalchemy as sa

from assay.harness import index_tables as t
from assay.harness import ranking
from assay.leaderboard import queries
from assay.leaderboard.queries import Source
from assay.leaderboard.text import visible
from assay.tasks import aggregate

ABOVE, INSIDE, BELOW = "above guessing", "guessing is inside the interval", "below guessing"
UNSURE, UNKNOWN = "no interval", "nobody says what guessing scores"
ANSWERED = "ok"
HEADLINES = ("core_v2", "extended_v2")
SHARED = ("task", "n", "stderr", "guessing", "baseline_v1", "data")
"""Columns that `shares` needs."""
LONGEST_ID = 200
"""Characters of an unknown id, and of a name that it may be, that are looked at."""
LOOKED_AT = 50
"""Names that share most pairs of letters with an unknown id: only they are matched in full."""


def run_ids(source: Source) -> dict[str, str]:
    """Labels of all runs by id, newest first."""
    found = queries.runs(source)[["run_id", "label"]].iloc[::-1]
    return dict(zip(found["run_id"], found["label"], strict=True))


def nearest(known: Mapping[str, str], asked: str, most: int = 5) -> list[str]:
    """Ids of the runs whose id or label is most like this, the best first."""
    asked = asked[:LONGEST_ID]
    letters, matcher = set(pairwise(asked)), difflib.SequenceMatcher(b=asked, autojunk=False)

    def shared(text: str) -> float:
        return len(letters.intersection(pairwise(text))) / (len(text) + len(asked) + 1)

    def likeness(text: str) -> float:
        matcher.set_seq1(text)
        return matcher.ratio()

    names = {run_id: {run_id[:LONGEST_ID], label[:LONGEST_ID]} for run_id, label in known.items()}
    close = heapq.nlargest(LOOKED_AT, names, key=lambda run_id: max(map(shared, names[run_id])))
    rated = [(-max(map(likeness, names[run_id])), run_id) for run_id in close]
    return [run_id for _, run_id in sorted(rated)[:most]]


def load(source: Source, run_id: str) -> dict[str, pd.DataFrame]:
    """The frames of a run's page.

    Returns:
        `tasks`, a row each: the result, the registry's facts, `guessing` (v2), `standing`; `composites`; `counts`, a
        row a task and status; `marks`; `siblings`, the runs of its series by step; `published`, where it was imported.
    """
    c = t.results.c
    tasks = source.frame(sa.select(t.results).where(c.run_id == run_id).order_by(c.task))
    facts = queries.tasks(source)[["task", "skill", "shots", "baseline_v1", "baseline_v2", "data", "protected"]]
    tasks = tasks.merge(facts, on="task", how="left").rename(columns={"baseline_v2": "guessing"})
    tasks["standing"] = [standing(r.value, r.low, r.high, r.guessing) for r in tasks.itertuples()]
    marks, composites = queries.marks(source), queries.composites(source, run_ids=[run_id])
    run = queries.run(source, run_id)
    return {
        "tasks": tasks,
        "composites": composites,
        "counts": counts(tasks),
        "marks": marks[marks["run_id"] == run_id],
        "siblings": siblings(source, run),
        "published": published(run, composites),
    }


def standing(value: float, low: float, high: float, guessing: float) -> str:
    """Where a task's 95 % interval lies to what guessing scores."""
    if math.isnan(value):
        return ""
    if math.isnan(guessing):
        return UNKNOWN
    if math.isnan(low) or math.isnan(high):
        return UNSURE
    if low > guessing and value > guessing:  # the bound of a score of 0 may be a hair above it
        return ABOVE
    return BELOW if high < guessing and value < guessing else INSIDE


def counts(tasks: pd.DataFrame) -> pd.DataFrame:
    """Samples per task and status, where any came to something else than an answer that could be judged."""
    rows = [(r.task, status, n) for r in tasks.itertuples() for status, n in r.counts.items() if n]
    frame = pd.DataFrame(rows, columns=["task", "status", "samples"])
    frame["share"] = frame["samples"] / frame.groupby("task")["samples"].transform("sum")
    return frame[frame["status"] != ANSWERED].reset_index(drop=True)


def siblings(source: Source, run: Mapping[str, Any]) -> pd.DataFrame:
    """run_id and step of the runs of the same series over the same rows, by step; itself among them."""
    c = t.runs.c
    wanted = sa.select(c.run_id, c.step, c.label).where(c.series == run["series"], c.rows_asked == run["rows_asked"])
    found = source.frame(wanted.where(c.step.is_not(None)).order_by(c.step, c.created, c.run_id))
    return found if run["run_id"] in set(found["run_id"]) else found.head(0)


def published(run: Mapping[str, Any], composites: pd.DataFrame) -> pd.DataFrame:
    """Composites as an imported file has them, beside what its tasks' numbers give here."""
    said = (run["environment"].get("imported") or {}).get("published") or {}
    here = dict(zip(composites["name"], composites["value"], strict=True))
    rows = [
        (
            name,
            str(value) if isinstance(value, str) else None,
            value if isinstance(value, float) else None,
            here.get(name),
        )
        for name, value in said.items()
        if value is not None
    ]
    frame = pd.DataFrame(rows, columns=["composite", "words", "published", "here"])
    frame["published"], frame["here"] = pd.to_numeric(frame["published"]), pd.to_numeric(frame["here"])
    return frame.assign(difference=(frame["here"] - frame["published"]).round(9) + 0.0)


def shares(source: Source, tasks: pd.DataFrame, composite: str) -> pd.DataFrame:
    """Each task's share of a composite's variance, largest first.

    Args:
        source: of the index.
        tasks: SHARED of `load`'s frame.
        composite: its name.

    Returns:
        task, n, stderr, share; empty where a task is missing or has no error.
    """
    parts, version = _parts(source, composite)
    of = tasks[tasks["task"].isin(parts)].set_index("task")
    if of.empty or len(of) < len(parts) or of["stderr"].isna().any():
        return pd.DataFrame(columns=["task", "n", "stderr", "share"])
    guessing = of["baseline_v1" if version == "v1" else "guessing"].fillna(0.0)
    found = ranking.variance_shares(of["stderr"].to_dict(), guessing.to_dict(), of["data"].to_dict())
    frame = of[["n", "stderr"]].assign(share=pd.Series(found)).reset_index()
    return frame.sort_values(["share", "task"], ascending=[False, True], kind="stable").reset_index(drop=True)


def _parts(source: Source, composite: str) -> tuple[list[str], str]:
    """A composite's tasks, and the version of its baselines; a skill's are those of EXTENDED."""
    named = queries.composite_definitions(source).set_index("name")
    suites = queries.suites(source)
    if composite in named.index:
        suite = named.loc[composite, "suite"]
        return list(suites[suites["suite"] == suite]["task"]), str(named.loc[composite, "baseline"])
    every = suites[suites["suite"] == aggregate.SKILLS_OF].merge(queries.tasks(source), on="task")
    return list(every[every["skill"] + " (v2)" == composite]["task"]), "v2"


def centred(tasks: pd.DataFrame) -> pd.DataFrame:
    """The tasks on the scale where 0 is guessing and 1 is perfect, intervals too; those without a baseline left out."""
    known = tasks.dropna(subset=["guessing"])
    scaled = {
        name: [aggregate.centre(x, 100 * b) for x, b in zip(known[name], known["guessing"], strict=True)]
        for name in ("value", "low", "high")
    }
    return known.assign(**scaled, guessing=0.0)


def fingerprint_rows(run: Mapping[str, Any]) -> pd.DataFrame:
    """Everything that was recorded of how a run was made, flat: what, value."""
    rows = [
        (f"{part}.{name}", visible(value))
        for part in ("identity", "options", "environment")
        for name, value in _flat(run[part])
        if part != "environment" or not name.startswith("facts.")
    ]
    return pd.DataFrame(rows, columns=["what", "value"])


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif value not in (None, "", [], False):
        yield name, value
