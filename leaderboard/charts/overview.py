"""The overview's charts."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

BLUE = "#2f7fd0"
"""Seen on white and on black."""
TOP = 30
"""Rows of a dot plot."""


def unique_labels(frame: pd.DataFrame, label: str, key: str) -> pd.Series:
    """Labels, with the key added where two rows share one."""
    twice = frame[label].duplicated(keep=False)
    return frame[label].where(~twice, frame[label] + " · " + frame[key])


def standing(frame: pd.DataFrame, score: str) -> Any:
    """Scores with 95 % intervals, best on top; filled marks can't be told from the leader, whose interval is shaded.

    Args:
        frame: model, run_id, value, low, high, tied, leads; best first.
        score: the axis title.
    """
    drawn = frame.assign(name=unique_labels(frame, "model", "run_id"), state=frame["tied"].map(_tied))
    order = drawn["name"].tolist()
    y = alt.Y("name:N", sort=order, title=None)
    x = alt.X("value:Q", title=score, scale=alt.Scale(zero=False))
    tips = [alt.Tooltip(field) for field in ("name:N", "rank:N", "value:Q", "low:Q", "high:Q", "state:N")]
    base = alt.Chart(drawn).encode(y=y, tooltip=tips)
    whiskers = (
        base.mark_rule(strokeWidth=2, color=BLUE, opacity=0.6)
        .encode(x=x, x2=alt.X2("high:Q"))
        .transform_calculate(value="datum.low")
    )
    marks = base.mark_point(size=70, strokeWidth=2, color=BLUE).encode(
        x=x,
        shape=alt.Shape("state:N", scale=alt.Scale(domain=list(_STATES), range=["circle", "diamond"]), title=None),
        fill=alt.condition("datum.tied", alt.value(BLUE), alt.value("transparent")),
    )
    leader = drawn[drawn["leads"]].dropna(subset=["low", "high"])
    shade = alt.Chart(leader).mark_rect(opacity=0.12, color=BLUE).encode(x=alt.X("low:Q"), x2=alt.X2("high:Q"))
    return (shade + whiskers + marks).properties(height=alt.Step(20))


_STATES = ("can't be told from the leader", "behind the leader")


def _tied(tied: bool) -> str:
    return _STATES[0] if tied else _STATES[1]
