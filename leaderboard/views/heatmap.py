"""Tasks by checkpoints at one look: where scores are high, or where they differ from one checkpoint's."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from assay.leaderboard import shell
from assay.leaderboard.charts import heatmap as charts
from assay.leaderboard.loads import heatmap as loads
from assay.leaderboard.loads.overview import Board, boards, searched, tasks_of
from assay.leaderboard.queries import Source
from assay.leaderboard.text import number, plain, short

MARKS = {loads.BETTER: "▲", loads.WORSE: "▼"}


def view() -> None:
    """The page."""
    shell.heading("Heatmap", "Where checkpoints are strong, and where one differs from another by more than chance.")
    source = shell.source()
    every = {b.name: b for b in shell.load(boards, source)}
    if not every:
        st.info("The index holds no results yet. Measure a checkpoint, then look again:")
        st.code(f"assay run quick --model hf:path/to/checkpoint --store {source.store}", language="bash")
        return
    left, right = st.columns(2)
    with left:
        board = every[shell.choose("suite", "Suite", list(every)) or next(iter(every))]
        rows = _rows(source, board)
    with right:
        shown = _columns(source, rows["task"].tolist())
    if rows.empty or shown.empty:
        return
    with st.container(horizontal=True):
        value = shell.switch("value", "Value", ["score", "delta"], help="delta: difference from a base checkpoint.")
        order = shell.switch("order", "Order", ["skill", "similarity"])
    shown = shown.assign(column=loads.named(shown))
    if value == "score":
        _scores(source, rows, shown, order)
    else:
        _deltas(source, rows, shown, order)


def _rows(source: Source, board: Board) -> pd.DataFrame:
    """The tasks to show, by skill; at most `LIMIT`."""
    every = shell.load(loads.tasks, source, tuple(shell.load(tasks_of, source, board)))
    chosen = shell.several("rows", "Task", every["task"].tolist(), placeholder="All of the suite")
    rows = every[every["task"].isin(chosen)] if chosen else every
    if rows.empty:
        st.info("No task of this suite has a score that is better when it is higher: nothing to colour.")
    if len(rows) > loads.LIMIT:
        st.warning(f"{len(rows)} tasks are too many for one page: choose up to {loads.LIMIT}. The first are shown.")
    return rows.head(loads.LIMIT)


def _columns(source: Source, names: Sequence[str]) -> pd.DataFrame:
    """The checkpoints to show; at most `LIMIT`."""
    every = shell.load(loads.columns, source, tuple(names))
    text = st.text_input(
        "Search checkpoints (every word, in model, series, family or data)", key="q", bind="query-params"
    )
    found = every[searched(every, text)] if text else every
    chosen = shell.several("cols", "Checkpoint", every["run_id"].tolist(), placeholder="All that the search finds")
    shown = every[every["run_id"].isin(chosen)] if chosen else found
    if shown.empty and len(every):
        st.info(f"None of {len(every)} checkpoints is called so; search for less.")
    fits = loads.fitting(shown)
    if len(fits) < len(shown):
        st.warning(
            f"{len(shown)} checkpoints are too many for one page: search, or choose up to {loads.LIMIT}. "
            f"The {loads.LIMIT} with most tasks and the highest mean are shown."
        )
    return fits


def _scores(source: Source, rows: pd.DataFrame, shown: pd.DataFrame, order: str) -> None:
    found = shell.load(loads.cells, source, tuple(rows["task"]), tuple(shown["run_id"]))
    cells = found.dropna(subset="centred").rename(columns={"centred": "amount"}).assign(state="", p=None)
    if cells.empty:
        st.info("None of these scores has a baseline, so none can be centred.")
        return
    best, worst = cells.loc[cells["amount"].idxmax()], cells.loc[cells["amount"].idxmin()]
    sentence = (
        f"{rows['task'].nunique()} tasks by {len(shown)} checkpoints, as centred scores: 0 is guessing, 1 is perfect. "
        f"Highest: {_said(shown, best['run_id'])} on {plain(best['task'])}, {number(best['amount'], 3)}; "
        f"lowest: {_said(shown, worst['run_id'])} on {plain(worst['task'])}, {number(worst['amount'], 3)}."
    )
    empty = len(rows) * len(shown) - len(cells)
    sentence += f" {empty:,} cells are empty: not measured, or without a baseline." if empty else ""
    _draw(cells, rows, shown, order, sentence)


def _deltas(source: Source, rows: pd.DataFrame, shown: pd.DataFrame, order: str) -> None:
    """Differences from a base, with a triangle where the same items show them."""
    if len(shown) < 2:
        st.info("A difference needs two checkpoints; choose more.")
        return
    base = shell.choose("base", "Base", shown["run_id"].tolist()) or shown["run_id"].iloc[0]
    others = shown[shown["run_id"] != base]
    with st.spinner("Testing pairs of samples …"):
        found = shell.load(loads.deltas, source, tuple(rows["task"]), tuple(others["run_id"]), base)
    if found.cells.empty:
        st.info("The base and the other checkpoints have no task in common; choose another base.")
        return
    counted = found.cells["state"].value_counts()
    better, worse = (int(counted.get(s, 0)) for s in (loads.BETTER, loads.WORSE))
    tested = better + worse + int(counted.get(loads.SAME, 0))
    sentence = f"Raw score of each checkpoint minus that of {_said(shown, base)}. " + (
        f"Of {tested:,} paired tests {better + worse:,} show a difference: {better:,} better (▲), {worse:,} worse (▼), "
        "adjusted by Benjamini and Hochberg to 5 % false ones."
        if tested
        else "None of these differences can be tested."
    )
    untested = [state for state in loads.UNTESTED if counted.get(state)]
    sentence += "".join(f" {counted[state]:,} cells bear no claim, {state}." for state in untested)
    _draw(found.cells.rename(columns={"delta": "amount"}), rows, others, order, sentence)


def _said(shown: pd.DataFrame, run_id: str) -> str:
    """A checkpoint's name in a sentence."""
    return plain(short(shown.set_index("run_id").at[run_id, "column"]))


def _draw(cells: pd.DataFrame, rows: pd.DataFrame, shown: pd.DataFrame, order: str, sentence: str) -> None:
    """The chart, the same as a table, and downloads."""
    cells = cells.assign(column=cells["run_id"].map(shown.set_index("run_id")["column"]))
    cells["mark"] = cells["state"].map(MARKS).fillna("")
    wide = cells.pivot(index="task", columns="column", values="amount")
    wide = wide.reindex(columns=[c for c in shown["column"] if c in wide.columns])
    if order == "similarity":
        tasks, columns = loads.similar(wide), loads.similar(wide.T)
    else:
        present = rows[rows["task"].isin(wide.index)]
        tasks = [n for skill, r in present.groupby("skill") for n in (charts.HEADING + str(skill), *r["task"])]
        columns = list(wide.columns)
    delta = "delta" if cells["state"].any() else "score"
    drawn = charts.matrix(
        cells[["task", "column", "amount", "mark", "state", "p"]], tasks, columns, delta=delta == "delta"
    )
    table = wide.reindex([n for n in tasks if n in wide.index])[columns].reset_index()
    shell.chart(drawn, sentence, table, key="heatmap")
    kept = cells.rename(columns={"amount": delta})[["task", "run_id", "column", delta, "state", "p"]]
    exported = kept.drop(columns=["state", "p"]) if delta == "score" else kept
    shell.downloads(exported.rename(columns={"column": "checkpoint"}), "heatmap", key="heatmap")
