"""The heatmap's chart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

HEADING = "§ "
"""What the label of a row that is a heading begins with."""
WRITTEN = 10
"""Up to so many columns, numbers stand in the cells."""
DARK, LIGHT = "#16202c", "#ffffff"
"""Text on a cell; a cell has its colour whatever the theme."""


def matrix(cells: pd.DataFrame, rows: Sequence[str], columns: Sequence[str], *, delta: bool) -> Any:
    """Coloured cells; differences about 0 in blue and orange with ▲ and ▼ where they are real, scores in one sequence.

    Args:
        cells: task, column, amount, mark ("▲", "▼" or ""), and what the tooltip says: state, p.
        rows: tasks from top to bottom, headings among them.
        columns: from left to right.
        delta: the amounts are differences.
    """
    written = len(columns) <= WRITTEN
    drawn = cells.assign(text=[_text(c.amount, c.mark, delta) if written else c.mark for c in cells.itertuples()])
    most = float(max(0.01, drawn["amount"].abs().max()))
    x = alt.X("column:N", sort=list(columns), title=None, scale=alt.Scale(domain=list(columns)), axis=_top(written))
    y = alt.Y("task:N", sort=list(rows), title=None, scale=alt.Scale(domain=list(rows)), axis=_AXIS_Y)
    tips = [alt.Tooltip("task:N"), alt.Tooltip("column:N"), alt.Tooltip("amount:Q", format=".4f")]
    tips += [alt.Tooltip("state:N"), alt.Tooltip("p:Q", format=".2g", title="p, adjusted")] if delta else []
    base = alt.Chart(drawn).encode(x=x, y=y, tooltip=tips)
    scale = _diverging(most) if delta else alt.Scale(scheme="viridis", domain=[min(0.0, drawn["amount"].min()), 1.0])
    title = "difference" if delta else "centred score"
    filled = base.mark_rect().encode(color=alt.Color("amount:Q", scale=scale, title=title))
    light = f"abs(datum.amount) > {0.6 * most}" if delta else "datum.amount < 0.55"
    ink = alt.condition(light, alt.value(LIGHT), alt.value(DARK))
    words = base.transform_filter("datum.text != ''").mark_text(fontSize=11).encode(text=alt.Text("text:N"), color=ink)
    return (filled + words).properties(height=alt.Step(19))


_AXIS_Y = alt.Axis(
    labelLimit=195,
    labelOverlap=False,
    domain=False,
    ticks=False,
    labelFontWeight=alt.condition(
        f"substring(datum.label, 0, 2) == '{HEADING}'", alt.value("bold"), alt.value("normal")
    ),
)


def _top(few: bool) -> Any:
    """Names above the columns; those that don't fit are left out, tooltip and table have them."""
    fit = {"labelAngle": -30, "labelLimit": 150} if few else {"labelAngle": -90, "labelLimit": 200, "labelFontSize": 10}
    return alt.Axis(orient="top", labelOverlap="greedy", domain=False, ticks=False, **fit)


def _diverging(most: float) -> alt.Scale:
    """Blue above 0, orange below, white at 0: told apart by the colour-blind."""
    return alt.Scale(scheme="blueorange", reverse=True, domain=[-most, most], domainMid=0)


def _text(amount: float, mark: str, delta: bool) -> str:
    said = f"{amount:+.2f}" if delta else f"{amount:.2f}"
    return f"{said} {mark}".rstrip()
