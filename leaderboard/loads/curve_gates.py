"""Checkpoints of curves that a gate blocked: where each stands, and on which score."""

from __future__ import annotations

import pandas as pd

from assay.harness.gating import wording
from assay.leaderboard.loads.gates import counted
from assay.leaderboard.text import plain

KEY = ["gate", "created", "series", "label", "x"]
COLUMNS = [*KEY, "score", "delta"]
NAMED = 3


def stops(blocked: pd.DataFrame, checkpoints: pd.DataFrame) -> pd.DataFrame:
    """Blocks of checkpoints that have a place on the axis; of a run that is not here, its series' checkpoint there.

    Args:
        blocked: as `gates.blocked` gives them.
        checkpoints: run_id, series, label, step and x of those that are shown.

    Returns:
        COLUMNS, by place; `score` is "" in the row of the gate as a whole.
    """
    known = checkpoints.dropna(subset="x").drop_duplicates("run_id", keep="last")
    here = blocked.merge(known[["run_id", "label", "x"]], on="run_id")
    gone = blocked[~blocked["run_id"].isin(known["run_id"]) & (blocked["series"] != "")].dropna(subset="step")
    places = known.drop_duplicates(["series", "step"], keep="last")[["series", "step", "label", "x"]]
    there = gone.merge(places, on=["series", "step"])
    found = pd.concat([part for part in (here, there) if len(part)] or [here])
    return found[COLUMNS].sort_values(["x", "created", "score"], ignore_index=True)


def of_panel(found: pd.DataFrame, points: pd.DataFrame) -> pd.DataFrame:
    """What one panel shows: each gate's block at its place, and the value there where this score was to blame.

    Args:
        found: of `stops`.
        points: of one score: score, series, x, value.

    Returns:
        gate, created, series, label, x, named (whether this score was to blame), value and delta (null where not).
    """
    within = found[found["x"].between(points["x"].min(), points["x"].max())]
    mine = within[within["score"] == points["score"].iloc[0]]
    places = points.drop_duplicates(["series", "x"], keep="last")[["series", "x", "value"]]
    mine = mine.merge(places, on=["series", "x"]).drop(columns="score")
    every = within[within["score"] == ""].drop(columns=["score", "delta"]).merge(mine, on=KEY, how="left")
    return every.assign(named=every["value"].notna())


def said(found: pd.DataFrame) -> str:
    """The blocks in words, for Markdown; "" where there are none."""
    if found.empty:
        return ""
    each = []
    for (gate, _, label), rows in found.groupby(["gate", "created", "label"], sort=False):
        blamed = [f"{plain(r.score)} ({wording.points(r.delta)} points)" for r in rows.itertuples() if r.score]
        more = f" and {len(blamed) - NAMED} more" if len(blamed) > NAMED else ""
        each.append(f"{plain(label)} by {plain(gate)}" + (f" for {', '.join(blamed[:NAMED])}{more}" if blamed else ""))
    more = f"; and {len(each) - NAMED} more" if len(each) > NAMED else ""
    return f"Gates blocked {counted(len(each), 'time')} here (✕ on a dashed line): {'; '.join(each[:NAMED])}{more}."


def said_of_panel(found: pd.DataFrame) -> str:
    """The blocks that one score is to blame for, in words, for Markdown."""
    blamed = found[found["named"]]
    names = [f"{plain(r.label)} ({wording.points(r.delta)} points)" for r in blamed.head(NAMED).itertuples()]
    more = f" and {len(blamed) - NAMED} more" if len(blamed) > NAMED else ""
    return f" Blocked for it: {', '.join(names)}{more}." if names else ""
