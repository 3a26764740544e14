"""How training goes: scores of a run's checkpoints, with the error of the items and the noise between checkpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from assay.leaderboard import shell
from assay.leaderboard.charts import curves as charts
from assay.leaderboard.loads import curve_gates, gates
from assay.leaderboard.loads.curves import (
    AXES,
    PANELS,
    SERIES,
    SHOWN,
    TRAILING,
    baselines,
    load,
    most_points,
    numbers,
    said_of_guessing,
    said_of_lines,
    said_of_noise,
    said_of_points,
    scores,
    series,
    thinned,
    usual,
)
from assay.leaderboard.queries import Source
from assay.leaderboard.text import address, plain, visible
from assay.leaderboard.views.pair import distinct

OFF_ON = ("0", str(TRAILING))
TOGETHER = 3
"""Panels side by side, where there is room."""


def view() -> None:
    """The page."""
    shell.heading("Curves", "Does training still help, and is a bump more than noise?")
    source = shell.source()
    known = shell.load(series, source)
    if known.empty:
        _nothing(source)
        return
    left, right = st.columns(2)
    with left:
        chosen = _series(known)
    offered = shell.load(scores, source, tuple(chosen))
    if not offered:
        st.info("These checkpoints have no score yet: their runs are unfinished, or their tasks lacked data.")
        return
    with right:
        names = _names(offered)
    axis, look = _look(source, chosen, names)
    frames = shell.load(load, source, tuple(chosen), tuple(names), axis)
    if frames["points"].empty:
        st.info(f"No checkpoint with these scores says its {AXES[axis]}; choose another axis.")
        return
    _panels(source, frames, names, look)
    _pair(frames["checkpoints"])
    table = numbers(frames["points"], AXES[axis])
    shell.plain_table(table, key="curves")
    shell.downloads(table, "curves", key="curves")


def _nothing(source: Source) -> None:
    st.info(
        "No run here says how far its training was. A checkpoint does by its folder's name (step-000100) or by a state "
        "file beside its weights; a series is one command:"
    )
    st.code(f"assay run quick --model 'hf:checkpoints/step-*' --store {source.store}", language="bash")


def _series(known: pd.DataFrame) -> list[str]:
    """The training runs to show; where nobody chose, the one with most checkpoints."""
    options = known["series"].tolist()
    chosen = shell.several("run", "Training run", options, placeholder=visible(options[0])) or options[:1]
    if len(chosen) > SERIES:
        st.warning(f"{len(chosen)} training runs are too many to tell apart; the first {SERIES} are shown.")
    single = known[known["series"].isin(chosen) & (known["checkpoints"] < 2)]["series"]
    for name in single[:SERIES]:
        st.info(
            f"{plain(name)} has one checkpoint, which is a point and no curve. Measure more of them: "
            "`assay run quick --model 'hf:checkpoints/step-*'`."
        )
    return chosen[:SERIES]


def _names(offered: Sequence[str]) -> list[str]:
    names = shell.several("tasks", "Score", offered, placeholder=f"The first {SHOWN}; choose up to {PANELS}")
    if len(names) > PANELS:
        st.warning(f"{len(names)} scores are too many for one page; the first {PANELS} are shown.")
    return names[:PANELS] or usual(offered)


def _look(source: Source, chosen: Sequence[str], names: Sequence[str]) -> tuple[str, charts.Look]:
    """The axis and how panels are drawn, from the page's widgets."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        asked = shell.switch("x", "Axis", list(AXES))
        smooth = (
            shell.switch("smooth", "Smoothing", OFF_ON, help=f"{TRAILING}: the mean of so many checkpoints.") != "0"
        )
        log = st.toggle("Log axis", key="log", bind="query-params")
        band = st.toggle("Intervals", value=True, key="band", bind="query-params")
    placed = shell.load(load, source, tuple(chosen), tuple(names), asked)["checkpoints"]
    axis = asked if placed["x"].notna().any() else "step" if asked != "step" else "tokens"
    if axis != asked:
        st.caption(f"None of these checkpoints says its {AXES[asked]}: the axis shows the {AXES[axis]}.")
    title = AXES[axis] + (" (6·N·D, an estimate)" if axis == "flops" and placed["estimated"].any() else "")
    return axis, charts.Look(axis=title, log=log, band=band, smooth=smooth, series=tuple(chosen))


def _panels(source: Source, frames: Mapping[str, pd.DataFrame], names: Sequence[str], look: charts.Look) -> None:
    """A sentence, the key to the training runs, then a panel a score with what it says of guessing and noise."""
    lines = frames["lines"]
    points, k = thinned(frames["points"], most_points(len(lines)))
    st.write(said_of_points(frames["points"], look.axis))
    for said in said_of_lines(lines, k, at_zero=int((points["x"] <= 0).sum()) if look.log else 0):
        st.caption(said)
    if look.band:
        st.caption("Filled band: 95 % of the items alone. Between dashes: 95 % with the noise between checkpoints.")
    if len(look.series) > 1:
        st.altair_chart(
            charts.key(look), key="curves_key", alt="Colour and shape of each training run.", width="content"
        )
    guessed = shell.load(baselines, source, tuple(names))
    blocked = curve_gates.stops(shell.load(gates.blocked, gates.past(source.store)), frames["checkpoints"])
    if said := curve_gates.said(blocked):
        st.write(f"{said} [What the gates said](gates).")
    drawn = [name for name in names if (points["score"] == name).any()]
    for at in range(0, len(drawn), TOGETHER):
        for place, name in zip(st.columns(TOGETHER), drawn[at : at + TOGETHER], strict=False):
            with place:
                mine = points[points["score"] == name]
                stops = curve_gates.of_panel(blocked, frames["points"][frames["points"]["score"] == name])
                _panel(mine, lines[lines["score"] == name], look, guessed.get(name), stops)


def _panel(
    points: pd.DataFrame,
    lines: pd.DataFrame,
    look: charts.Look,
    guessed: tuple[float, str] | None,
    blocked: pd.DataFrame,
) -> None:
    name = points["score"].iloc[0]
    title = visible(name) + (f" · mean of the last {TRAILING}" if look.smooth else "")
    said = f"{said_of_guessing(guessed)} {said_of_noise(lines)}{curve_gates.said_of_panel(blocked)}"
    st.vega_lite_chart(
        spec=charts.panel(points, title, look, guessed[0] if guessed else None, blocked),
        key=f"curve_{name}",
        width="stretch",
        alt=f"{plain(name)} against {look.axis}. {said}",
    )
    st.caption(said)


@st.fragment
def _pair(checkpoints: pd.DataFrame) -> None:
    """Two checkpoints, and the way to their comparison."""
    if checkpoints["run_id"].nunique() < 2:
        return
    names = distinct({r.run_id: visible(f"{r.series} · {r.label}") for r in checkpoints.itertuples()})
    last = int((checkpoints["series"] == checkpoints["series"].iloc[0]).sum()) - 1
    left, middle, right = st.columns([2, 2, 1], vertical_alignment="bottom")
    with left:
        a = st.selectbox("Compare this checkpoint", names, format_func=names.__getitem__, key="curves_a")
    with middle:
        b = st.selectbox("with this one", names, index=last, format_func=names.__getitem__, key="curves_b")
    with right:
        st.link_button("Compare", address("compare", {"a": a, "b": b}), disabled=a == b, icon=":material/compare:")
