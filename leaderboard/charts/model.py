"""The model page's charts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd

from assay.leaderboard.charts.dots import LABEL, dots
from assay.leaderboard.loads.model import ABOVE, BELOW, INSIDE, UNKNOWN, UNSURE

SHAPES: Mapping[str, str] = {
    ABOVE: "circle",
    INSIDE: "diamond",
    BELOW: "triangle-down",
    UNSURE: "square",
    UNKNOWN: "cross",
}
INKS: Mapping[str, str] = {
    "no_answer": "#56b4e9",
    "truncated": "#e69f00",
    "timeout": "#cc79a7",
    "memory": "#009e73",
    "crash": "#d55e00",
    "output_limit": "#f0e442",
    "tampered": "#b07aa1",
    "infra_error": "#9aa5b1",
}
"""Okabe and Ito's colours; black text is readable on each."""
WIDE = 0.12
"""Part of the longest bar from which a segment has room for its text."""
ENDS = {1.0: "all right", 0.0: "all wrong"}


def against_guessing(tasks: pd.DataFrame, title: str) -> Any:
    """Tasks as dots, best on top, with the tick of guessing.

    Args:
        tasks: task, value, low, high, guessing, standing, raw (the score as it is, in [0, 1]).
        title: of the axis.
    """
    frame = tasks.rename(columns={"task": "name", "standing": "state"})
    frame = frame.sort_values(["value", "name"], ascending=[False, True], kind="stable")
    frame["said"] = frame["raw"].map(ENDS).fillna("")
    return dots(frame[["name", "value", "low", "high", "guessing", "state", "said"]], title, SHAPES)


def failures(counts: pd.DataFrame) -> Any:
    """Samples without a verdict on an answer, as shares of each task's samples, stacked by what happened.

    Args:
        counts: task, status, samples, share.
    """
    order = counts.groupby("task")["share"].sum().sort_values(ascending=False, kind="stable")
    frame = counts.assign(text=counts["status"] + " " + counts["samples"].astype(str))
    frame["text"] = frame["text"].where(frame["share"] > WIDE * order.max(), "")
    y = alt.Y("task:N", sort=order.index.tolist(), title=None, axis=alt.Axis(labelLimit=LABEL))
    x = alt.X("share:Q", title="share of the task's samples", stack="zero", axis=alt.Axis(format=".0%"))
    kinds = [s for s in INKS if (frame["status"] == s).any()]
    ink = alt.Color("status:N", scale=alt.Scale(domain=kinds, range=[INKS[s] for s in kinds]), title=None)
    tips = ["task:N", "status:N", "samples:Q", alt.Tooltip("share:Q", format=".1%")]
    base = alt.Chart(frame).encode(y=y, x=x, order=alt.Order("status:N"))
    bars = base.mark_bar(stroke="#ffffff", strokeWidth=1).encode(color=ink, tooltip=tips)
    text = base.mark_text(color="#101010", fontSize=11).encode(
        x=alt.X("share:Q", stack="zero", bandPosition=0.5), detail="status:N", text="text:N"
    )
    return (bars + text).properties(height=alt.Step(22))
