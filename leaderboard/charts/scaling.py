"""The scaling page's chart."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from assay.leaderboard.charts.dots import GREY, INK
from assay.leaderboard.text import short, visible

MARKS = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "triangle-left")
"""One a family."""
HEIGHT = 460
COLUMNS_SHOWN = alt.ExprRef("containerSize()[0] < 600 ? 2 : 4")
"""Of the legend."""
COLUMNS = ("label", "shape", "place", "cost", "flops_from", "value", "low", "high", "evidence")
"""What is sent to the browser of each run."""


def scatter(drawn: pd.DataFrame, cost: str, score: str, *, front: bool) -> Any:
    """Scores with 95 % intervals against a cost on a log axis; families by shape, the front filled and numbered.

    Args:
        drawn: rows of `points`.
        cost: the horizontal axis' title.
        score: the vertical one's.
        front: draw the front as a step line and grey what it dominates.
    """
    rows = drawn[list(COLUMNS)].assign(label=drawn["label"].map(lambda name: short(visible(name), 64)))
    rows["shape"] = rows["shape"].map(lambda family: short(visible(family), 36))
    rows["on_front"] = rows["place"].notna() & front
    x = alt.X(
        "cost:Q",
        title=cost,
        scale=alt.Scale(type="log", nice=False, padding=12),
        axis=alt.Axis(tickCount=6, format=_form(rows["cost"]), labelExpr="replace(datum.label, 'G', 'B')", grid=False),
    )
    y = alt.Y("value:Q", title=score, scale=alt.Scale(zero=False))
    grey = GREY if front else INK
    tips = [alt.Tooltip(f"{name}:{kind}") for name, kind in _TIPS]
    base = alt.Chart(rows).encode(x=x, tooltip=tips)
    whiskers = base.mark_rule().encode(
        y=alt.Y("low:Q"),
        y2=alt.Y2("high:Q"),
        color=_on_front(alt.ColorValue, INK, grey),
        opacity=_on_front(alt.OpacityValue, 0.9, 0.3),
    )
    shapes = rows["shape"].value_counts().index.tolist()
    marks = base.mark_point(size=50, strokeWidth=1.5).encode(
        y=y,
        opacity=_on_front(alt.OpacityValue, 1, 0.7),
        shape=alt.Shape(
            "shape:N",
            scale=alt.Scale(domain=shapes, range=list(MARKS[: len(shapes)])),
            title=None,
            legend=alt.Legend(columns=COLUMNS_SHOWN),
        ),
        stroke=_on_front(alt.StrokeValue, INK, grey),
        fill=_on_front(alt.FillValue, INK, "transparent"),
    )
    if not front:
        return (whiskers + marks).properties(height=HEIGHT)
    return (whiskers + _line(rows, x, y) + marks + _numbers(rows, x, y)).properties(height=HEIGHT)


def _on_front(channel: Any, there: Any, elsewhere: Any) -> Any:
    """A look of its own for what the front is made of."""
    return channel(elsewhere, condition={"test": "datum.on_front", "value": there})


_TIPS = (
    ("label", "N"),
    ("shape", "N"),
    ("cost", "Q"),
    ("flops_from", "N"),
    ("value", "Q"),
    ("low", "Q"),
    ("high", "Q"),
)


def _line(rows: pd.DataFrame, x: Any, y: Any) -> Any:
    """The best score that has been had for no more than this cost."""
    steps = rows.loc[rows["on_front"], ["cost", "value"]]
    end = pd.DataFrame({"cost": [rows["cost"].max()], "value": steps["value"].tail(1).to_numpy()})
    line = alt.Chart(pd.concat([steps, end], ignore_index=True))
    return line.mark_line(interpolate="step-after", color=INK, strokeWidth=2).encode(x=x, y=y)


def _numbers(rows: pd.DataFrame, x: Any, y: Any) -> Any:
    """The front's places, as in the table below."""
    at = alt.Chart(rows.loc[rows["on_front"], ["cost", "value", "place"]])
    text = at.mark_text(align="right", baseline="bottom", dx=-6, dy=-6, fontWeight="bold", color=INK)
    return text.encode(x=x, y=y, text=alt.Text("place:Q", format="d"))


def _form(cost: pd.Series) -> str:
    """Exponents for what has no everyday name."""
    return ".0e" if cost.max() >= 1e15 else "~s"
