"""Two runs, item by item: on which tasks they differ, how sure that is, and what can't be compared.

`a` is the baseline and `b` the candidate: every difference is b minus a.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from assay.harness import composing, multiplicity, pairwise
from assay.harness.comparing import Difference
from assay.harness.gating.types import Measured
from assay.leaderboard import queries
from assay.leaderboard.queries import Source
from assay.leaderboard.text import interval

EVERYTHING = "every task"
TESTED = (
    *("task", "value_a", "value_b", "delta", "low", "high", "p", "lost", "gained", "n", "flip_rate", "mde"),
    *("test", "note", "left_out"),
)
JUDGED = ("task", "n", "lost", "gained", "delta", "low", "high", "p", "holm", "mde", "test", "note")
MAYBE = ("p", "holm", "mde")
"""Null where nothing is tested."""
REFUSED = ("task", "fault", "reason", "value_a", "low_a", "high_a", "value_b", "low_b", "high_b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Two runs.

    Attributes:
        differences: by task, of those that both asked alike and both have samples of.
        tested: the same with the published values; one row a task, columns `TESTED`.
        refused: one row a task that can't be paired, columns `REFUSED`; `fault` is `different`, `aggregates` or `one`.
    """

    differences: Mapping[str, Difference]
    tested: pd.DataFrame
    refused: pd.DataFrame


def load(source: Source, a: str, b: str) -> Compared:
    """Every task that either run has."""
    found = queries.results(source, run_ids={a, b})
    left, right = (found[found["run_id"] == run].set_index("task") for run in (a, b))
    means = queries.tasks(source).set_index("task")["mean"]
    differences: dict[str, Difference] = {}
    tested, refused = [], []
    for task in sorted({*left.index, *right.index}):
        sides = [{**frame.loc[task], "task": task} if task in frame.index else {} for frame in (left, right)]
        fault, reason = unlike(source, *sides)
        pair: Difference | str | None = None
        if not fault:
            answers = [scores(source, side["run_id"], task) for side in sides]
            pair, left_out = paired([side["value"] for side in sides], answers, macro=means.get(task) == "macro")
            fault, reason = ("different", pair) if isinstance(pair, str) else ("", "")
        values = {
            f"{k}_{side}": x.get(k) for side, x in zip("ab", sides, strict=True) for k in ("value", "low", "high")
        }
        if isinstance(pair, Difference):
            differences[task] = pair
            tested.append({"task": task, **values, **asdict(pair), "left_out": left_out})
        else:
            refused.append({"task": task, "fault": fault, "reason": reason, **values})
    return Compared(
        differences=differences,
        tested=pd.DataFrame(tested, columns=list(TESTED)).astype({"p": float, "mde": float}),
        refused=pd.DataFrame(refused, columns=list(REFUSED)),
    )


def unlike(source: Source, a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[str, str]:
    """Why two results of one task can't be paired, as a kind and in words; "" and "" where they can.

    Args:
        source: of the index.
        a: row of `queries.results`, {} where the run lacks the task.
        b: the same of the other run.
    """
    why = bool(a and b and a["sampled"] and b["sampled"]) and not a["fingerprint"] == b["fingerprint"] != ""
    return pairwise.unlike(*(_asked(source, side, full=why) for side in (a, b)))


def _asked(source: Source, side: Mapping[str, Any], *, full: bool) -> pairwise.Asked:
    """A row as it is compared; its run's rows and who judged are looked up only for `full`."""
    if not side:
        return pairwise.Asked()
    same = {k: side[k] for k in ("fingerprint", "version", "message")}
    run, task = side["run_id"], side["task"]
    if full:
        same["rows"] = queries.run(source, run).get("rows_asked", "")
        same["checker"] = queries.result(source, run, task).get("checker", {})
    sampled = bool(side["sampled"])
    known = sampled or bool(pd.notna(side["value"]))
    return pairwise.Asked(known=known, sampled=sampled, higher_is_better=bool(side["higher_is_better"]), **same)


def paired(values: Sequence[float], answers: Sequence[pd.DataFrame], *, macro: bool) -> tuple[Difference | str, int]:
    """The difference on the documents that both have a score for, or why there is none; and how many were left out.

    Args:
        values: the task's number of A and of B; one that is missing is not held against the samples.
        answers: from `scores`, of each.
        macro: the number is the mean over categories weighted alike.
    """
    a, b = (_measured(value, of, macro=macro) for value, of in zip(values, answers, strict=True))
    return pairwise.paired(a, b)


def _measured(value: float | None, answers: pd.DataFrame, *, macro: bool) -> Measured:
    groups, clusters = (tuple(answers[k].fillna("").astype(str)) for k in ("group", "cluster"))
    return Measured(
        fingerprint="",
        value=None if value is None or pd.isna(value) else float(value),
        stderr=None,
        n=len(answers),
        ids=tuple(answers.index),
        scores=answers["score"].to_numpy(dtype=float),
        groups=groups if macro and any(groups) else None,
        clusters=clusters if any(clusters) else None,
    )


def scores(source: Source, run_id: str, task: str) -> pd.DataFrame:
    """Mean score of each document over its draws, group, cluster, by doc_id; NaN where the machine lost every one.

    Raises:
        SamplesUnreadable: the store has them no longer, or damaged.
    """
    found = queries.samples(source, run_id, task, ("doc_id", "score", "group", "cluster"))
    if found["doc_id"].is_unique:
        return found.set_index("doc_id")
    return found.groupby("doc_id", sort=False).agg({"score": "mean", "group": "first", "cluster": "first"})


def suites_of(source: Source, compared: Compared) -> list[str]:
    """Suites of which at least one task could be paired."""
    suites = queries.suites(source)
    return [str(s) for s, rows in suites.groupby("suite", sort=True) if {*rows["task"]} & {*compared.differences}]


def only(source: Source, compared: Compared, suite: str) -> Compared:
    """The tasks of one suite."""
    if suite == EVERYTHING:
        return compared
    suites = queries.suites(source)
    wanted = set(suites[suites["suite"] == suite]["task"])
    return Compared(
        differences={k: d for k, d in compared.differences.items() if k in wanted},
        tested=compared.tested[compared.tested["task"].isin(wanted)],
        refused=compared.refused[compared.refused["task"].isin(wanted)],
    )


def judged(tested: pd.DataFrame, alpha: float) -> pd.DataFrame:
    """The tested tasks by effect, largest gain first, with Holm's p over all of them.

    Returns:
        the columns of `tested` and `holm`; `state`: `better`, `worse` or `not told apart`; `said`: the note in words.
    """
    found = tested.sort_values(["delta", "task"], ascending=[False, True]).reset_index(drop=True)
    found["holm"] = found["task"].map(_holm(tuple(zip(found["task"], found["p"], strict=True)))).astype(float)
    rows = rows_of(found, alpha)
    return found.assign(state=[r.state for r in rows], said=[r.said for r in rows])


def rows_of(found: pd.DataFrame, alpha: float) -> list[pairwise.Judged]:
    """What the verdict is made of; `found` has `holm`."""
    columns = found[list(JUDGED)].astype(dict.fromkeys(MAYBE, object))
    known = columns.where(columns.notna(), None)
    return [pairwise.Judged(**r, alpha=alpha) for r in known.to_dict("records")]


@functools.lru_cache(maxsize=64)
def _holm(p: tuple[tuple[str, float], ...]) -> dict[str, float | None]:
    """The same at every level; kept, for statsmodels collects all garbage of the process each time."""
    return multiplicity.holm(dict(p))


def composites(source: Source, compared: Compared, a: str, b: str) -> list[dict[str, Any]]:
    """The composites that either run has: published values, and the paired difference where every task has one.

    Returns:
        name, suite, value, low and high of both, missing (tasks without a pair), found (`CompositeDifference` or None).
    """
    found = queries.composites(source, run_ids={a, b})
    sides = {side: found[found["run_id"] == run].set_index("name") for side, run in (("a", a), ("b", b))}
    suites, known = queries.suites(source), queries.tasks(source).set_index("task")
    rows = []
    for c in queries.composite_definitions(source).itertuples():
        if not any(c.name in side.index for side in sides.values()):
            continue
        names = suites[suites["suite"] == c.suite]["task"].tolist()
        baselines = known.reindex(names)[f"baseline_{c.baseline}"].dropna().to_dict()
        missing = [n for n in names if n not in compared.differences or n not in baselines]
        parts = {n: compared.differences[n] for n in names if n not in missing}
        whole = None if missing else composing.composite_difference(parts, baselines, known["data"].to_dict())
        values = {f"{k}_{name}": side[k].get(c.name) for name, side in sides.items() for k in ("value", "low", "high")}
        rows.append({"name": c.name, "suite": c.suite, **values, "missing": missing, "found": whole})
    return sorted(rows, key=lambda r: (not r["name"].startswith("core"), r["name"].endswith("v1"), r["name"]))


def presented(found: pd.DataFrame) -> pd.DataFrame:
    """The columns that people read of `judged`; differences in percentage points."""
    points = {"B − A": "delta", "from": "low", "to": "high", "sees": "mde"}
    frame = pd.DataFrame({name: (100 * found[column]).round(2) for name, column in points.items()})
    frame.insert(0, "task", found["task"])
    plain_columns = {
        **{"lost": "lost", "gained": "gained", "items": "n", "flip rate": "flip_rate", "p": "p", "p, Holm": "holm"},
        **{"note": "said", "A": "value_a", "B": "value_b", "test": "test", "left out": "left_out"},
    }
    frame = frame.assign(**{name: found[column] for name, column in plain_columns.items()})
    order = ["task", "B − A", "from", "to", "p, Holm", "note", "lost", "gained", "items", "flip rate", "p", "sees"]
    return frame[[*order, "A", "B", "test", "left out"]]


def side_by_side(wholes: Sequence[Mapping[str, Any]], refused: pd.DataFrame) -> pd.DataFrame:
    """Values with their own intervals, and why they are not compared; `wholes` are of `composites`."""
    of = pd.DataFrame([w for w in wholes if w["missing"]], columns=[*REFUSED, "name"])
    of = of.assign(task=of["name"], reason="a mean over tasks that can't all be paired")[list(REFUSED)]
    rows = pd.concat([of, refused], ignore_index=True) if len(of) else refused
    frame = rows[["task", "reason"]].rename(columns={"reason": "why"})
    for side in "ab":
        frame[side.upper()] = rows[f"value_{side}"].astype(float).round(4)
        pairs = zip(rows[f"low_{side}"], rows[f"high_{side}"], strict=True)
        frame[f"{side.upper()} 95 %"] = [interval(low, high) for low, high in pairs]
    return frame
