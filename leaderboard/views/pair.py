"""Choosing a baseline and a candidate, as Compare and Samples both do; always in the address."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from assay.leaderboard import queries, shell
from assay.leaderboard.loads.compare_runs import neighbours
from assay.leaderboard.queries import Source
from assay.leaderboard.text import plain

ROLES = {"a": "Baseline (A)", "b": "Candidate (B)"}


def chosen(source: Source, *, alone: bool = False) -> tuple[str, str] | None:
    """The two runs that the address names, else the newest and the one before it; None where there are no runs.

    Args:
        source: of the index.
        alone: B may be left out, and is then "".
    """
    runs = shell.load(queries.runs, source).set_index("run_id")
    if runs.empty:
        st.info("The index holds no runs yet. Measure a checkpoint, then look again:")
        st.code(f"assay run quick --model hf:path/to/checkpoint --store {source.store}", language="bash")
        return None
    ids = runs.index[::-1].tolist()
    first = dict(zip("ab", neighbours(runs), strict=True))
    missing = [key for key in "ab" if not (st.session_state.get(key) or st.query_params.get(key))]
    if alone and ("a" not in missing or "a" in st.session_state):
        missing = [key for key in missing if key != "b"]  # nobody need choose it
    for key in missing:  # a link must mean the same tomorrow
        st.session_state[key] = st.query_params[key] = first[key]
    left, middle, right = st.columns([10, 1, 10], vertical_alignment="center")
    with left:
        a = _run("a", ids, runs, first["a"])
    with right:
        b = _run("b", ids, runs, "" if alone else first["b"])
    with middle:
        st.button("⇄", key="swap", help="Swap A and B", on_click=_swap, args=(a, b), disabled=not b, width="stretch")
    return a, b


def _run(key: str, ids: list[str], runs: pd.DataFrame, default: str) -> str:
    shell.known(key, ids, "run")
    found = st.selectbox(ROLES[key], ids, index=None, key=key, bind="query-params", placeholder=default or "none")
    run_id = str(found or default)
    if run_id:
        st.caption(_said(runs.loc[run_id].to_dict()))
    return run_id


def _said(run: Mapping[str, Any]) -> str:
    step = [] if pd.isna(run["step"]) else [f"step {run['step']:,.0f}"]
    return " · ".join([plain(run["label"]), *step, plain(run["rows_asked"]), run["evidence"], run["created"][:10]])


def _swap(a: str, b: str) -> None:
    st.session_state["a"], st.session_state["b"] = b, a


def distinct(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels by run id, the id behind those that several runs share: a widget shows one option of those that equal."""
    seen = Counter(labels.values())
    return {run_id: f"{label} · {run_id}" if seen[label] > 1 else label for run_id, label in labels.items()}
