"""Which checkpoint is best, how sure that is, and which of them can't be told apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from assay.leaderboard import shell
from assay.leaderboard.charts import overview as charts
from assay.leaderboard.loads.overview import (
    HEADLINES,
    LIMIT,
    SHOWN,
    Board,
    Filter,
    apply,
    beside,
    boards,
    exported,
    last_of_series,
    load,
    presented,
    searched,
    ways_on,
)
from assay.leaderboard.queries import Source
from assay.leaderboard.text import address, plain

SIZES = ("0", "1M", "10M", "100M", "300M", "1B", "3B", "10B", "30B", "100B", "1T", "10T")
UNITS = {"M": 1e6, "B": 1e9, "T": 1e12}


def size(text: str) -> float:
    """`300M` as a number."""
    return float(text[:-1]) * UNITS[text[-1]] if text[-1] in UNITS else float(text)


def _filters(table: pd.DataFrame, board: Board) -> list[Filter]:
    """The page's widgets, as the filters that are active."""
    active: list[Filter] = []

    def add(key: str, said: str, keep: pd.Series, off: Any) -> None:
        active.append(Filter(key=key, said=said, keep=keep, off=off))

    with st.expander("Filters", icon=":material/filter_alt:"):
        left, middle, right = st.columns(3)
        with left:
            text = st.text_input("Search (every word, in model, series, family or data)", key="q", bind="query-params")
            if text:
                add("q", f"search “{text}”", searched(table, text), "")
            small, large = st.select_slider("Parameters", SIZES, ("0", "10T"), key="params", bind="query-params")
            if (small, large) != ("0", "10T"):
                add(
                    "params",
                    f"{small} to {large} parameters",
                    table["parameters"].between(size(small), size(large)),
                    ("0", "10T"),
                )
        facets: Sequence[tuple[Any, str, str]] = (
            (middle, "family", "Family"),
            (middle, "openness", "Openness"),
            (right, "evidence", "Evidence"),
            (right, "rows_asked", "Rows asked"),
        )
        for place, key, label in facets:
            with place:
                options = sorted(v for v in table[key].dropna().unique() if v)
                chosen = shell.several(key, label, options)
                if chosen:
                    add(key, f"{label.lower()}: {', '.join(chosen)}", table[key].isin(chosen), [])
        with left:
            if st.toggle("Only the last checkpoint of a series", key="last", bind="query-params"):
                add("last", "last checkpoints only", last_of_series(table), False)
            if board.composite and st.toggle("Only runs with every task", key="whole", bind="query-params"):
                add("whole", "every task measured", table[f"{board.composite} value"].notna(), False)
    return active


def _put_back(filters: Sequence[Filter]) -> None:
    for f in filters:
        st.session_state[f.key] = f.off


def _chips(filters: Sequence[Filter]) -> None:
    """Active filters, each undone by a click."""
    if not filters:
        return
    with st.container(horizontal=True):
        for f in filters:
            st.button(plain(f.said), key=f"chip_{f.key}", icon=":material/close:", on_click=_put_back, args=([f],))
        if len(filters) > 1:
            st.button("Reset all", key="chip_all", type="primary", on_click=_put_back, args=(filters,))


def view() -> None:
    """The page."""
    shell.heading("Leaderboard", "Which checkpoint is best, how sure that is, and which can't be told apart.")
    source = shell.source()
    every = {b.name: b for b in shell.load(boards, source)}
    if not every:
        _nothing(source)
        return
    left, right = st.columns([3, 1])
    with left:
        board = every[shell.choose("suite", "Suite", list(every)) or next(iter(every))]
    with right:
        score = shell.switch("score", "Tasks as", ["centred", "raw"], help="Centred: 0 is guessing, 1 is perfect.")
    frames = shell.load(load, source, board, score)
    table = frames["table"]
    filters = _filters(table, board)
    _chips(filters)
    shown = apply(table, filters)
    if shown.empty:
        most = max(filters, key=lambda f: int((~f.keep).sum()))
        st.info(f"No run is left. “{plain(most.said)}” removed the most: {(~most.keep).sum()} of {len(table)}.")
        return
    if len(frames["mixed"]):
        st.warning(
            f"Numbers of several versions stand side by side: {plain(', '.join(frames['mixed']['task']))}. Measure the "
            "older runs again, or compare two runs to see which tasks were asked alike."
        )
    names = frames["tasks"]["task"].tolist()
    heads = [n for n in HEADLINES if n in names] or names
    columns = shell.several("cols", "Task columns", names, placeholder="Eight headline tasks") or heads[:SHOWN]
    _table(shown, board, columns)
    if board.composite:
        _standing(shown, table, board)


def _nothing(source: Source) -> None:
    st.info("The index holds no results yet. Measure a checkpoint, then look again:")
    st.code(f"assay run quick --model hf:path/to/checkpoint --store {source.store}", language="bash")


def _table(shown: pd.DataFrame, board: Board, columns: Sequence[str]) -> None:
    """The table itself, its downloads, and the way on from a selected row."""
    runs = f"{len(shown):,} run{'s' if len(shown) > 1 else ''}"
    sent = presented(shown.head(LIMIT), board, columns)
    more = f" The first {LIMIT:,} are shown; filter, or download, for the rest." if len(shown) > LIMIT else ""
    st.write(f"{runs}.{more} Select one to open it, two to compare them.")
    event = shell.grid(
        sent,
        hide_index=True,
        height=min(560, 38 + 35 * len(sent)),
        column_config=_looks(sent, board, columns),
        on_select="rerun",
        selection_mode="multi-row",
        key="board",
        alt=f"{runs} with their rank, score and tasks; the plain table below has the same rows.",
    )
    picked = shown.iloc[[r for r in event.selection.rows if r < len(shown)]]["run_id"].tolist()
    with st.container(horizontal=True):
        for title, page, parameters in ways_on(picked):
            st.link_button(title, address(page, parameters))
    with st.container(horizontal=True):
        shell.downloads(lambda: exported(shown, board, columns), "leaderboard", key="board")
    shell.plain_table(sent.drop(columns="model").assign(model=shown["label"]), key="board")


def _looks(frame: pd.DataFrame, board: Board, columns: Sequence[str]) -> dict[str, Any]:
    c = st.column_config
    looks: dict[str, Any] = {
        "rank": c.TextColumn("rank", help="95 % interval of the rank, by bootstrap over items", pinned=True),
        "model": c.LinkColumn("model", display_text=r"#(.*)$", pinned=True, width="medium"),
        "95 % ±": c.NumberColumn("± 95 %", format="%.3f"),
        "resolution": c.NumberColumn(
            "resolution", format="%.2f", help="Items there are, over those that it takes to tell it from the next below"
        ),
        "without": c.TextColumn("without", help="Tasks that lack a number: no mean is taken over the rest"),
        "failed": c.NumberColumn("failed", help="Samples without an answer that can be judged: timeouts, no answer"),
        "lost": c.NumberColumn("lost", help="Samples that the machine lost: never counted as wrong"),
        "marks": c.TextColumn("marks", help="Contamination, with its evidence on the run's page; it costs no rank"),
    }
    for name in filter(None, (board.composite, beside(board.composite))):
        top = float(max(0.01, frame[name].max())) if name in frame and frame[name].notna().any() else 1.0
        looks[name] = c.ProgressColumn(name, format="%.4f", min_value=0.0, max_value=top)
    return looks | {name: c.NumberColumn(name, format="%.3f") for name in columns}


def _standing(shown: pd.DataFrame, table: pd.DataFrame, board: Board) -> None:
    """The thirty best of those shown that have a rank, with their intervals."""
    best = shown[~shown["unranked"]].head(charts.TOP)
    if best.empty:
        st.info(
            f"None of these runs has a rank: {plain(board.composite)} needs every task of {plain(board.suite)}, with "
            "its error, on the same rows as the others. The table says what is missing."
        )
        return
    frame = best[["run_id", "label", "rank", "tied", "leads"]].rename(columns={"label": "model"})
    for part in ("value", "low", "high"):
        frame[part] = best[f"{board.composite} {part}"]
    leader = plain(table[table["leads"]]["label"].iloc[0])
    tied = int((table["tied"] & ~table["leads"]).sum())
    behind = f"{tied} more can't be told from it (filled marks)" if tied else "every other is surely behind it"
    hidden = "" if best["leads"].any() else " It is not among those shown."
    sentence = f"The best {len(frame)} shown, by {plain(board.composite)}, with 95 % intervals. "
    sentence += f"{leader} leads all {int((~table['unranked']).sum())} that have a rank; {behind}.{hidden}"
    shell.chart(charts.standing(frame, board.composite), sentence, frame, key="standing")
