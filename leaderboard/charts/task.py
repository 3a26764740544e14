"""The task page's charts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from assay.leaderboard.charts.dots import GREY, INK, LABEL, dots
from assay.leaderboard.text import short, visible

SAMPLED, BARE = "its samples are here", "a published number alone"
STATES: Mapping[str, str] = {SAMPLED: "circle", BARE: "square"}
NAMED = 30
"""Up to so many models each has a row of its own; beyond it a family has."""
GROUPS = 20
"""Rows of families; the rest share one."""
OTHER = "other families"
LANES = 5
"""Beside each other within a row, so that marks don't hide marks."""


def models(frame: pd.DataFrame, title: str, guessing: float | None) -> Any:
    """Every model's score with its 95 % interval: a row each, or a strip a family where they are many.

    Args:
        frame: label, run_id, family, series, value, low, high, sampled; best first.
        title: of the axis.
        guessing: where a tick or a line shows what guessing scores; None for nowhere.
    """
    drawn = frame.assign(state=np.where(frame["sampled"], SAMPLED, BARE), guessing=guessing)
    drawn["name"] = drawn["label"].map(lambda label: short(visible(label)))
    if len(drawn) <= NAMED:
        twice = drawn["name"].duplicated(keep=False)
        drawn["name"] = drawn["name"].where(~twice, drawn["name"] + " · " + drawn["run_id"].str[-8:])
        return dots(drawn[["name", "value", "low", "high", "guessing", "state"]].assign(said=""), title, STATES)
    return _strip(drawn, title, guessing)


def _strip(drawn: pd.DataFrame, title: str, guessing: float | None) -> Any:
    family = drawn["family"].where(drawn["family"] != "", drawn["series"].map(short))
    common = family.value_counts().head(GROUPS).index
    drawn = drawn.assign(group=family.where(family.isin(common), OTHER))
    drawn["lane"] = drawn.groupby("group").cumcount() % LANES
    order = drawn["group"].unique().tolist()
    rows = drawn[["name", "group", "lane", "value", "low", "high", "state"]]
    y = alt.Y("group:N", sort=order, title=None, axis=alt.Axis(labelLimit=LABEL, grid=True, domain=False, ticks=False))
    lane = alt.YOffset("lane:Q", scale=alt.Scale(domain=[-1, LANES]))
    x = alt.X("value:Q", title=title, scale=alt.Scale(zero=False))
    tips = ["name:N", "group:N", *(alt.Tooltip(f"{c}:Q", format=".4f") for c in ("value", "low", "high")), "state:N"]
    base = alt.Chart(rows).encode(y=y, yOffset=lane, tooltip=tips)
    shown = [s for s in STATES if (rows["state"] == s).any()]
    marks = base.mark_point(size=36, strokeWidth=1.5, opacity=0.9, color=INK).encode(
        x=x,
        shape=alt.Shape("state:N", scale=alt.Scale(domain=shown, range=[STATES[s] for s in shown]), title=None),
        fill=alt.condition(alt.datum.state == SAMPLED, alt.value(INK), alt.value("transparent")),
    )
    layers = [marks]
    if rows["low"].notna().any():
        whiskers = base.transform_filter("isValid(datum.low)").mark_rule(opacity=0.35, color=INK)
        layers.insert(0, whiskers.encode(x=alt.X("low:Q", title=title), x2="high:Q"))
    if guessing is not None:
        line = alt.Chart(pd.DataFrame({"guessing": [guessing], "said": ["guessing"]})).encode(x="guessing:Q")
        layers.append(line.mark_rule(strokeDash=[4, 3], color=GREY, strokeWidth=1.5))
        layers.append(line.mark_text(align="left", dx=4, y=6, color=GREY).encode(text="said:N"))
    return alt.layer(*layers).properties(height=alt.Step(30))


def histogram(counted: pd.DataFrame, of: int) -> Any:
    """Items by how many models solve them, hardest on the left.

    Args:
        counted: solved (in words, in order), items.
        of: so many models.
    """
    frame = counted.assign(said=counted["items"].map("{:,}".format))
    title = f"of {of} models, how many solve the item"
    x = alt.X("solved:N", sort=frame["solved"].tolist(), title=title, axis=alt.Axis(labelAngle=0, labelOverlap=True))
    base = alt.Chart(frame).encode(x=x, y=alt.Y("items:Q", title="items"), tooltip=["solved:N", "items:Q"])
    bars = base.mark_bar(color=INK, fillOpacity=0.35, stroke=INK, strokeWidth=1.5)
    counts = base.mark_text(dy=-7, color=GREY, fontSize=12).encode(text="said:N")
    return (bars + counts).properties(height=260)
