"""Charts of two runs' differences: b minus a, in percentage points, tasks by effect."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

MOST = 60
"""Tasks of a chart; the table has them all."""
STATES = ("better", "not told apart", "worse")
SHAPES = ("triangle-up", "circle", "triangle-down")
COLOURS = ("#1f77d0", "#8a94a0", "#d9661f")
SIDES = ("lost by B", "gained by B")
LABELS = alt.Axis(
    labelOverlap=False,
    labelBound=False,
    labelFlush=False,
    labelLimit=alt.ExprRef("windowSize()[0] < 600 ? 120 : 240"),
    title=None,
)
"""Long names are cut on a narrow screen; the tooltip and the table have them whole."""
POINTS = "B − A, percentage points"
ROW = alt.Step(18)


def forest(found: pd.DataFrame, margin: float = 0.0) -> Any:
    """Difference per task with its 95 % interval around a line at no difference; filled marks survive Holm.

    Args:
        found: task, delta, low, high, p, holm, state and said, in the order to be shown.
        margin: in points; a line on either side, none for 0.
    """
    points = {c: 100 * found[c] for c in ("delta", "low", "high")}
    drawn = found[["task", "p", "holm", "state", "said"]].assign(**points)
    y = alt.Y("task:N", sort=drawn["task"].tolist(), axis=LABELS)
    x = alt.X("delta:Q", title=POINTS, scale=alt.Scale(zero=True))
    told = alt.Tooltip
    tips = [told("task:N"), *(told(f"{c}:Q", format="+.2f") for c in points), *(told(c) for c in ("p:Q", "holm:Q"))]
    base = alt.Chart(drawn).encode(y=y, tooltip=[*tips, told("state:N"), told("said:N")])
    colour = alt.Color("state:N", scale=alt.Scale(domain=list(STATES), range=list(COLOURS)), title=None)
    shape = alt.Shape("state:N", scale=alt.Scale(domain=list(STATES), range=list(SHAPES)), title=None)
    fill = alt.Fill(
        "state:N", scale=alt.Scale(domain=list(STATES), range=[COLOURS[0], "transparent", COLOURS[2]]), title=None
    )
    zero: Any = alt.Chart(pd.DataFrame({"none": [0.0]})).mark_rule(strokeDash=[4, 3], color="#8a94a0")
    zero = zero.encode(x=alt.X("none:Q"))
    whiskers = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title=POINTS), x2=alt.X2("high:Q"), color=colour)
    marks = base.mark_point(size=70, strokeWidth=2, opacity=1).encode(x=x, color=colour, shape=shape, fill=fill)
    if margin:
        ends = alt.Chart(pd.DataFrame({"margin": [-margin, margin]}))
        zero += ends.mark_rule(strokeDash=[1, 3], strokeWidth=2, color=COLOURS[2]).encode(x=alt.X("margin:Q"))
    return (zero + whiskers + marks).properties(height=ROW)


def flips(found: pd.DataFrame) -> Any:
    """Items that b lost, to the left, and gained, to the right, as shares of the task's; the counts stand at the bars.

    Args:
        found: task, lost, gained and n, in the order to be shown.
    """
    long = found.melt(["task", "n"], ["lost", "gained"], var_name="way", value_name="items")
    lost = long["way"] == "lost"
    long["share"] = 100 * long["items"] / long["n"] * (1 - 2 * lost)
    long["way"] = lost.map({True: SIDES[0], False: SIDES[1]})
    y = alt.Y("task:N", sort=found["task"].tolist(), axis=LABELS)
    x = alt.X("share:Q", title="← lost · share of the items, % · gained →", axis=alt.Axis(labelExpr="abs(datum.value)"))
    colour = alt.Color("way:N", scale=alt.Scale(domain=list(SIDES), range=[COLOURS[2], COLOURS[0]]), title=None)
    tips = [alt.Tooltip(f"{c}") for c in ("task:N", "way:N", "items:Q", "n:Q")]
    base = alt.Chart(long).encode(y=y, x=x, tooltip=tips)
    said = base.transform_filter("datum.items > 0").encode(text=alt.Text("items:Q"))
    left = said.transform_filter("datum.share < 0").mark_text(align="right", dx=-3, color="#8a94a0")
    right = said.transform_filter("datum.share > 0").mark_text(align="left", dx=3, color="#8a94a0")
    return (base.mark_bar().encode(color=colour) + left + right).properties(height=ROW)


def shares(found: pd.DataFrame) -> Any:
    """Which tasks a composite's uncertainty comes from.

    Args:
        found: task and share, a part of 1; the largest first.
    """
    drawn = found.assign(percent=100 * found["share"], said=[f"{100 * s:.0f} %" for s in found["share"]])
    y = alt.Y("task:N", sort=drawn["task"].tolist(), axis=LABELS)
    x = alt.X("percent:Q", title="share of the variance, %")
    base = alt.Chart(drawn).encode(y=y, x=x, tooltip=[alt.Tooltip("task:N"), alt.Tooltip("percent:Q", format=".1f")])
    bars = base.mark_bar(color=COLOURS[0])
    return (bars + base.mark_text(align="left", dx=3, color="#8a94a0").encode(text=alt.Text("said:N"))).properties(
        height=ROW
    )
