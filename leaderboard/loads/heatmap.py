"""Tasks by checkpoints: which fit on a page, their scores or their differences from one of them, and which are real."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import sqlalchemy as sa
from scipy.cluster import hierarchy

from assay.harness import index_tables as t
from assay.harness import multiplicity
from assay.leaderboard import queries
from assay.leaderboard.loads import compare
from assay.leaderboard.queries import Source
from assay.leaderboard.text import short, visible
from assay.tasks.types import UserError

LIMIT = 60
"""Rows, and columns, of a page."""
TESTED = 400
"""Pairs of samples that are read and tested for one page."""
ALPHA = 0.05
BETTER, WORSE = "better than the base", "worse than the base"
SAME = "no difference shown"
AGGREGATES = "not tested: a run has no samples of it"
OTHER = "not tested: other rows or another version of the task"
FEW = "not tested: too few items"
REFUSED = "not tested: items or scores that can't be paired, as Compare says of the two"
LOST = "not tested: samples can't be read; put them back, then: assay reindex"
MANY = f"not tested: more than {TESTED} pairs on the page"
UNTESTED = (AGGREGATES, OTHER, REFUSED, LOST, FEW, MANY)


def tasks(source: Source, names: Sequence[str]) -> pd.DataFrame:
    """Of these tasks those where more is better, by skill: task, skill. Perplexities have no place beside shares."""
    c = t.results.c
    lower = source.frame(sa.select(c.task).distinct().where(c.task.in_(list(names)), ~c.higher_is_better))["task"]
    skills = queries.tasks(source).set_index("task")["skill"]
    kept = pd.DataFrame({"task": [n for n in names if n not in set(lower)]})
    return kept.assign(skill=kept["task"].map(skills).fillna("of no suite")).sort_values(["skill", "task"])


def columns(source: Source, names: Sequence[str]) -> pd.DataFrame:
    """Runs with a score of any of these tasks, by series and step, with how many they have and their centred mean."""
    c = t.results.c
    wanted = sa.select(c.run_id, sa.func.count(c.value).label("measured"), sa.func.avg(c.centred_v2).label("mean"))
    wanted = wanted.where(c.task.in_(list(names)), c.value.is_not(None)).group_by(c.run_id)
    runs = queries.runs(source)[["run_id", "label", "series", "family", "dataset", "step", "rows_asked"]]
    found = runs.merge(source.frame(wanted), on="run_id")
    return found.sort_values(["series", "step", "run_id"], ignore_index=True)


def fitting(shown: pd.DataFrame) -> pd.DataFrame:
    """As many columns as fit: those with most tasks first, then the best; in the order in which they came."""
    if len(shown) <= LIMIT:
        return shown
    best = shown.sort_values(["measured", "mean"], ascending=False).head(LIMIT).index
    return shown.loc[shown.index.isin(best)]


def named(shown: pd.DataFrame) -> pd.Series:
    """What the columns are called: by label; by series too, and by the end of the run id, where two would be alike."""
    names = shown["label"].map(visible)
    if names.duplicated().any() and shown["series"].nunique() > 1:
        names = shown["series"].map(visible) + " · " + names
    names = names.where(~names.duplicated(keep=False), names + " · " + shown["run_id"].str[-8:])
    names = names.where(~names.duplicated(keep=False), shown["run_id"])
    brief = names.map(lambda name: short(name, 36))
    return brief.where(~brief.duplicated(keep=False), names)


def cells(source: Source, names: Sequence[str], run_ids: Sequence[str]) -> pd.DataFrame:
    """One row a task and run that has a score of it: value, centred, fingerprint, rows_asked, sampled."""
    c, r = t.results.c, t.runs.c
    wanted = (
        sa.select(c.run_id, c.task, c.value, c.centred_v2.label("centred"), c.fingerprint, c.sampled, r.rows_asked)
        .join(t.runs, r.run_id == c.run_id)
        .where(c.run_id.in_(list(run_ids)), c.task.in_(list(names)), c.value.is_not(None))
        .order_by(c.task, c.run_id)
    )
    return source.frame(wanted).astype({"value": float, "centred": float})


@dataclass(frozen=True, slots=True, kw_only=True)
class Deltas:
    """Differences from a base run.

    Attributes:
        cells: task, run_id, delta (of the raw score), state (one of the module's texts), p (adjusted, null untested).
        pairs: of samples that could be tested; none is where they are more than `TESTED`.
    """

    cells: pd.DataFrame
    pairs: int


def deltas(source: Source, names: Sequence[str], run_ids: Sequence[str], base: str) -> Deltas:
    """What each run scores more than the base on each task, and whether the same items show it.

    Tested, paired, where both runs have samples and equal fingerprints; p values adjusted over all cells together by
    Benjamini and Hochberg.
    """
    found = cells(source, names, [*run_ids, base])
    of_base = found[found["run_id"] == base].set_index("task")[["value", "fingerprint", "rows_asked", "sampled"]]
    both = found[found["run_id"] != base].join(of_base.add_suffix("_base"), on="task", how="inner")
    both = both.assign(delta=both["value"] - both["value_base"])
    alike = (both["fingerprint"] == both["fingerprint_base"]) & (both["rows_asked"] == both["rows_asked_base"])
    alike &= both["fingerprint"] != ""
    sampled = both["sampled"].astype(bool) & both["sampled_base"].astype(bool)
    pairs = int((alike & sampled).sum())
    tested = _tested(source, both[alike & sampled], base) if pairs <= TESTED else {}
    adjusted = multiplicity.benjamini_hochberg({k: p for k, p in tested.items() if not isinstance(p, str)})
    keys = [f"{r.run_id}/{r.task}" for r in both.itertuples()]
    both["p"] = pd.Series([adjusted.get(k) for k in keys], index=both.index, dtype=float)
    signed = np.where(both["delta"] > 0, BETTER, WORSE)
    faults = {k: fault for k, fault in tested.items() if isinstance(fault, str)}
    untested = MANY if pairs > TESTED else [faults.get(k, FEW) for k in keys]
    why = np.select([~sampled, ~alike, both["p"].isna()], [AGGREGATES, OTHER, untested], SAME)
    both["state"] = np.where(both["p"] <= ALPHA, signed, why)
    return Deltas(cells=both[["task", "run_id", "delta", "state", "p"]].reset_index(drop=True), pairs=pairs)


def _tested(source: Source, pairs: pd.DataFrame, base: str) -> dict[str, float | str | None]:
    """The p value of each pair, by run and task, or why it has none; the base's items are read once a task."""
    found: dict[str, float | str | None] = {}
    means = queries.tasks(source).set_index("task")["mean"]
    for task, rows in pairs.groupby("task"):
        mine = _answers(source, base, str(task))
        for r in rows.itertuples():
            sides = [mine, _answers(source, r.run_id, str(task))]
            found[f"{r.run_id}/{task}"] = _p([r.value_base, r.value], sides, macro=means.get(task) == "macro")
    return found


def _answers(source: Source, run_id: str, task: str) -> pd.DataFrame | None:
    try:
        return compare.scores(source, run_id, task)
    except UserError:
        return None


def _p(values: Sequence[float], sides: Sequence[pd.DataFrame | None], *, macro: bool) -> float | str | None:
    known = [side for side in sides if side is not None]
    if len(known) < len(sides):
        return LOST
    difference, _ = compare.paired(values, known, macro=macro)
    return REFUSED if isinstance(difference, str) else difference.p


def similar(wide: pd.DataFrame) -> list[str]:
    """Rows of a table so that those alike stand together: average linkage, gaps filled with their column's mean."""
    if len(wide) < 3:
        return list(wide.index)
    filled = wide.fillna(wide.mean()).fillna(0.0)
    order = hierarchy.leaves_list(hierarchy.linkage(filled, method="average", optimal_ordering=True))
    return [str(wide.index[i]) for i in order]
