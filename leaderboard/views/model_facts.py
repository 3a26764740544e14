"""The parts of a run's page that say what it is and how it was made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from assay.leaderboard import queries, shell
from assay.leaderboard.loads import reproduce
from assay.leaderboard.loads.model import HEADLINES, fingerprint_rows
from assay.leaderboard.text import amount, interval, number, plain, short, visible, web_link

EVIDENCE: Mapping[str, tuple[str, Any, str]] = {
    "measured": (
        "measured",
        "green",
        "Measured by assay. Every number can be computed again from the samples in this store.",
    ),
    "imported with samples": (
        "imported with samples",
        "blue",
        "Another tool measured it. Its samples are here, so its numbers can be computed again from them.",
    ),
    "aggregates only": (
        "published aggregates",
        "orange",
        "Published numbers. No samples came with them, so nothing here can be checked or compared item by item.",
    ),
    "no samples": ("no samples", "gray", "No task of it has samples here, so there is nothing to compute again."),
}
TILE = 168
"""Pixels: two stand beside each other on a telephone."""


def header(run: Mapping[str, Any], composites: pd.DataFrame, marks: pd.DataFrame) -> None:
    """What the run is: name, evidence, headline numbers, facts, and what people say of it."""
    st.subheader(plain(short(run["label"], 90)))
    name, colour, sentence = EVIDENCE[run["evidence"]]
    with st.container(horizontal=True):
        st.badge(name, color=colour, icon=":material/verified:")
        st.badge(plain(run["rows_asked"]), color="gray", icon=":material/table_rows:")
        if not run["complete"]:
            st.badge("not finished", color="red", icon=":material/pending:")
    st.caption(sentence)
    means = composites.set_index("name")
    heads = [n for n in HEADLINES if n in means.index]
    with st.container(horizontal=True):
        for name in heads:
            low, high = means.loc[name, "low"], means.loc[name, "high"]
            bounds = interval(low, high)
            value = "N/A" if pd.isna(means.loc[name, "value"]) else number(means.loc[name, "value"])
            st.metric(name, value, border=True, width=TILE, help=f"95 %: {plain(bounds)}" if bounds else None)
        for name, value in _tiles(run):
            st.metric(name, value, border=True, width=TILE)
    facts = ("family", "series", "dataset", "openness", "licence", "engine", "dtype")
    said = [f"{fact} {plain(short(run[fact], 80))}" for fact in facts if run[fact]]
    st.caption(" · ".join([*said, f"begun {plain(run['created'][:10])}"]))
    for name in heads:
        if means.loc[name, "missing"]:
            absent = ", ".join(map(plain, means.loc[name, "missing"]))
            st.caption(f"{name} is N/A without {absent}: no mean is taken over the rest.")
    _said(run, marks)


def _tiles(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Sizes and costs; FLOPs that nobody gives as the estimate that they are."""
    active = run["active_parameters"] or run["parameters"]
    tiles = [("parameters", amount(run["parameters"]))]
    tiles += [("active parameters", amount(active))] if run["active_parameters"] else []
    tiles.append(("training tokens", amount(run["tokens"])))
    if run["flops"] is not None:
        tiles.append(("training FLOPs", _power(run["flops"])))
    elif active and run["tokens"]:
        tiles.append(("FLOPs, as 6·N·D", _power(6.0 * active * run["tokens"])))
    tiles += [("step", f"{run['step']:,}")] if run["step"] is not None else []
    tiles.append(("items", f"{run['n']:,}"))
    return tiles


def _power(value: float) -> str:
    return f"{value:.2e}".replace("e+", "e")


def _said(run: Mapping[str, Any], marks: pd.DataFrame) -> None:
    """Marks with their evidence, notes, links: all of it a stranger's text."""
    for mark in marks.itertuples():
        link = web_link(mark.link)
        of = "every task" if mark.task == "*" else mark.task
        with st.container(border=True, horizontal=True):
            st.badge(
                plain(mark.kind), color="orange" if mark.kind == "contamination" else "gray", icon=":material/flag:"
            )
            st.text(visible(f"{of}: {mark.text}") + (f" ({mark.date})" if mark.date else ""))
            if link:
                st.link_button("evidence", link, type="tertiary", icon=":material/open_in_new:")
    for note in run["notes"]:
        st.text(f"Note: {visible(note)}")
    with st.container(horizontal=True):
        for link in filter(None, map(web_link, run["links"])):
            st.link_button(plain(short(link)), link, type="tertiary", icon=":material/open_in_new:")


@st.fragment
def made(source: queries.Source, run: Mapping[str, Any], tasks: pd.DataFrame, composites: pd.DataFrame) -> None:
    """How the run was made, how to make it again, how to cite it; each when it is asked for."""
    if drawer := _opened("fingerprint", "Fingerprint: what exactly was asked, of what, with what", "fingerprint"):
        with drawer:
            st.write("Two numbers can be compared where the fingerprints of their task are equal.")
            shell.grid(tasks[["task", "version", "fingerprint"]], hide_index=True)
            shell.grid(fingerprint_rows(run), hide_index=True)
    names = reproduce.asked(list(tasks["task"]), shell.load(queries.suites, source))
    if not names:
        return
    if drawer := _opened("again", "Make it again", "replay"):
        with drawer:
            _again(run, names)
    if drawer := _opened("cite", "Cite it", "format_quote"):
        with drawer:
            cited = reproduce.cited(run, tasks, composites, names, shell.permalink())
            st.code(cited, language=None, wrap_lines=True)


def _opened(key: str, label: str, icon: str) -> Any:
    """A drawer whose contents, and the scripts that show them, are fetched when it is opened; None while it is shut."""
    drawer = st.expander(label, key=key, icon=f":material/{icon}:", on_change="rerun", bind="query-params")
    return drawer if drawer.open else None


def _again(run: Mapping[str, Any], names: list[str]) -> None:
    command = reproduce.command(run, names)
    if command:
        st.code(command, language="bash", wrap_lines=True)
    elif "imported" in run["environment"]:
        st.write("It was imported, not measured here. To measure a checkpoint of your own on as much:")
        suite = names[0] if len(names) == 1 else "quick"
        st.code(f"assay run {suite} --model hf:path/to/checkpoint", language="bash")
    else:
        st.write("Its options hold what can't be typed; they are in the fingerprint above.")
