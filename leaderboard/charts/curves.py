"""The curves page's charts: one panel a score, and a key to the training runs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import altair as alt
import pandas as pd

from assay.leaderboard.text import short, visible

COLOURS = ("#2b7bd4", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#1f9bb5", "#8f63bd")
"""Told apart by the colour-blind, and visible on white and on black."""
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
"""With seven colours, forty-two training runs before a pair of both comes back."""
GREY = "#8a94a0"
BLOCK = "#c9302c"
CROSS = "M-1,-1L1,1M1,-1L-1,1"
"""An X, as a path of Vega's; no training run has it."""
COLUMNS = ("series", "line", "label", "x", "value", "low", "high", "smooth", "noise_low", "noise_high")
"""What is sent to the browser of each point."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How every panel of a page is drawn.

    Attributes:
        axis: title of the horizontal axis.
        log: its scale; places at 0 are then left out.
        band: draw intervals.
        smooth: draw the trailing mean as the line, the raw points behind it.
        series: all training runs of the page, in the order of their colours.
    """

    axis: str
    log: bool
    band: bool
    smooth: bool
    series: tuple[str, ...]

    @property
    def colour(self) -> Any:
        """A colour for each training run, the same in every panel."""
        colours = [COLOURS[i % len(COLOURS)] for i in range(len(self.series))]
        return alt.Color("series:N", scale=alt.Scale(domain=list(self.series), range=colours), legend=None)

    @property
    def shape(self) -> Any:
        """A shape for each, so that no colour stands alone."""
        shapes = [SHAPES[i % len(SHAPES)] for i in range(len(self.series))]
        return alt.Shape("series:N", scale=alt.Scale(domain=list(self.series), range=shapes), legend=None)


def panel(
    points: pd.DataFrame, title: str, look: Look, baseline: float | None, blocked: pd.DataFrame | None = None
) -> dict[str, Any]:
    """One score against training, as a Vega-Lite specification with its data.

    Line, 95 % band, dashed band with checkpoint noise, dotted rule of guessing; where a gate blocked, a dashed rule
    with an X on top of it, or on the point where this score was to blame.

    Args:
        points: of one score, rows as `loads.curves.load` gives them.
        title: the score, and how it is smoothed.
        look: of the page.
        baseline: what guessing scores.
        blocked: where gates blocked, as `loads.curve_gates.of_panel` gives it.
    """
    rows = points[points["x"] > 0] if look.log else points
    alone = rows.groupby("line")["x"].transform("size") == 1
    rows = rows[list(COLUMNS)].assign(label=rows["label"].map(short), alone=alone)
    drawn = _template(look, ".0e" if len(rows) and rows["x"].max() >= 1e15 else "~s")
    layers = [*drawn["layer"], *([_guessing(baseline)] if baseline is not None else [])]
    if blocked is not None and len(blocked):
        layers += _blocks(blocked[blocked["x"] > 0] if look.log else blocked)
    title_of = {"text": title, "anchor": "start", "limit": 320}
    return drawn | {"data": {"values": rows}, "layer": layers, "title": title_of, "height": 210, "config": CONFIG}


CONFIG = {"view": {"strokeWidth": 0}, "axis": {"labelLimit": 280}}


def _guessing(baseline: float) -> dict[str, Any]:
    return {
        "data": {"values": [{"guessing": baseline}]},
        "mark": {"type": "rule", "strokeDash": [1, 3], "strokeWidth": 2, "color": GREY},
        "encoding": {
            "y": {"field": "guessing", "type": "quantitative"},
            "tooltip": {"field": "guessing", "type": "quantitative", "format": ".4f"},
        },
    }


def _blocks(blocked: pd.DataFrame) -> list[dict[str, Any]]:
    """A rule a block, its X, and what a pointer is told."""
    texts = {c: blocked[c].map(lambda text: short(visible(text))) for c in ("gate", "label")}
    rows = blocked.drop(columns="series").assign(said="blocked", points=100 * blocked["delta"], **texts)
    records = rows.astype(object).where(rows.notna(), None).to_dict("records")
    x = {"field": "x", "type": "quantitative"}
    tips = [{"field": name, "type": "nominal"} for name in ("said", "gate", "label", "created")]
    delta = {"field": "points", "type": "quantitative", "format": "+.1f"}
    cross = {"type": "point", "shape": CROSS, "size": 130, "strokeWidth": 3, "color": BLOCK, "opacity": 1}
    places = {True: {"field": "value", "type": "quantitative"}, False: {"value": 6}}
    rule = {"type": "rule", "strokeDash": [6, 3], "color": BLOCK, "opacity": 0.7}
    layers = [{"data": {"values": records}, "mark": rule, "encoding": {"x": x, "tooltip": tips}}]
    for named, y in places.items():
        if some := [r for r in records if r["named"] is named]:
            encoding = {"x": x, "y": y, "tooltip": [*tips, *([delta] if named else [])]}
            layers.append({"data": {"values": some}, "mark": cross, "encoding": encoding})
    return layers


@lru_cache(maxsize=64)
def _template(look: Look, form: str) -> dict[str, Any]:
    """What the panels of a page share. Made once: checking it against Vega-Lite's schema takes longer than the rest."""
    x = alt.X(
        "x:Q",
        title=look.axis,
        scale=alt.Scale(type="log" if look.log else "linear", nice=False, padding=8),
        axis=alt.Axis(tickCount=4, format=form, labelExpr=TICK, grid=False),
    )
    base = alt.Chart(alt.Data(name="points")).encode(x=x, color=look.colour, detail="line:N")
    drawn: dict[str, Any] = alt.layer(*(_bands(base) if look.band else []), *_lines(base, look)).to_dict()
    return drawn


TICK = "datum.value == 0 ? '0' : replace(datum.label, 'G', 'B')"


def _y(column: str) -> Any:
    return alt.Y(f"{column}:Q", title=None, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=5))


def _bands(base: Any) -> list[Any]:
    """95 % of the items alone, filled, or a whisker on a lone point; with checkpoint noise, between dashed lines."""
    sure = base.transform_filter("isValid(datum.low) && isValid(datum.high)")
    whisker = sure.transform_filter("datum.alone").mark_rule(strokeWidth=2).encode(y=_y("low"), y2="high:Q")
    noisy = base.transform_filter("isValid(datum.noise_low)")
    dashed = noisy.mark_line(strokeDash=[5, 4], strokeWidth=1)
    area = sure.mark_area(opacity=0.16).encode(y=_y("low"), y2="high:Q")
    return [area, whisker, *(dashed.encode(y=_y(side)) for side in NOISE)]


NOISE = ("noise_low", "noise_high")


def _lines(base: Any, look: Look) -> list[Any]:
    """The scores themselves; where they are smoothed, thin and pale behind their mean."""
    line = base.mark_line(strokeWidth=1 if look.smooth else 2, opacity=0.4 if look.smooth else 1).encode(y=_y("value"))
    tips = [alt.Tooltip(f"{name}:{kind}", format=form) for name, kind, form in TIPS]
    marks = base.mark_point(size=34, filled=True, opacity=0.6 if look.smooth else 1)
    drawn = [line, marks.encode(y=_y("value"), shape=look.shape, tooltip=tips)]
    if look.smooth:
        mean = base.transform_filter("isValid(datum.smooth)").mark_line(strokeWidth=3)
        drawn.append(mean.encode(y=_y("smooth")))
    return drawn


TIPS = (
    *(("series", "N", ""), ("label", "N", ""), ("x", "Q", ",.6~g")),
    *((name, "Q", ".4f") for name in ("value", "low", "high")),
)


def key(look: Look) -> Any:
    """Which colour and shape is which training run."""
    rows = alt.Chart(pd.DataFrame({"series": list(look.series), "at": 0}))
    axis = alt.Axis(domain=False, ticks=False, grid=False, labelLimit=280, labelOverlap=False)
    names = alt.Y("series:N", sort=list(look.series), title=None, axis=axis)
    begin = alt.X("at:Q", axis=None, scale=alt.Scale(domain=[0, 1], padding=8))
    marks = rows.mark_point(size=60, filled=True, opacity=1)
    return marks.encode(x=begin, y=names, color=look.colour, shape=look.shape).properties(height=alt.Step(20))
