"""What every page is made of: the source, choices kept in the address, charts with their table, downloads."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, Protocol, TypeVar
from urllib.parse import urlencode

import altair as alt
import pandas as pd
import streamlit as st
from altair.utils import schemapi

from assay.harness.index import IndexMissing
from assay.harness.interchange import tables
from assay.leaderboard import queries
from assay.leaderboard.text import grid_frame, plain, plain_frame, spoken
from assay.tasks.types import UserError

T = TypeVar("T")
PER_PAGE = 50
"""Rows of a plain table that are shown at a time."""


class Stamped(Protocol):
    """What is read of a store, and a stamp that changes whenever it does."""

    @property
    def store(self) -> Path: ...  # noqa: D102
    @property
    def stamp(self) -> str: ...  # noqa: D102


def store() -> Path:
    """The folder of runs that this site shows."""
    return Path(os.environ.get("ASSAY_STORE", "runs"))


def source() -> queries.Source:
    """The index of `$ASSAY_STORE`, or a page that says how to make one."""
    try:
        return queries.open_source(store())
    except UserError as error:
        _nothing(error, store())


def _nothing(error: UserError, store: Path) -> NoReturn:
    st.title("Nothing to show yet")
    st.warning(plain(error), icon=":material/database_off:")
    st.write("To look around, train three toy checkpoints and measure them, in half a minute:")
    st.code("make demo\nassay board --store demo/runs", language="bash")
    if isinstance(error, IndexMissing):
        st.write("To show the runs that this store holds:")
        st.code(f"assay reindex --store {store}", language="bash")
    st.stop()


def load(function: Callable[..., T], of: Stamped, *arguments: Any) -> T:
    """`function(of, *arguments)`, kept until what it reads changes; where the index went away, what `source` says."""
    name = f"{function.__module__}.{function.__qualname__}"
    try:
        return _kept(name, str(of.store), of.stamp, arguments, function, of)  # type: ignore[no-any-return]
    except IndexMissing as error:
        _nothing(error, of.store)


@st.cache_data(max_entries=128, show_spinner=False)
def _kept(name: str, store: str, stamp: str, arguments: Any, _function: Any, _of: Any) -> Any:
    """Streamlit keeps one answer for each value of the parameters that have no underscore."""
    return _function(_of, *arguments)


def heading(title: str, sentence: str) -> None:
    """A page's title and what it is for. Both are ours, not a user's."""
    st.title(title)
    st.caption(sentence)


def known(key: str, options: Sequence[Any], what: str) -> None:
    """Say so where the address asks for something that is not here; the choice then falls back to its default."""
    asked = st.query_params.get_all(key)
    unknown = [a for a in asked if a and a not in {str(o) for o in options}]
    if unknown:
        st.warning(f"There is no {what} “{plain(unknown[0][:200])}” here; showing the default instead.")


def choose(key: str, label: str, options: Sequence[str], *, default: str | None = None, **look: Any) -> str | None:
    """One of several, kept in the address; None only where there is nothing to choose from.

    Args:
        key: of the address's parameter.
        label: shown above.
        options: to choose from.
        default: left out of the address.
        look: further arguments of `st.selectbox`.
    """
    if not options:
        return None
    known(key, options, label.lower())
    at = options.index(default) if default in options else 0
    found: str | None = st.selectbox(label, options, index=at, key=key, bind="query-params", **look)
    return found


def always(key: str, label: str, options: Sequence[str]) -> str:
    """One of several, the first where nobody chose; the address names it even so, and means the same tomorrow."""
    known(key, options, label.lower())
    if key not in st.session_state and st.query_params.get(key) not in options:
        if key not in st.query_params:
            st.query_params[key] = options[0]
        st.session_state[key] = options[0]
    return str(st.selectbox(label, options, index=None, key=key, bind="query-params") or options[0])


def switch(key: str, label: str, options: Sequence[str], *, default: str | None = None, **look: Any) -> str:
    """One of a few, side by side, kept in the address."""
    known(key, options, label.lower())
    first = default or options[0]
    found = st.segmented_control(label, options, default=first, required=True, key=key, bind="query-params", **look)
    return str(found or first)


def several(key: str, label: str, options: Sequence[str], **look: Any) -> list[str]:
    """Any number of several, kept in the address; none chosen means no filter."""
    known(key, options, label.lower())
    return list(st.multiselect(label, options, key=key, bind="query-params", **look))


def chart(drawn: Any, sentence: str, frame: pd.DataFrame, *, key: str, **look: Any) -> Any:
    """A chart with what it says in a sentence above it, and the same numbers as a real table below.

    Args:
        drawn: the Altair chart.
        sentence: Markdown; names in it went through `plain`.
        frame: of the numbers.
        key: unique on the page.
        look: further arguments of `st.vega_lite_chart`.
    """
    st.write(sentence)
    spec = themed(drawn).to_dict(validate=schemapi.DEBUG_MODE)  # the site turns it off: half of a chart's time
    selected = st.vega_lite_chart(spec=spec, key=key, width="stretch", alt=spoken(sentence), **look)
    plain_table(frame, key=f"{key}_table")
    return selected


def grid(frame: pd.DataFrame, **look: Any) -> Any:
    """`st.dataframe` of text that nobody vouches for; a canvas, so that Markdown and HTML do nothing in it."""
    return st.dataframe(grid_frame(frame), **look)


def plain_table(frame: pd.DataFrame, *, key: str, label: str = "As a plain table") -> None:
    """The frame as an HTML table, a page at a time: what a screen reader and a text search can read."""
    if not st.toggle(f"{label}, {len(frame):,} rows", key=f"{key}_shown"):
        return
    pages = max(1, -(-len(frame) // PER_PAGE))
    page = st.number_input("Page", 1, pages, key=f"{key}_page") if pages > 1 else 1
    rows = frame.iloc[(int(page) - 1) * PER_PAGE : int(page) * PER_PAGE]
    st.table(plain_frame(rows.map(_cell).astype(object).where(rows.notna().to_numpy(), "–")), hide_index=True)


def _cell(value: Any) -> str:
    """A cell as text, for a column of numbers and dashes is of no type; 4 digits of what is no whole number."""
    if not isinstance(value, float):
        return str(value)
    return f"{value + 0.0:.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:.4g}"


def permalink() -> str:
    """The address of what is shown, with all that was chosen."""
    chosen = [(key, value) for key in st.query_params for value in st.query_params.get_all(key)]
    return str(st.context.url or "") + ("?" + urlencode(chosen) if chosen else "")


def downloads(frame: pd.DataFrame | Callable[[], pd.DataFrame], name: str, *, key: str) -> None:
    """The frame, as it is filtered, as CSV, JSON and Parquet; each file is made when it is asked for."""
    link, chosen = permalink(), frame

    def records() -> list[dict[str, Any]]:
        frame = chosen() if callable(chosen) else chosen
        rows = frame.astype(object).where(frame.notna(), None)
        return [{str(k): v for k, v in row.items()} for row in rows.to_dict("records")]

    makers: Mapping[str, tuple[Callable[[], bytes], str]] = {
        "CSV": (lambda: tables.csv_bytes(records()), "text/csv"),
        "JSON": (lambda: json.dumps({"permalink": link, "rows": records()}, indent=1).encode(), "application/json"),
        "Parquet": (lambda: tables.parquet_bytes(records()), "application/vnd.apache.parquet"),
    }
    with st.container(horizontal=True):
        for form, (make, mime) in makers.items():
            st.download_button(
                form,
                make,
                f"{name}.{form.lower()}",
                mime,
                key=f"{key}_{form}",
                on_click="ignore",
                icon=":material/download:",
            )


def themed(drawn: Any) -> Any:
    """A chart's shared look: a legend that leaves the width to the marks, names that leave it on a phone too."""
    legend = {"orient": "bottom", "labelLimit": 320, "columns": 2, "symbolOpacity": 1}
    return drawn.configure_view(strokeWidth=0).configure_axis(labelLimit=170).configure_legend(**legend)


alt.theme.enable("none")
alt.data_transformers.disable_max_rows()
"""Every page bounds its own rows."""
