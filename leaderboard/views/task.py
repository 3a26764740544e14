"""One task: what it asks, how the models do, which items tell them apart, how small a difference it can show."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from assay.harness import ranking
from assay.leaderboard import shell
from assay.leaderboard.charts import task as charts
from assay.leaderboard.loads.task import (
    CENTRED,
    KINDS,
    SCORE,
    Items,
    about,
    detectable,
    difficulty,
    items,
    load,
    metrics,
    names,
    noise,
    of_metric,
    rises,
    rows_asked,
)
from assay.leaderboard.queries import SamplesUnreadable, Source
from assay.leaderboard.text import address, number, plain, plain_frame, web_link

NO_NEIGHBOURS = "No neighbouring checkpoints with samples are here"
FIRST = {True: "best", False: "best", None: "highest"}
"""Of a metric that rises, that falls, and of which nobody says."""
ENDS = 200
"""Items listed of those that nobody, or everybody, solves."""


def view() -> None:
    """The page."""
    shell.heading("Task", "What it asks, how the models do, and how small a difference it can show.")
    source = shell.source()
    task = shell.always("name", "Task", shell.load(names, source))
    facts, every = shell.load(about, source, task), shell.load(load, source, task)
    guessing = facts.get("baseline_v2")
    _description(facts, every)
    if every.empty:
        st.info("Not run yet. To measure it:")
        st.code(f"assay run {shlex.quote(task)} --model hf:path/to/checkpoint", language="bash")
        return
    left, right = st.columns(2)
    with left:
        metric = shell.choose("metric", "Metric", metrics(every, guessing)) or SCORE
    with right:
        groups = rows_asked(every)
        rows = groups[0] if len(groups) == 1 else shell.choose("rows", "Rows asked", groups) or groups[0]
    asked = every[every["rows_asked"] == rows]
    shown = of_metric(asked, metric, guessing)
    _models(shown, len(asked), task, metric, guessing, FIRST[rises(asked, metric)])
    if not asked["higher_is_better"].all():
        st.caption("Lower is better here: no share of right answers, so nothing is said of items that are solved.")
        return
    try:
        found = shell.load(items, source, task, rows)
    except SamplesUnreadable as error:
        st.warning(plain(error))
        return
    if found.left_out and not found.runs:
        st.info("The scores of these samples are no shares between 0 and 1: nothing is said of items that are solved.")
        return
    _items(source, task, found, asked)
    _resolution(found, asked)


def _description(facts: Mapping[str, Any], every: pd.DataFrame) -> None:
    """What is known of the task: the gist in a line, the rest a click away."""
    if not facts:
        st.caption("Not a task of this registry: it came with an import, or with specs of somebody's own.")
        return
    gist = [KINDS[facts["kind"]], facts["skill"], f"{facts['shots']} examples first", f"{facts['rows']:,} rows"]
    st.write(plain(" · ".join([*gist, _guessing(facts)])))
    if facts["protected"]:
        st.info("Protected: its authors ask that rows are not published, so none is ever shown here.")
    if facts["rebuilt"]:
        st.info(plain(f"It may run on a rebuilt copy of its file, and then says so: {facts['rebuilt']}"))
    measured = ", ".join(str(int(v)) for v in sorted(every["version"].unique()))
    rows = {
        "data": facts["data"],
        "git blob": facts["git_blob"],
        "licence": facts["licence"],
        "version": f"{facts['version']}" + (f"; measured: {measured}" if measured else ""),
    }
    with st.expander("Data, licence, version", icon=":material/info:"):
        known = pd.DataFrame([(k, v) for k, v in rows.items() if v], columns=["what", "value"])
        st.table(plain_frame(known), hide_index=True)
        link = web_link(facts["url"])
        if link:
            st.link_button("Its data", link, type="tertiary", icon=":material/open_in_new:")


def _guessing(facts: Mapping[str, Any]) -> str:
    v1, v2 = facts["baseline_v1"], facts["baseline_v2"]
    if v2 is None:
        return "nobody says what guessing scores, so there is no centred score"
    both = f"{v2:.1%}" if v1 == v2 else f"{v2:.1%} (v2), {v1:.1%} (v1)"
    return f"guessing scores {both}: {facts['baseline_reason']}"


@st.fragment
def _models(shown: pd.DataFrame, of: int, task: str, metric: str, guessing: float | None, first: str) -> None:
    """The distribution of the models."""
    st.subheader("Models")
    if shown.empty:
        st.info(f"None of the {of} runs has {plain(metric)} of this task.")
        return
    at = {SCORE: guessing, CENTRED: 0.0}.get(metric)
    top, middle = shown.iloc[0], shown["value"].median()
    said = f"{len(shown)} of {of} runs, with 95 % intervals where they are known. The {first} is "
    said += f"{plain(top['label'])}, {number(top['value'])}; the median is {number(middle)}."
    if at is not None and shown["low"].notna().any():
        above = int(((shown["low"] > at) & (shown["value"] > at)).sum())
        said += f" Guessing scores {number(at)}; {above or 'none'} are surely above it."
    table = shown[["label", "run_id", "family", "step", "value", "low", "high", "n", "evidence"]]
    shell.chart(charts.models(shown, f"{task}, {metric}", at), said, table, key="models")
    with st.container(horizontal=True):
        st.link_button(f"The {first} run", address("model", {"id": top["run_id"]}), icon=":material/open_in_new:")
    shell.downloads(table, "task", key="models")


@st.fragment
def _items(source: Source, task: str, found: Items, asked: pd.DataFrame) -> None:
    """Which items tell models apart."""
    st.subheader("Items")
    if not found.runs:
        st.write(f"The {len(asked)} runs came without samples: published aggregates say nothing of single items.")
        return
    counted = difficulty(found)
    nobody, everybody = found.table[found.table["solved"] == 0], found.table[found.table["solved"] == 1]
    between = len(found.table) - len(nobody) - len(everybody)
    said = (
        f"{len(found.runs)} runs were asked the same {len(found.table):,} items. Solved by nobody: {len(nobody):,}; by "
        f"everybody: {len(everybody):,}; the other {between:,} tell these models apart."
    )
    said += f" They belong to {found.clusters:,} clusters (a passage, say)." if found.clusters else ""
    if found.left_out:
        said += (
            f" {found.left_out} runs with samples are left out: asked in another way, older, or scored by no shares."
        )
    shell.chart(charts.histogram(counted, len(found.runs)), said, counted, key="items")
    newest = found.runs[0]
    for name, rows in (("nobody", nobody), ("everybody", everybody)):
        with st.expander(f"Items that {name} solves: {len(rows):,}", key=f"{name}_solves", on_change="rerun") as drawer:
            if drawer.open and len(rows):
                _listed(rows.head(ENDS), newest, task)
    shell.downloads(found.table, f"{task}-items", key="items")


def _listed(rows: pd.DataFrame, run_id: str, task: str) -> None:
    read = [address("samples", {"a": run_id, "task": task, "item": item}) + "#" + item for item in rows["item"]]
    look = {"item": st.column_config.LinkColumn("item", display_text=r"#(.*)$", help="As the newest run answered it")}
    shell.grid(pd.DataFrame({"item": read}), hide_index=True, column_config=look)


@st.fragment
def _resolution(found: Items, asked: pd.DataFrame) -> None:
    """How small a difference the task can show, and how much checkpoints scatter."""
    st.subheader("What it can resolve")
    n = int(max(asked["n"].max(), len(found.table)))
    rate, least, measured = detectable(found, n)
    with st.container(horizontal=True):
        st.metric("items", f"{n:,}" if n else "–", border=True, width=168)
        st.metric(
            "flip rate", f"{rate:.1%}", border=True, width=168, help=None if measured else "Assumed: none is measured"
        )
        st.metric("least drop it shows", "–" if math.isinf(least) else f"{100 * least:.1f} pp", border=True, width=200)
    if measured:
        st.write(
            f"Between neighbouring checkpoints {rate:.1%} of the items change their verdict (median of "
            f"{len(found.neighbours)} pairs). A true drop of {100 * least:.1f} points is found in 4 of 5 tries "
            f"(one-sided, 0.05; median of the {found.neighbours['mde'].count()} pairs in which any item changed); a "
            "smaller one mostly goes unseen."
        )
        frame = found.neighbours[["series", "step", "next_step", "flip_rate", "delta", "mde"]]
        shell.plain_table(frame, key="neighbours", label="Neighbouring checkpoints")
    elif n > 1:
        pairs = len(found.neighbours)
        none = f"The {pairs} pairs of neighbours here show no flips to reckon with" if pairs else NO_NEIGHBOURS
        st.write(
            f"{none}, so {rate:.0%} of the items are taken to change their verdict between two. Then a true drop of "
            f"{100 * least:.1f} points is found in 4 of 5 tries (one-sided, 0.05)."
        )
    else:
        st.write("How many items the numbers are of isn't known, so nothing can be said of what they resolve.")
    _noise(noise(asked))


def _noise(frame: pd.DataFrame) -> None:
    """Checkpoint noise, a row a series."""
    known = frame.dropna(subset="sd")
    if known.empty:
        most = f"the longest series here has {frame['points'].max()}" if len(frame) else "no series is here"
        st.caption(f"Noise between checkpoints: unknown. It takes {ranking.FEW_POINTS} of one series; {most}.")
        return
    st.write(
        f"Noise between checkpoints, of {len(known)} series: the scatter of the score about its own trend, over the "
        "last 30 checkpoints. A change below it is none. Signal to noise: the widest gap between runs over it."
    )
    c = st.column_config
    shell.grid(
        known,
        hide_index=True,
        column_config={
            "points": c.NumberColumn("checkpoints"),
            "sd": c.NumberColumn("noise (SD)", format="%.4f"),
            "slope": c.NumberColumn("trend per step", format="%.2e"),
            "signal_to_noise": c.NumberColumn("signal to noise", format="%.1f"),
        },
    )
