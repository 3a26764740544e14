"""What the models actually wrote: the items that one lost, the other gained, and what stands in them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from assay.leaderboard import shell
from assay.leaderboard.loads import samples as loads
from assay.leaderboard.loads.samples import ALONE, PAIRED
from assay.leaderboard.queries import Source
from assay.leaderboard.text import plain
from assay.leaderboard.views import pair
from assay.leaderboard.views.sample import link, show_item
from assay.tasks.types import UserError

PER_PAGE = 50
"""Items of the list that are sent at a time."""


def view() -> None:
    """The page."""
    shell.heading("Samples", "What the models actually wrote, item by item, and what was made of it.")
    source = shell.source()
    runs = pair.chosen(source, alone=True)
    if runs is None:
        return
    a, b = runs
    tasks = shell.load(loads.tasks_of, source, a, b)
    if not tasks:
        st.info(
            "No samples here: these runs are known by their published numbers alone, so what the models wrote was "
            "never part of them. A run that assay measures, or imports with samples, keeps every answer."
        )
        return
    task = shell.choose("task", "Task", tasks, on_change=_leave_item) or tasks[0]
    try:
        _task(source, a, b, task)
    except UserError as error:
        st.error(plain(error))


def _task(source: Source, a: str, b: str, task: str) -> None:
    why = shell.load(loads.unpaired, source, a, b, task) if b else ""
    if why:
        st.warning(
            f"A and B can't be set side by side on {plain(task)}: {plain(why)}. What one of them wrote is below."
        )
        a, b = shell.load(loads.one_of, source, a, b, task), ""
    frame = shell.load(loads.listing, source, a, b, task)
    show = _show(frame, PAIRED if b else ALONE)
    if b and not frame["show"].isin(("lost", "gained")).any():
        st.info(f"A and B score alike on all {len(frame):,} items: nothing was lost or gained.")
    found = frame[frame["show"] == show]
    text = st.text_input("Search ids, answers, targets, programs, errors and notes", key="q", bind="query-params")
    if text:
        hits = shell.load(loads.found_in, source, a, task, text) | (
            shell.load(loads.found_in, source, b, task, text) if b else set()
        )
        found = found[found["doc_id"].isin(hits)]
    ids = found["doc_id"].tolist()
    asked = st.session_state["item"] if "item" in st.session_state else st.query_params.get("item", "")
    _list(found, f"{len(ids):,} items {show}" + (f" with “{plain(text)}” in them" if text else ""))
    known = set(frame["doc_id"])
    if asked and asked not in known:
        st.warning(f"There is no item “{plain(asked[:200])}” in {plain(task)}; showing the first instead.")
    item = asked if asked in known else ids[0] if ids else ""
    runs = [r for r in (a, b) if r]
    kind = str(frame.loc[frame["doc_id"] == item, "show"].squeeze()) if item else ""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        _steps(ids, item)
        if item:
            link(runs, task, item, kind)
    if item:
        show_item(source, runs, task, item, kind)


def _show(frame: pd.DataFrame, options: Sequence[str]) -> str:
    """Which items, with how many there are of each; in the address without the number, which may change."""
    counts = frame["show"].value_counts()
    shell.known("show", (*PAIRED, *ALONE), "kind of item")
    asked = st.query_params.get("show")
    first = next((o for o in options if counts.get(o)), options[0])
    chosen = st.segmented_control(
        "Items that B scores less on (lost) or more on (gained) than A" if len(options) > len(ALONE) else "Items",
        options,
        default=asked if asked in options else first,
        format_func=lambda o: f"{o} {counts.get(o, 0):,}",
        required=True,
        key=f"show_{len(options)}",
        on_change=_leave_item,
    )
    found = str(chosen or first)
    if asked != found:
        st.query_params["show"] = found
    return found


def _leave_item() -> None:
    st.session_state["item"] = ""


def _list(found: pd.DataFrame, said: str) -> None:
    """The items, a page at a time; selecting one opens it."""
    if found.empty:
        st.info(f"{said}.")
        return
    pages = -(-len(found) // PER_PAGE)
    page = st.pagination(pages, key="page", bind="query-params") if pages > 1 else 1
    rows = found.iloc[(page - 1) * PER_PAGE : page * PER_PAGE].drop(columns="show")
    rows = rows.drop(columns=[c for c in ("group",) if not rows[c].any()])
    ids = rows["doc_id"].tolist()
    key = f"list_{hash(tuple(ids))}"

    def opened() -> None:
        picked = st.session_state[key].selection.rows
        st.session_state["item"] = ids[picked[0]] if picked else ""

    st.caption(f"{said}. Select one to open it.")
    shell.grid(
        rows,
        hide_index=True,
        height=min(38 + 35 * len(rows), 260),
        selection_mode="single-row",
        on_select=opened,
        key=key,
        alt=f"{said}; the plain table below has the same rows.",
    )
    shell.plain_table(rows, key="items")


def _steps(ids: Sequence[str], item: str) -> None:
    """To the item before, the next one, or one by its id."""
    at = ids.index(item) if item in ids else -1
    back = ids[at - 1] if at > 0 else ""
    on = ids[at + 1] if at + 1 < len(ids) else ""
    st.button("Previous", icon=":material/arrow_back:", on_click=_go, args=(back, ids), disabled=not back)
    st.button("Next", icon=":material/arrow_forward:", on_click=_go, args=(on, ids), disabled=not on)
    where = f"{at + 1:,} of {len(ids):,}" if at >= 0 else "not in the list above"
    st.text_input(f"Open item ({where})", key="item", bind="query-params", placeholder=item, width=240)


def _go(item: str, ids: Sequence[str]) -> None:
    st.session_state["item"] = item
    if len(ids) > PER_PAGE:
        st.session_state["page"] = ids.index(item) // PER_PAGE + 1
