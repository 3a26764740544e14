"""One run: every task against guessing, where its uncertainty comes from, how it was made and how to make it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from assay.leaderboard import queries, shell
from assay.leaderboard.charts import model as charts
from assay.leaderboard.loads.model import (
    ABOVE,
    BELOW,
    HEADLINES,
    INSIDE,
    SHARED,
    centred,
    load,
    nearest,
    run_ids,
    shares,
    standing,
)
from assay.leaderboard.text import address, number, plain, short
from assay.leaderboard.views.model_facts import header, made
from assay.leaderboard.views.pair import distinct

SHARES_SHOWN = 10


def view() -> None:
    """The page."""
    shell.heading("Model", "One run: every task against guessing, how sure each number is, and how it was made.")
    source = shell.source()
    known = shell.load(run_ids, source)
    if not known:
        st.info("The index holds no runs yet. Measure a checkpoint, then look again:")
        st.code(f"assay run quick --model hf:path/to/checkpoint --store {source.store}", language="bash")
        return
    asked = st.query_params.get("id")
    if asked and asked not in known:
        _unknown(known, asked)
        return
    run_id = shell.always("id", "Run", list(known))
    frames, run = shell.load(load, source, run_id), shell.load(queries.run, source, run_id)
    _steps(frames["siblings"], run_id, run["series"])
    header(run, frames["composites"], frames["marks"])
    if frames["tasks"].empty:
        st.info("No task of this run is finished yet. The command that began it goes on with it.")
    else:
        _tasks(run, frames["tasks"])
        _composites(source, frames)
        _failures(frames, run)
    made(source, run, frames["tasks"], frames["composites"])


def _unknown(known: Mapping[str, str], asked: str) -> None:
    st.warning(f"There is no run “{plain(asked[:200])}” here. The nearest by name:")
    for run_id in nearest(known, asked):
        st.link_button(plain(f"{short(known[run_id])} · {run_id}"), address("model", {"id": run_id}), width="stretch")


def _steps(siblings: pd.DataFrame, run_id: str, series: str) -> None:
    """The other checkpoints of the series, a slide away."""
    if len(siblings) < 2:
        return
    steps = distinct({r.run_id: f"{r.step:,}" for r in siblings.itertuples()})
    st.session_state["step"] = run_id  # it stands where the address says

    def go() -> None:
        st.session_state["id"] = st.session_state["step"]

    st.select_slider("Step of the series", list(steps), format_func=steps.__getitem__, key="step", on_change=go)
    before = list(steps).index(run_id) - 1
    with st.container(horizontal=True):
        st.link_button("The training curve", address("curves", {"run": series}), icon=":material/show_chart:")
        if before >= 0:
            pair = {"a": list(steps)[before], "b": run_id}
            st.link_button("Compare with the step before", address("compare", pair), icon=":material/compare_arrows:")


@st.fragment
def _tasks(run: Mapping[str, Any], tasks: pd.DataFrame) -> None:
    """All tasks: the dots, then the table."""
    st.subheader("Every task")
    score = shell.switch("score", "Score", ["raw", "centred"], help="Centred: 0 is guessing, 1 is perfect.")
    scored = tasks[tasks["value"].between(0, 1) & tasks["higher_is_better"]].assign(raw=lambda f: f["value"])
    drawn = centred(scored) if score == "centred" else scored
    if drawn.empty:
        st.info("No task of this run has a score that can be drawn here; the table below says why.")
    else:
        title = "score" if score == "raw" else "centred score"
        columns = ["task", "value", "low", "high", "guessing", "standing"]
        shell.chart(
            charts.against_guessing(drawn, title),
            _standing(drawn, len(tasks), score),
            drawn[columns].sort_values(["value", "task"], ascending=[False, True]),
            key="dots",
        )
    tasks = tasks.sort_values(["value", "task"], ascending=[False, True])
    frame = _presented(run, tasks)
    c = st.column_config
    digits = {n: c.NumberColumn(n, format="%.4f") for n in ("score", "SE", "low", "high", "centred", "guessing")}
    shell.grid(
        frame,
        hide_index=True,
        column_config={
            "task": c.LinkColumn("task", display_text=r"#(.*)$", pinned=True, width="medium"),
            "samples": c.LinkColumn("samples", display_text="read"),
            "SE": c.NumberColumn("SE", format="%.4f", help="Standard error of the score"),
            "cut": c.NumberColumn("cut", help="Samples whose context lost its left end to fit the model"),
            **digits,
        },
        alt=f"{len(frame)} tasks of the run; the plain table below has the same rows.",
    )
    bare = frame.assign(task=tasks["task"]).drop(columns="samples", errors="ignore")
    shell.downloads(bare.assign(run_id=run["run_id"]), "model", key="tasks")
    shell.plain_table(bare, key="tasks")


def _standing(drawn: pd.DataFrame, total: int, score: str) -> str:
    """The chart in words."""
    n = drawn["standing"].value_counts()
    best = drawn.loc[drawn["value"].idxmax()]
    said = f"{len(drawn)} of {total} tasks, {'as scored' if score == 'raw' else 'centred'}, with 95 % intervals. "
    said += f"{n.get(ABOVE, 0)} are above guessing (the grey tick), {n.get(INSIDE, 0)} can't be told from it"
    said += f", {n[BELOW]} below it" if BELOW in n else ""
    return f"{said}. Best: {plain(best['task'])}, {number(best['value'])}."


def _presented(run: Mapping[str, Any], tasks: pd.DataFrame) -> pd.DataFrame:
    """The columns that people read."""
    ends = tasks["value"].map(charts.ENDS).fillna("")
    read = [address("samples", {"a": run["run_id"], "task": r.task}) if r.sampled else "" for r in tasks.itertuples()]
    frame = pd.DataFrame(
        {
            "task": [address("task", {"name": name}) + "#" + name for name in tasks["task"]],
            "skill": tasks["skill"].fillna(""),
            "n": tasks["n"],
            "score": tasks["value"],
            "SE": tasks["stderr"],
            "low": tasks["low"],
            "high": tasks["high"],
            "centred": tasks["centred_v2"],
            "guessing": tasks["guessing"],
            "stands": ends.where(ends != "", tasks["standing"]),
            "cut": tasks["truncated"],
            "samples": read,
            "interval by": tasks["method"],
            "note": tasks["message"].where(tasks["message"] != "", tasks["status"].where(tasks["status"] != "ok", "")),
        }
    )
    return frame if tasks["sampled"].any() else frame.drop(columns="samples")


@st.fragment
def _composites(source: queries.Source, frames: Mapping[str, pd.DataFrame]) -> None:
    """Composites and means of skills, and where the uncertainty of one of them comes from."""
    means = frames["composites"].dropna(subset="value")
    if means.empty:
        return
    st.subheader("Composites and skills")
    drawn = means.rename(columns={"name": "task"}).assign(guessing=0.0, raw=means["value"])
    drawn["standing"] = [standing(r.value, r.low, r.high, 0.0) for r in drawn.itertuples()]
    columns = ["task", "value", "low", "high"]
    best = drawn.loc[drawn["value"].idxmax()]
    shell.chart(
        charts.against_guessing(drawn, "mean centred score"),
        f"{len(drawn)} means of centred scores, with 95 % intervals; 0 is guessing, 1 is perfect. The highest is "
        f"{plain(best['task'])}, {number(best['value'])}.",
        drawn[columns].rename(columns={"task": "mean"}),
        key="means",
    )
    _shares(source, frames, list(means["name"]))
    if len(frames["published"]):
        st.subheader("As published")
        st.write("Composites as their publisher's file has them, and computed here from the tasks' numbers in it.")
        digits = st.column_config.NumberColumn(format="%.6f")
        look = dict.fromkeys(("published", "here", "difference"), digits)
        shell.grid(frames["published"].dropna(axis=1, how="all"), hide_index=True, column_config=look)


def _shares(source: queries.Source, frames: Mapping[str, pd.DataFrame], names: list[str]) -> None:
    st.subheader("Where the uncertainty comes from")
    first = next((n for n in HEADLINES if n in names), names[0])
    of = shell.choose("of", "Mean", names, default=first) or first
    found = shell.load(shares, source, frames["tasks"][list(SHARED)], of)
    if found.empty:
        st.info(f"A task of {plain(of)} has no error of its own, so its share can't be told.")
        return
    top = found.iloc[0]
    half = int((found["share"].cumsum() < 0.5).sum()) + 1
    st.write(
        f"{plain(top['task'])} alone brings {top['share']:.0%} of the variance of {plain(of)}; "
        f"{half} of its {len(found)} tasks bring half of it. More items there would narrow its interval most."
    )
    c = st.column_config
    shell.grid(
        found.head(SHARES_SHOWN).assign(share=lambda f: 100 * f["share"]),
        hide_index=True,
        column_config={
            "stderr": c.NumberColumn("SE", format="%.4f"),
            "share": c.ProgressColumn("share of the variance", format="%.1f %%", min_value=0, max_value=100),
        },
        alt=f"The {SHARES_SHOWN} largest shares; the plain table below has all.",
    )
    shell.plain_table(found, key="shares")


def _failures(frames: Mapping[str, pd.DataFrame], run: Mapping[str, Any]) -> None:
    """What did not come to an answer that could be judged."""
    st.subheader("Samples without an answer")
    counts = frames["counts"]
    total = sum(sum(of.values()) for of in frames["tasks"]["counts"])
    if run["evidence"] == "aggregates only":
        st.write("Published aggregates don't say how many samples timed out, crashed or got no answer.")
    elif not total:
        st.write("No samples are counted in the records of this run.")
    elif counts.empty:
        st.write(f"None: each of the {total:,} samples got an answer that could be judged.")
    else:
        worst = counts.groupby("task")["samples"].sum().sort_values(ascending=False)
        totals = counts.groupby("status")["samples"].sum().sort_values(ascending=False, kind="stable")
        said = ", ".join(f"{plain(status)} {n:,}" for status, n in totals.items())
        shell.chart(
            charts.failures(counts),
            f"{worst.sum():,} of {total:,} samples: {said}. Most in {plain(worst.index[0])}, {worst.iloc[0]:,}. "
            "Those that the machine lost (infra_error) are never counted as wrong; the others are.",
            counts,
            key="failures",
        )
