"""One task: what is known of it, how the models do on it, which items tell them apart, what it can resolve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa

from assay.harness import comparing, ranking
from assay.harness import index_tables as t
from assay.harness.interchange.export_lm_eval import FALLS, RISES
from assay.leaderboard import queries
from assay.leaderboard.queries import ALL_ROWS, Source
from assay.tasks import aggregate

SCORE, CENTRED = "score", "centred"
KINDS: Mapping[str, str] = {
    "multiple_choice": "multiple choice: the option whose tokens are likeliest on average",
    "schema": "schema: the context after which the ending is likeliest",
    "language_modeling": "language modelling: every token of the ending is the first guess",
    "generation": "written answer: it begins with an accepted one",
    "code": "program: it passes the tests",
    "lm_eval": "a task of lm-eval's, asked and scored by its own code",
}
MODELS = 40
"""Runs whose samples are read, the newest: more would tell little more of an item."""
BINS = 10
FEW_MODELS = 20
"""Up to so many models a bar is a number of models, beyond it a tenth."""
ASSUMED = 0.10
"""Flip rate between neighbouring checkpoints where none has been measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """What the samples of runs that asked alike say of a task's items.

    Attributes:
        table: item, solved (mean score over models, in [0, 1]); hardest first.
        runs: ids of those that were read, newest first.
        left_out: runs that asked the same rows in another way (version, data, rendering), were too many to read, or
            whose scores are no shares in [0, 1].
        clusters: of items that share a passage or the like; 0 where they share nothing.
        neighbours: a row a pair of neighbouring checkpoints: series, step, next_step, flip_rate, delta, mde.
    """

    table: pd.DataFrame
    runs: tuple[str, ...]
    left_out: int
    clusters: int
    neighbours: pd.DataFrame


def names(source: Source) -> list[str]:
    """Tasks that anything has been measured of, then the rest of the registry."""
    have = queries.measured_tasks(source)
    return have + [name for name in queries.tasks(source)["task"] if name not in set(have)]


def about(source: Source, task: str) -> dict[str, Any]:
    """The registry's row of a task; {} for a task that is not in it."""
    return source.first(sa.select(t.tasks).where(t.tasks.c.task == task))


def load(source: Source, task: str) -> pd.DataFrame:
    """One row a run with a result of the task, newest last: the run's facts, and the result with its metrics."""
    runs, results = t.runs.c, t.results.c
    wanted = sa.select(
        *(runs.run_id, runs.label, runs.family, runs.series, runs.step, runs.rows_asked, runs.evidence, runs.created),
        *(results.value, results.low, results.high, results.n, results.fingerprint, results.version, results.sampled),
        *(results.higher_is_better, results.metrics, results.status, results.message),
    )
    wanted = wanted.join_from(t.results, t.runs, runs.run_id == results.run_id).where(results.task == task)
    return source.frame(wanted.order_by(runs.created, runs.run_id))


def metrics(frame: pd.DataFrame, guessing: float | None) -> list[str]:
    """What can be shown: the task's number, that number centred, and what else was measured."""
    others = sorted({name for found in frame["metrics"] for name in found if "_stderr" not in name})
    return [SCORE, *([CENTRED] if guessing is not None else []), *others]


def rises(frame: pd.DataFrame, metric: str) -> bool | None:
    """Whether more of a metric is better; None where nobody says."""
    if metric in (SCORE, CENTRED):
        return bool(frame["higher_is_better"].all())
    name = metric.split(",")[0]
    return name in RISES if name in (*RISES, *FALLS) else None


def of_metric(frame: pd.DataFrame, metric: str, guessing: float | None) -> pd.DataFrame:
    """The runs that have this metric, best first, or highest where nobody says which way is up: value, low, high.

    Only the task's own number has an interval.
    """
    if metric == CENTRED and guessing is not None:
        scaled = {k: [aggregate.centre(x, 100 * guessing) for x in frame[k]] for k in ("value", "low", "high")}
        shown = frame.assign(**scaled)
    elif metric == SCORE:
        shown = frame
    else:
        shown = frame.assign(value=[m.get(metric, np.nan) for m in frame["metrics"]], low=np.nan, high=np.nan)
    falls = rises(frame, metric) is False
    return shown.sort_values(["value", "run_id"], ascending=[falls, True]).dropna(subset="value")


def rows_asked(frame: pd.DataFrame) -> list[str]:
    """Which rows were asked: of all first, then by the number of runs."""
    counted = frame["rows_asked"].value_counts()
    return sorted(counted.index, key=lambda name: (name != ALL_ROWS, -counted[name], name))


def items(source: Source, task: str, rows: str) -> Items:
    """The items of the runs that asked these rows in the way that most runs with samples did."""
    every = load(source, task)
    sampled = every[every["sampled"] & (every["rows_asked"] == rows)].iloc[::-1]
    common = sampled["fingerprint"].mode()
    alike = sampled[sampled["fingerprint"].isin(common.head(1))].head(MODELS)
    read = {run_id: queries.items(source, run_id, task) for run_id in alike["run_id"]}
    kept = {run_id: found for run_id, found in read.items() if found["score"].between(0, 1).all()}
    alike = alike[alike["run_id"].isin(list(kept))]
    solved = pd.DataFrame({run_id: found["score"] for run_id, found in kept.items()})
    table = solved.mean(axis=1).rename("solved").rename_axis("item").reset_index()
    first = next(iter(kept.values()), pd.DataFrame({"cluster": []}))
    return Items(
        table=table.sort_values("solved", kind="stable").reset_index(drop=True),
        runs=tuple(kept),
        left_out=len(sampled) - len(alike),
        clusters=int(first["cluster"].nunique()) if first["cluster"].any() else 0,
        neighbours=_neighbours(alike, kept, macro=about(source, task).get("mean") == "macro"),
    )


def _neighbours(alike: pd.DataFrame, kept: Mapping[str, pd.DataFrame], *, macro: bool) -> pd.DataFrame:
    """How far neighbouring checkpoints of a series differ."""
    pairs = []
    for series, runs in alike.dropna(subset="step").sort_values("step", kind="stable").groupby("series"):
        for a, b in pairwise(runs.to_dict("records")):
            both = kept[a["run_id"]].join(kept[b["run_id"]]["score"].rename("score_next"), how="inner")
            found = comparing.difference(
                both["score"].to_numpy(),
                both["score_next"].to_numpy(),
                clusters=both["cluster"].tolist() if both["cluster"].any() else None,
                groups=both["group"].tolist() if macro and both["group"].any() else None,
            )
            if found is not None:
                row = {"series": series, "step": a["step"], "next_step": b["step"], "a": a["run_id"], "b": b["run_id"]}
                pairs.append(row | {k: getattr(found, k) for k in ("flip_rate", "delta", "mde")})
    columns = ["series", "step", "next_step", "a", "b", "flip_rate", "delta", "mde"]
    return pd.DataFrame(pairs, columns=columns).astype({"mde": float})


def difficulty(found: Items) -> pd.DataFrame:
    """Items by how many models solve them: `solved` in words, hardest first, and the number of `items`."""
    models, share = len(found.runs), found.table["solved"]
    if models <= FEW_MODELS and np.allclose(share * models, (share * models).round()):
        steps = np.arange(models + 1)
        counted = (share * models).round().astype(int).value_counts().reindex(steps, fill_value=0)
        words = [str(k) for k in steps]
    else:
        edges = np.linspace(0, 1, BINS + 1)
        counted = pd.Series(np.histogram(share, edges)[0])
        words = [f"{a:.0%}–{b:.0%}" for a, b in pairwise(edges)]
    return pd.DataFrame({"solved": words, "items": counted.to_numpy()})


def detectable(found: Items, n: int) -> tuple[float, float, bool]:
    """Flip rate, the least true drop that n items show, and whether both were measured.

    Medians: the rate's over all pairs of neighbours, the drop's over those in which enough changed to tell.
    """
    pairs = found.neighbours
    if pairs["mde"].notna().any():
        return float(pairs["flip_rate"].median()), float(pairs["mde"].median()), True
    return ASSUMED, comparing.detectable(ASSUMED, n), False


def noise(frame: pd.DataFrame) -> pd.DataFrame:
    """How far the checkpoints of each series scatter about their trend.

    Returns:
        series, points, sd, slope (per step; both NaN for fewer than 5 points), signal_to_noise: the widest gap between
        the last checkpoints of the runs shown over `sd` (Heineman et al. 2025, arXiv 2508.13144).
    """
    last = frame.sort_values("step", kind="stable").groupby("series")["value"].last()
    gap = float(last.max() - last.min()) if len(last) > 1 else np.nan
    rows = []
    for series, runs in frame.dropna(subset="step").groupby("series"):
        if len(runs) < 2:
            continue
        found = ranking.checkpoint_noise(runs["step"].to_numpy(), runs["value"].to_numpy())
        row = {"series": series, "points": len(runs), "sd": np.nan, "slope": np.nan, "signal_to_noise": np.nan}
        if found:
            row |= {"sd": found.sd, "slope": found.slope, "signal_to_noise": gap / found.sd if found.sd else np.nan}
        rows.append(row)
    return pd.DataFrame(rows, columns=["series", "points", "sd", "slope", "signal_to_noise"])
