"""What a score costs: FLOPs, parameters, tokens or time, and the runs that nothing cheaper beats."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from assay.leaderboard import shell
from assay.leaderboard.charts import scaling as charts
from assay.leaderboard.loads.scaling import AXES, ESTIMATE, Axis, dominance, load, missing, points, rows_asked, scores
from assay.leaderboard.text import address, amount, number, plain, short


def view() -> None:
    """The page."""
    shell.heading("Scaling", "What a score costs, and the runs that nothing cheaper beats.")
    source = shell.source()
    offered = shell.load(scores, source)
    if not offered:
        st.info("The index holds no results yet. Measure a checkpoint, then look again:")
        st.code(f"assay run quick --model hf:path/to/checkpoint --store {source.store}", language="bash")
        return
    left, right = st.columns(2)
    with left:
        axis = AXES[
            shell.switch(
                "x",
                "Cost",
                list(AXES),
                help="Seconds are of the score's own tasks, on the machine that ran them, without loading the model.",
            )
        ]
        front = st.toggle("Pareto front", value=True, key="front", bind="query-params")
    with right:
        score = shell.choose("y", "Score", offered) or offered[0]
        frame = shell.load(load, source, score)
        groups = rows_asked(frame)
        rows = groups[0] if len(groups) == 1 else shell.choose("rows", "Rows asked", groups)
    frame = frame[frame["rows_asked"] == rows]
    lacking = missing(frame, axis)
    drawn = points(frame, axis)
    if drawn.empty:
        _nothing(frame, axis, lacking, score)
        return
    shown = _exported(drawn, axis)
    shell.chart(
        charts.scatter(drawn, axis.title, score, front=front),
        _sentence(drawn, frame, axis, score, front=front),
        shown,
        key="scaling",
    )
    _left_out(frame, drawn, lacking)
    shell.downloads(shown, "scaling", key="scaling")
    if front:
        _front(drawn, axis, score)


def _nothing(frame: pd.DataFrame, axis: Axis, lacking: dict[str, int], score: str) -> None:
    said = ", ".join(f"`{name}` ({runs} of {len(frame)} runs)" for name, runs in lacking.items())
    st.info(f"No run with {plain(score)} says its {axis.title}. Missing: {said}.")
    if axis.column == "wall_s":
        st.write("Published numbers come without the time that they took; a measured run has it.")
        return
    st.write("Say it in `board.yaml` in the store, then bring the index up to date:")
    facts = "parameters: 7000000000, tokens: 2000000000000"
    st.code(f'models:\n  - {{match: "my-7b*", facts: {{family: mine, {facts}}}}}', language="yaml")
    st.code("assay reindex", language="bash")


def _sentence(drawn: pd.DataFrame, frame: pd.DataFrame, axis: Axis, score: str, *, front: bool) -> str:
    on_front = drawn[drawn["place"].notna()]
    best, marked = on_front.iloc[-1], " (filled, numbered)" if front else ""
    said = (
        f"{len(drawn)} of {len(frame)} runs with {plain(score)}, against {axis.title} on a log axis, with 95 % "
        f"intervals; a shape is a family. {len(on_front)} are on the front{marked}: no other run scores as "
        f"much for as little. It ends at {plain(short(best['label']))}, {number(best['value'])} for "
        f"{amount(best['cost'])} {axis.title}."
    )
    estimated = int((drawn["flops_from"] == ESTIMATE).sum()) if axis.column == "flops" else 0
    return said + (f" FLOPs of {estimated} runs are an estimate, 6·N·D: nobody gives them." if estimated else "")


def _left_out(frame: pd.DataFrame, drawn: pd.DataFrame, lacking: dict[str, int]) -> None:
    left = len(frame) - len(drawn)
    if left:
        said = ", ".join(f"{runs} without `{name}`" for name, runs in lacking.items())
        st.caption(f"Not drawn: {left} runs ({said}). What people know goes into `board.yaml` in the store.")


def _exported(drawn: pd.DataFrame, axis: Axis) -> pd.DataFrame:
    """The numbers that are drawn."""
    names = ["label", "run_id", "family", "cost", "value", "low", "high", "place", "evidence", "rows_asked"]
    frame = drawn[names].rename(columns={"label": "model", "cost": axis.title, "place": "on the front"})
    if axis.column == "flops":
        frame.insert(4, "FLOPs are", drawn["flops_from"])
    return frame


@st.fragment
def _front(drawn: pd.DataFrame, axis: Axis, score: str) -> None:
    """The front's runs, and by how much each dominates."""
    found = dominance(drawn)
    st.subheader("The front")
    st.write(
        "Each against the runs that cost no less and score no more: how many, by how much the best of them is behind, "
        "and how many times its cost is. Intervals that overlap are no proven lead: compare two runs to know."
    )
    frame = pd.DataFrame(
        {
            "place": found["place"].astype(int),
            "model": [address("model", {"id": r.run_id}) + "#" + r.label for r in found.itertuples()],
            axis.title: found["cost"].map(amount),
            score: found["value"],
            "low": found["low"],
            "high": found["high"],
            "dominates": found["beats"],
            "the best of them": found["next_best"],
            "is behind by": found["lead"],
            "at times the cost": found["cheaper"],
        }
    )
    c = st.column_config
    digits = {name: c.NumberColumn(name, format="%.4f") for name in (score, "low", "high", "is behind by")}
    shell.grid(
        frame,
        hide_index=True,
        column_config={
            "model": c.LinkColumn("model", display_text=r"#(.*)$", width="medium"),
            "dominates": c.NumberColumn("dominates", help="Runs that cost no less and score no more"),
            "the best of them": c.TextColumn("the best of them", width="medium"),
            "at times the cost": c.NumberColumn("at times the cost", format="%.2f ×"),
            **digits,
        },
        alt="The runs of the front with what each dominates; the plain table below has the same rows.",
    )
    shell.plain_table(frame.assign(model=found["label"]), key="front")
