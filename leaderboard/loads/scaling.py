"""Scores against what they cost: the runs of a plot, its Pareto front, and which facts are missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import sqlalchemy as sa

from assay.harness import index_tables as t
from assay.leaderboard import queries
from assay.leaderboard.queries import ALL_ROWS, Source
from assay.tasks import aggregate

FACTS = (
    *("run_id", "label", "series", "family", "step", "rows_asked", "evidence"),
    *("parameters", "active_parameters", "tokens", "flops"),
)
SHAPES = 8
"""Families that have a shape of their own, counting "other" as one."""
OTHER = "other"
UNNAMED = "no family named"
ESTIMATE = "6·N·D, an estimate"
GIVEN = "given"
FIRST = ("core_v2", "extended_v2", "core_v1", "extended_v1")
"""Scores that are offered before the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """A cost that scores are drawn against.

    Attributes:
        title: of the axis.
        column: of `load`'s frame.
        needs: facts of a run without which it has no such number, as `board.yaml` calls them.
    """

    title: str
    column: str
    needs: tuple[str, ...]


AXES: Mapping[str, Axis] = {
    "flops": Axis(title="training FLOPs", column="flops", needs=("parameters", "tokens")),
    "parameters": Axis(title="parameters", column="parameters", needs=("parameters",)),
    "tokens": Axis(title="training tokens", column="tokens", needs=("tokens",)),
    "seconds": Axis(title="seconds of evaluation", column="wall_s", needs=("wall_s",)),
}


def scores(source: Source) -> list[str]:
    """Composites, then tasks, of which any run has a number."""
    named = queries.composite_names(source)
    return [n for n in FIRST if n in named] + [n for n in named if n not in FIRST] + queries.measured_tasks(source)


def load(source: Source, score: str) -> pd.DataFrame:
    """One row a run that has the score.

    Returns:
        FACTS, `flops_from` ("given", an estimate, or ""), value, low, high, higher_is_better, `wall_s` (of the score's
        own tasks, without loading the model; null where one of them does not say). FLOPs that nobody gives are 6·N·D,
        N being the parameters that are active (Kaplan et al. 2020, arXiv 2001.08361, section 2.1).
    """
    if score in queries.composite_names(source):
        found = queries.composites(source, score).assign(higher_is_better=True)
    else:
        found = queries.results(source, tasks=[score])
    found = found[["run_id", "value", "low", "high", "higher_is_better"]].dropna(subset="value")
    facts = queries.runs(source)[list(FACTS)]
    frame = facts.merge(found, on="run_id")
    frame["wall_s"] = frame["run_id"].map(_seconds(source, _members(source, score)))
    estimate = 6 * frame["active_parameters"].fillna(frame["parameters"]) * frame["tokens"]
    said = np.where(frame["flops"].notna(), GIVEN, np.where(estimate.notna(), ESTIMATE, ""))
    return frame.assign(flops_from=said, flops=frame["flops"].fillna(estimate))


def _members(source: Source, score: str) -> list[str]:
    """The tasks of a composite, a skill's being those of EXTENDED; or the one task."""
    if score not in queries.composite_names(source):
        return [score]
    suites, defined = queries.suites(source), queries.composite_definitions(source).set_index("name")["suite"]
    if score in defined.index:
        return list(suites[suites["suite"] == defined[score]]["task"])
    skills = suites[suites["suite"] == aggregate.SKILLS_OF].merge(queries.tasks(source), on="task")
    return list(skills[skills["skill"] + " (v2)" == score]["task"])


def _seconds(source: Source, tasks: list[str]) -> dict[str, float]:
    """What these tasks took together, by run; not loading the model, which falls on whichever task came first."""
    c = t.results.c
    found = source.frame(sa.select(c.run_id, c.wall).where(c.task.in_(tasks)))
    spent = [sum(s for phase, s in wall.items() if phase != "load") if wall else np.nan for wall in found["wall"]]
    whole = pd.Series(spent, dtype=float).groupby(found["run_id"]).sum(min_count=len(tasks))
    return {str(run_id): float(s) for run_id, s in whole.items()}


def rows_asked(frame: pd.DataFrame) -> list[str]:
    """Which rows were asked, the whole first, then by the number of runs: only runs that agree share a front."""
    counted = frame["rows_asked"].value_counts()
    return sorted(counted.index, key=lambda name: (name != ALL_ROWS, -counted[name], name))


def missing(frame: pd.DataFrame, axis: Axis) -> dict[str, int]:
    """Facts that are missing where a run has no cost on this axis, and of how many runs each is."""
    lacking = frame[~(frame[axis.column] > 0)]
    return {name: int((~(lacking[name] > 0)).sum()) for name in axis.needs if not (lacking[name] > 0).all()}


def points(frame: pd.DataFrame, axis: Axis) -> pd.DataFrame:
    """The runs that can be drawn: with `cost`, `shape` (the family, or "other"), and `place` on the front from 1."""
    drawn = frame[frame[axis.column] > 0].copy()
    drawn["cost"] = drawn[axis.column]
    family = drawn["family"].where(drawn["family"] != "", UNNAMED)
    common = family.value_counts()
    common = common if len(common) <= SHAPES else common.head(SHAPES - 1)
    drawn["shape"] = family.where(family.isin(common.index), OTHER)
    drawn = drawn.sort_values(["cost", "run_id"], kind="stable").reset_index(drop=True)
    on_front = front(drawn["cost"], _upwards(drawn))
    drawn["place"] = on_front.cumsum().where(on_front)
    return drawn


def front(cost: pd.Series, score: pd.Series) -> pd.Series:
    """Whether a run is on the Pareto front: no other scores as much for as little; of equals, the first."""
    order = pd.DataFrame({"cost": cost, "loss": -score}).sort_values(["cost", "loss"], kind="stable")
    best = (-order["loss"]).cummax().shift(fill_value=-np.inf)
    return (-order["loss"] > best).reindex(cost.index)


def dominance(drawn: pd.DataFrame) -> pd.DataFrame:
    """The front's runs, cheapest first, and by how much each beats the runs that cost no less and score no more.

    Returns:
        place, run_id, label, cost, value, low, high, `beats` (runs), and of the best of those: `next_best`, `lead`
        (in the score's unit), `cheaper` (its cost over this one's).
    """
    score = _upwards(drawn)
    rows = []
    for at, member in drawn[drawn["place"].notna()].iterrows():
        beaten = drawn[(drawn["cost"] >= member["cost"]) & (score <= score[at]) & (drawn.index != at)]
        row = {k: member[k] for k in ("place", "run_id", "label", "cost", "value", "low", "high")}
        row |= {"beats": len(beaten), "next_best": "", "lead": np.nan, "cheaper": np.nan}
        if len(beaten):
            best = beaten.loc[score[beaten.index].idxmax()]
            row["next_best"], row["lead"] = best["label"], abs(member["value"] - best["value"])
            row["cheaper"] = best["cost"] / member["cost"]
        rows.append(row)
    return pd.DataFrame(rows)


def _upwards(drawn: pd.DataFrame) -> pd.Series:
    """The score with its sign such that more is better."""
    return drawn["value"].where(drawn["higher_is_better"].astype(bool), -drawn["value"])
