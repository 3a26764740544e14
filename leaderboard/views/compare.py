"""Is the difference between two runs real, and where does it come from?"""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from assay.leaderboard import shell
from assay.leaderboard.charts import compare as charts
from assay.leaderboard.loads import compare_runs
from assay.leaderboard.loads.compare import (
    EVERYTHING,
    Compared,
    composites,
    judged,
    load,
    only,
    presented,
    side_by_side,
    suites_of,
)
from assay.leaderboard.loads.compare_verdict import verdict
from assay.leaderboard.queries import Source
from assay.leaderboard.text import address, plain
from assay.leaderboard.views import pair
from assay.tasks.types import UserError

ALPHAS = ("0.05", "0.01", "0.001")
MARGINS = ("none", "0.5", "1", "2", "5")
BOXES = {"better": st.success, "worse": st.error}
ICONS = {"better": ":material/trending_up:", "worse": ":material/trending_down:", "mixed": ":material/swap_vert:"}
SHARES = 12
"""Tasks of a composite whose share of its variance is drawn."""


def view() -> None:
    """The page."""
    shell.heading("Compare", "Is the difference real, and where does it come from? Every difference is B − A.")
    source = shell.source()
    runs = pair.chosen(source)
    if runs is None:
        return
    a, b = runs
    try:
        compared = shell.load(load, source, a, b)
    except UserError as error:
        st.error(plain(error))
        return
    left, middle, right = st.columns([3, 2, 3])
    with left:
        offered = [EVERYTHING, *suites_of(source, compared)]
        suite = shell.choose("suite", "Suite", offered) or EVERYTHING
    with middle:
        alpha = float(shell.switch("alpha", "Level α", ALPHAS, help="Of all tests on the page together"))
    with right:
        chosen = shell.switch("margin", "Margin, points", MARGINS, help="The largest drop that would not matter to you")
    wholes = [c for c in composites(source, compared, a, b) if suite in (EVERYTHING, c["suite"])]
    compared = only(source, compared, suite)
    if a == b:
        st.info("A and B are the same run. Choose another to compare it with.")
    found = judged(compared.tested, alpha)
    if found.empty:
        _nothing(compared)
    else:
        _verdict(found, alpha, a, b)
    _faults(compared)
    _settings(source, a, b)
    if not found.empty:
        _composites(wholes)
        _tasks(found, a, b, 0.0 if chosen == MARGINS[0] else float(chosen))
        _floor(source, a, b, found)
    _refused(compared, wholes if found.empty else [])


def _nothing(compared: Compared) -> None:
    if (compared.refused["fault"] == "aggregates").any():
        st.warning(
            "**No paired claim can be made**: a run that is known by its published numbers alone has no samples, so "
            "nobody can say which answers changed. The numbers stand side by side below; whether two intervals overlap "
            "is no test.",
            icon=":material/visibility_off:",
        )
    else:
        st.info("No item was asked of both runs alike, so there is nothing to pair. What each has stands below.")


def _verdict(found: pd.DataFrame, alpha: float, a: str, b: str) -> None:
    state, said = verdict(found, alpha, a, b)
    BOXES.get(state, st.info)(said, icon=ICONS.get(state, ":material/balance:"))
    flips, items = int((found["lost"] + found["gained"]).sum()), int(found["n"].sum())
    with st.container(horizontal=True):
        for name in charts.STATES:
            st.metric(f"tasks {name}", int((found["state"] == name).sum()), border=True)
        st.metric(
            "answers changed",
            f"{flips:,}",
            f"of {items:,}: {flips / items:.1%}",
            delta_color="off",
            delta_arrow="off",
            border=True,
        )


def _composites(rows: list[dict[str, Any]]) -> None:
    whole = [r for r in rows if r["found"]]
    if rows:
        st.subheader("Composites")
    for row in (r for r in rows if r["missing"]):
        first = ", ".join(map(plain, row["missing"][:3]))
        more = f" and {len(row['missing']) - 3} more" if len(row["missing"]) > 3 else ""
        st.caption(f"{plain(row['name'])}: no difference, for there is no pair of {first}{more}.")
    if not whole:
        return
    for tab, row in zip(st.tabs([plain(r["name"]) for r in whole]), whole, strict=True):
        with tab:
            _composite(row)


def _composite(row: dict[str, Any]) -> None:
    found = row["found"]
    left, right = st.columns([1, 2])
    with left:
        st.metric(
            f"{plain(row['name'])}, B − A",
            f"{100 * found.delta:+.2f} points",
            f"95 % [{100 * found.low:+.2f}, {100 * found.high:+.2f}], p = {found.p:.2g}",
            delta_color="off",
            delta_arrow="off",
        )
    parts = sorted(found.shares.items(), key=lambda kv: (-kv[1], kv[0]))[:SHARES]
    frame = pd.DataFrame(parts, columns=["task", "share"])
    first = frame.iloc[0]
    with right:
        shell.chart(
            charts.shares(frame),
            f"Where its uncertainty comes from: {plain(first['task'])} alone makes {first['share']:.0%} of the "
            "variance.",
            frame,
            key=f"shares_{row['name']}",
        )


def _tasks(found: pd.DataFrame, a: str, b: str, margin: float) -> None:
    st.subheader("Task by task")
    if (found["lost"] + found["gained"]).any():
        _charts(found, margin)
    _table(found, a, b)


def _charts(found: pd.DataFrame, margin: float) -> None:
    drawn = found
    if len(found) > charts.MOST:
        drawn = found.loc[found["delta"].abs().nlargest(charts.MOST).index].sort_index()
        st.caption(f"The {charts.MOST} largest of {len(found)} differences are drawn; the table has all.")
    survive = int((drawn["state"] != "not told apart").sum())
    frame = presented(drawn)
    left, right = st.columns(2)
    with left:
        shell.chart(
            charts.forest(drawn, margin),
            f"Difference per task with its 95 % interval, largest gain on top. {survive} of {len(drawn)} survive "
            "Holm's correction: filled, up for better, down for worse. Hollow circles can't be told from none."
            + _held(drawn, margin),
            frame[["task", "B − A", "from", "to", "p, Holm"]],
            key="forest",
        )
    with right:
        shell.chart(
            charts.flips(drawn),
            f"What lies behind: {int(drawn['lost'].sum()):,} items that A scores more on (lost, to the left) and "
            f"{int(drawn['gained'].sum()):,} that B scores more on (gained, to the right).",
            frame[["task", "lost", "gained", "items"]],
            key="flips",
        )


def _held(drawn: pd.DataFrame, margin: float) -> str:
    """How many tasks are shown to have dropped by less than the margin."""
    if not margin:
        return ""
    held = int((100 * drawn["low"] > -margin).sum())
    return (
        f" Dotted lines: {margin:g} points either way; {held} of {tasks(len(drawn))} are shown to hold that margin: "
        "their whole interval is above it."
    )


def _table(found: pd.DataFrame, a: str, b: str) -> None:
    frame = presented(found)
    links = [
        address("samples", {"a": a, "b": b, "task": r.task, "show": "lost" if r.lost else "gained" if r.gained else ""})
        for r in found.itertuples()
    ]
    c = st.column_config
    points = {name: c.NumberColumn(name, format="%+.1f") for name in ("B − A", "from", "to")}
    looks: dict[str, Any] = points | {
        "task": c.TextColumn("task", pinned=True),
        "samples": c.LinkColumn("samples", display_text="read"),
        "note": c.TextColumn("note", width="medium"),
        "A": c.NumberColumn("A", format="%.4f"),
        "B": c.NumberColumn("B", format="%.4f"),
        "from": c.NumberColumn("from", format="%+.1f", help="95 % interval, percentage points"),
        "flip rate": c.NumberColumn("ψ", format="percent", help="Share of items whose score changed"),
        "p": c.NumberColumn("p", format="%.2g", help="Two-sided; the column test says of what"),
        "p, Holm": c.NumberColumn("p, Holm", format="%.2g", help="Over all tests on this page"),
        "sees": c.NumberColumn(
            "MDE", format="%.1f", help="Least drop in points that is found in 4 of 5 tries (α 0.05)"
        ),
        "left out": c.NumberColumn("left out", help="Items without a score on a side: the machine lost them"),
    }
    shown = frame.copy()
    shown.insert(shown.columns.get_loc("gained") + 1, "samples", links)
    shell.grid(shown, hide_index=True, column_config=looks, key="tasks", alt="The numbers behind both charts.")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        task = st.selectbox("Read the samples of", found["task"].tolist(), key="read")
        row = found[found["task"] == task].iloc[0]
        for way in ("lost", "gained"):
            where = address("samples", {"a": a, "b": b, "task": task, "show": way})
            st.link_button(f"{row[way]:,} {way}", where, icon=":material/compare_arrows:", disabled=not row[way])
    shell.downloads(found.drop(columns="said").assign(a=a, b=b), "compare", key="compare")
    shell.plain_table(frame, key="tasks")


def _floor(source: Source, a: str, b: str, judgements: pd.DataFrame) -> None:
    rate = (judgements["lost"] + judgements["gained"]).sum() / judgements["n"].sum()
    st.subheader("Noise floor")
    if a != b and shell.load(compare_runs.same_weights, source, a, b):
        st.write(
            f"A and B are the same weights, by hash: the **{rate:.2%}** of answers that changed is ψ₀, the noise of "
            "engine and machine, and no difference between models."
        )
        return
    found = shell.load(compare_runs.floor, source, a, b, tuple(judgements["task"]))
    if found is None:
        st.caption(
            "How much the same weights differ from themselves is not known here: measure one of these checkpoints "
            "again under another `--name`, and it stands here."
        )
        return
    st.write(
        f"Above, {rate:.2%} of answers changed. The same weights measured twice, {plain(found.run)} and "
        f"{plain(found.twin)}, changed **{found.rate:.2%}** (ψ₀: {found.flips:,} of {found.items:,} items of "
        f"{found.tasks} tasks): differences of that size are no difference between models."
    )


def _faults(compared: Compared) -> None:
    """What the numbers above do not speak of, in words."""
    counts = compared.refused["fault"].value_counts()
    if counts.get("different"):
        st.error(
            f"**Not comparable** on {tasks(counts['different'])}, which A and B were not asked alike; the reasons are "
            "below.",
            icon=":material/block:",
        )
    if counts.get("aggregates") and not compared.tested.empty:
        st.warning(
            f"Of {tasks(counts['aggregates'])} only published numbers are known: no paired claim can be made of them.",
            icon=":material/visibility_off:",
        )


def tasks(count: int) -> str:
    """One task, two tasks."""
    return "one task" if count == 1 else f"{count:,} tasks"


def _refused(compared: Compared, wholes: list[dict[str, Any]]) -> None:
    """What can't be paired, with the reason, and only the published values; composites first."""
    frame = side_by_side(wholes, compared.refused)
    if frame.empty:
        return
    st.subheader("Not compared")
    st.write(f"{tasks(len(compared.refused)).capitalize()}: values side by side, no test.")
    looks: dict[str, Any] = {name: st.column_config.NumberColumn(name, format="%.4f") for name in "AB"}
    looks["why"] = st.column_config.TextColumn("why", width="large")
    shell.grid(frame, hide_index=True, column_config=looks, key="refused", alt="What is not compared, and why.")
    shell.downloads(frame, "not-compared", key="refused")
    shell.plain_table(frame, key="refused")


def _settings(source: Source, a: str, b: str) -> None:
    frame = shell.load(compare_runs.settings, source, a, b)
    if frame.empty:
        st.caption("Nothing else that the records hold differs: model, options, packages and machine are the same.")
        return
    with st.expander(f"What differs between the runs: {len(frame)} settings; all others are the same"):
        shell.grid(frame, hide_index=True, key="settings", alt="Settings in which the runs differ.")
        shell.plain_table(frame, key="settings")
