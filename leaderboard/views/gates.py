"""What gates said of checkpoints: verdicts over time, one of them in full, waivers, baselines."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import streamlit as st

from assay.harness.gating import history
from assay.leaderboard import shell
from assay.leaderboard.charts import gates as charts
from assay.leaderboard.loads.gates import VERDICTS, again, bare, counted, load, past, presented, said_of, waivers
from assay.leaderboard.text import plain, visible
from assay.leaderboard.views import gate, gate_setup

ALL = "all gates"
DRAWN = 1_000
"""Verdicts of the timeline and the table; the downloads have all."""


def view() -> None:
    """The page."""
    shell.heading("Gates", "Is a checkpoint worse than its baseline? What gates said, why, and what chance alone says.")
    of = past(shell.store())
    verdicts = shell.load(load, of)
    _left_out(verdicts.left_out)
    if verdicts.table.empty:
        gate_setup.nothing()
        gate_setup.baselines(of)
        return
    table = _chosen(verdicts.table)
    keys = table["key"].tolist()
    asked = str(st.session_state.get("at") or st.query_params.get("at"))
    _timeline(table, asked if asked in keys else keys[0])
    _expected(table)
    _table(table, keys)
    _waivers(table)
    st.subheader("One verdict", anchor="verdict")
    gate.detail(of, shell.choose("at", "Verdict", keys) or keys[0])
    gate_setup.baselines(of)


def _chosen(table: pd.DataFrame) -> pd.DataFrame:
    """The verdicts of the gate that the address names, or of all."""
    names = {ALL: ALL} | {visible(name): name for name in sorted(table["gate"].unique())}
    name = shell.choose("name", "Gate", list(names)) or ALL
    return table if name == ALL else table[table["gate"] == names[name]]


def _left_out(faults: Mapping[str, str]) -> None:
    if not faults:
        return
    n = len(faults)
    names = ", ".join(map(plain, list(faults)[:3])) + (f" and {n - 3} more" if n > 3 else "")
    st.warning(f"{counted(n, 'verdict')} can't be read and {'is' if n == 1 else 'are'} left out: {names}.")
    with st.expander("Why"):
        for why in list(faults.values())[:20]:
            st.text(visible(why))


def _timeline(table: pd.DataFrame, chosen: str) -> None:
    shown = table.head(DRAWN)
    more = f" The newest {DRAWN:,} of {len(table):,} are drawn." if len(table) > DRAWN else ""
    drawn = charts.timeline(shown, VERDICTS, chosen)
    shell.chart(drawn, f"{said_of(table)}{more} The ring is read below.", bare(shown), key="timeline")


def _expected(table: pd.DataFrame) -> None:
    """How many blocks chance alone explains."""
    tested = table[table["tests"] > 0]
    if tested.empty:
        st.caption("None of these verdicts rests on a test, so there is nothing that chance could have blocked.")
        return
    blocked = int((tested["verdict"] == "regressed").sum())
    expected, any_at_all = history.false_blocks(tested["alpha"])
    levels = " to ".join(dict.fromkeys(f"{a:g}" for a in (tested["alpha"].min(), tested["alpha"].max())))
    none = len(table) - len(tested)
    st.write(
        f"**{counted(blocked, 'block')} in {counted(len(tested), 'call')} at α {levels}.** Were no checkpoint worse "
        f"than its baseline, {expected:.2g} would be expected all the same, and one or more with probability "
        f"{any_at_all:.0%}."
        + (f" {counted(none, 'verdict')} tested nothing and {'does' if none == 1 else 'do'} not count." if none else "")
    )
    if twice := again(table):
        st.caption(
            f"{counted(twice, 'checkpoint')} stood before the same gate more than once. Trying again until it is green "
            "lets true regressions through: one that is found 4 times of 5 escapes three tries with probability 0.49."
        )


def _table(table: pd.DataFrame, keys: list[str]) -> None:
    def read() -> None:
        rows = st.session_state["verdicts"].selection.rows
        if rows and rows[0] < len(keys):
            st.session_state["at"] = keys[rows[0]]

    shown = presented(table.head(DRAWN))
    c = st.column_config
    looks: dict[str, Any] = {
        "verdict": c.TextColumn("verdict", pinned=True),
        "candidate": c.LinkColumn("candidate", display_text=r"#(.*)$", width="medium"),
        "compare": c.LinkColumn(
            "compare", display_text="compare", help="The candidate with its baseline, item by item"
        ),
        "blocks": c.TextColumn(
            "what can block", width="medium", help="Findings of tier block, and those that fail or warn, by state"
        ),
        "others": c.TextColumn("others", width="medium", help="Findings that neither fail nor warn, by state"),
        "seconds": c.NumberColumn("seconds", format="%.1f", help="That judging took, without measuring"),
    }
    st.write("Select a verdict to read it below.")
    shell.grid(
        shown,
        hide_index=True,
        height=min(400, 38 + 35 * len(shown)),
        column_config=looks,
        on_select=read,
        selection_mode="single-row",
        key="verdicts",
        alt=f"{counted(len(shown), 'verdict')}; the plain table above has the same rows.",
    )
    shell.downloads(lambda: bare(table), "gates", key="verdicts")


def _waivers(table: pd.DataFrame) -> None:
    st.subheader("Waivers", anchor="waivers")
    found = waivers(table, datetime.now(UTC).date())
    if found.empty:
        st.caption("Nothing is waived by the newest verdict of these gates.")
        return
    left = found["days_left"].dropna()
    over = int((left < 0).sum())
    said = f"{counted(len(found), 'waiver')} in the newest verdicts."
    if over:
        said += f" {over} ended since: the next verdict judges again."
    elif len(left):
        said += f" The first ends in {counted(int(left.min()), 'day')}."
    st.write(said)
    looks = {
        "days_left": st.column_config.NumberColumn("days left"),
        "reason": st.column_config.TextColumn(width="large"),
    }
    shell.grid(
        found, hide_index=True, column_config=looks, key="waivers", alt="What is waived, by whom, why, until when."
    )
    shell.plain_table(found, key="waivers")
