"""Dot plots with intervals: what scores stand where, best on top."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd

INK = "#0b6fd0"
"""Visible on white and on black."""
GREY = "#87919c"
ORANGE = "#d05a00"
"""Beside INK for those who see colour; the shape says the same."""
LABEL = alt.ExprRef("containerSize()[0] < 600 ? 130 : 280")
"""Pixels of a name, so that a plot is left on a telephone."""


def dots(frame: pd.DataFrame, title: str, states: Mapping[str, str], *, rows: int = 18) -> Any:
    """Scores with 95 % intervals by name, in the frame's order, and a tick where guessing stands.

    Args:
        frame: name, value, low, high, guessing, state, said (what stands beside the interval, or "").
        title: of the axis.
        states: shape of each state; the first is filled.
        rows: pixels of a row.
    """
    shown = {state: shape for state, shape in states.items() if (frame["state"] == state).any()}
    first = next(iter(states))
    numbers = (alt.Tooltip(f"{c}:Q", format=".4f") for c in ("value", "low", "high", "guessing"))
    tips = [alt.Tooltip("name:N"), *numbers, alt.Tooltip("state:N")]
    look = alt.Axis(labelLimit=LABEL, grid=True, domain=False, ticks=False)
    base = alt.Chart(frame).encode(y=alt.Y("name:N", sort=frame["name"].tolist(), title=None, axis=look), tooltip=tips)
    of = {"scale": alt.Scale(domain=list(shown), range=[_ink(states, s) for s in shown]), "title": None}
    ink = alt.Color("state:N", **of)
    shape = alt.Shape("state:N", scale=alt.Scale(domain=list(shown), range=list(shown.values())), title=None)
    key = alt.Legend(columns=1, labelLimit=320)
    layers = []
    if frame["guessing"].notna().any():
        ticks = base.transform_filter("isValid(datum.guessing)").mark_tick(thickness=2, size=rows - 5, color=GREY)
        layers.append(ticks.encode(x=_x("guessing", title)))
    if frame["low"].notna().any():
        whiskers = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=2, opacity=0.65)
        layers.append(whiskers.encode(x=_x("low", title), x2=alt.X2("high:Q"), color=ink))
    marks = base.mark_point(size=60, strokeWidth=2, opacity=1).encode(
        x=_x("value", title),
        color=alt.Color("state:N", legend=key, **of),
        shape=shape,
        fill=alt.condition(alt.datum.state == first, alt.value(INK), alt.value("transparent")),
    )
    return alt.layer(*layers, marks, *_said(base, frame, title)).properties(height=alt.Step(rows))


def _x(name: str, title: str) -> Any:
    return alt.X(f"{name}:Q", title=title)


def _said(base: Any, frame: pd.DataFrame, title: str) -> list[Any]:
    """The words beside intervals, on the side that has room: to the left of those that end near 1."""
    layers = []
    for right in (False, True):
        if not ((frame["said"] != "") & ((frame["value"] > 0.5) != right)).any():
            continue
        side = base.transform_filter(f"datum.said != '' && (datum.value > 0.5) == {str(not right).lower()}")
        place = side.transform_calculate(beside="datum.high" if right else "datum.low")
        text = place.mark_text(align="left" if right else "right", dx=8 if right else -8, fontSize=11, color=GREY)
        layers.append(text.encode(x=_x("beside", title), text=alt.Text("said:N")))
    return layers


def _ink(states: Mapping[str, str], state: str) -> str:
    """Blue for the first state, orange for a triangle that points down, grey for the rest."""
    if state == next(iter(states)):
        return INK
    return ORANGE if states[state] == "triangle-down" else GREY
