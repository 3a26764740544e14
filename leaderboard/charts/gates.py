"""The gates page's charts: verdicts over time, and what one of them found."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import altair as alt
import pandas as pd

from assay.leaderboard.charts.compare import LABELS, POINTS
from assay.leaderboard.charts.curves import CROSS
from assay.leaderboard.text import short, visible

BLUE, ORANGE, GREY, PURPLE = "#1f77d0", "#d9661f", "#8a94a0", "#8f63bd"
"""Told apart by the colour-blind, and visible on white and on black; shape and word say the same."""
LANES: Mapping[str, tuple[str, str]] = {
    "regressed": (CROSS, ORANGE),
    "inconclusive": ("diamond", PURPLE),
    "not_measured": ("square", GREY),
    "pass": ("circle", BLUE),
}
"""Shape and colour of each verdict, the worst on top."""
MARKS: Mapping[str, tuple[str, str]] = {
    "regressed": (CROSS, ORANGE),
    "inconclusive": ("diamond", PURPLE),
    "minor": ("triangle-down", ORANGE),
    "no_change_seen": ("circle", GREY),
    "held": ("square", BLUE),
    "improved": ("triangle-up", BLUE),
}
"""Of a finding's states, those that have a difference to draw, the worst first."""
DAYS, MONTHS = 4, 120
"""Days beyond which an axis needs no hours, and no days."""
MOST = 60
"""Findings of a chart; the table has them all."""


def timeline(table: pd.DataFrame, words: Mapping[Any, str], chosen: str) -> Any:
    """Verdicts over time, a lane each; the one shown below has a ring.

    Args:
        table: key, created, gate, verdict (of `LANES`), candidate, baseline, blocking.
        words: of each verdict, with its mark.
        chosen: key of the one with the ring.
    """
    lanes = {words[v]: look for v, look in LANES.items() if (table["verdict"] == v).any()}
    texts = {name: table[name].map(lambda text: short(visible(text))) for name in ("gate", "candidate", "baseline")}
    rows = table[["created"]].assign(**texts, said=table["verdict"].map(words), found=table["blocking"])
    rows["chosen"] = table["key"] == chosen
    axis = alt.Axis(domain=False, ticks=False, grid=True, labelOverlap=False)
    y = alt.Y("said:N", sort=list(lanes), title=None, axis=axis)
    look = alt.Axis(tickCount=6, format=_form(rows["created"]), labelOverlap=True, grid=False)
    x = alt.X("created:T", title="time of the verdict, UTC", scale=alt.Scale(type="utc", padding=14), axis=look)
    tips = [alt.Tooltip("created:T", format="%Y-%m-%d %H:%M", timeUnit="utcyearmonthdatehoursminutes")]
    tips += [alt.Tooltip(f"{name}:N") for name in ("gate", "candidate", "baseline", "said", "found")]
    base = alt.Chart(rows).encode(x=x, y=y, tooltip=tips)
    ring = base.transform_filter("datum.chosen").mark_point(shape="circle", size=420, strokeWidth=1.5, color=GREY)
    marks = base.mark_point(size=90, strokeWidth=2, opacity=0.9).encode(**_looks("said", lanes, legend=None))
    return (ring + marks).properties(height=alt.Step(44))


def _form(created: pd.Series) -> str:
    """As much of a time as tells verdicts of so many days apart."""
    days = (date.fromisoformat(created.max()[:10]) - date.fromisoformat(created.min()[:10])).days
    return "%b %Y" if days > MONTHS else "%d %b" if days > DAYS else "%d %b %H:%M"


def differences(found: pd.DataFrame) -> Any:
    """Candidate minus anchor with 95 % intervals, a row a finding, and a tick at the margin below which it blocks.

    Args:
        found: name (unique), state (of `MARKS`), word (of the state), delta, low, high, margin, effect; in the order to
            be shown.
    """
    points = {c: 100 * found[c] for c in ("delta", "low", "high")}
    names = found["name"].map(lambda name: short(visible(name), 64))
    rows = found[["word", "effect"]].assign(name=names, **points, margin=-100 * found["margin"])
    words = dict(zip(found["state"], found["word"], strict=True))
    states = {words[state]: look for state, look in MARKS.items() if state in words}
    y = alt.Y("name:N", sort=rows["name"].tolist(), axis=LABELS)
    numbers = [alt.Tooltip(f"{c}:Q", format="+.2f") for c in ("delta", "low", "high", "margin")]
    tips = [alt.Tooltip("name:N"), *numbers, alt.Tooltip("word:N"), alt.Tooltip("effect:N")]
    base = alt.Chart(rows).encode(y=y, tooltip=tips)
    zero = alt.Chart(pd.DataFrame({"none": [0.0]})).mark_rule(strokeDash=[4, 3], color=GREY).encode(x="none:Q")
    title = POINTS.replace("B − A", "candidate − baseline")
    looks = _looks("word", states, legend=alt.Legend(columns=3))
    sure = base.transform_filter("isValid(datum.low) && isValid(datum.high)").mark_rule(strokeWidth=2)
    whiskers = sure.encode(x=alt.X("low:Q", title=title), x2="high:Q", color=looks["color"])
    margins = base.mark_tick(thickness=2, size=14, color=GREY).encode(x=alt.X("margin:Q", title=title))
    marks = base.mark_point(size=70, strokeWidth=2, opacity=1).encode(x=alt.X("delta:Q", title=title), **looks)
    return (zero + margins + whiskers + marks).properties(height=alt.Step(24))


def _looks(field: str, looks: Mapping[str, tuple[str, str]], *, legend: Any) -> dict[str, Any]:
    """Shape and colour by words, under one legend; what is drawn by strokes alone has no fill."""
    shapes, colours = zip(*looks.values(), strict=True)
    fills = ["transparent" if shape == CROSS or colour == GREY else colour for shape, colour in looks.values()]

    def scaled(values: Any) -> dict[str, Any]:
        return {"scale": alt.Scale(domain=list(looks), range=list(values)), "title": None, "legend": legend}

    return {
        "shape": alt.Shape(f"{field}:N", **scaled(shapes)),
        "color": alt.Color(f"{field}:N", **scaled(colours)),
        "fill": alt.Fill(f"{field}:N", **scaled(fills)),
    }
