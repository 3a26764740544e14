"""One verdict in full: what the pull request's comment says, as sentences and tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from assay.harness.gating import wording
from assay.harness.gating.types import Finding, Report
from assay.leaderboard import shell
from assay.leaderboard.charts import gates as charts
from assay.leaderboard.loads.gates import Past, counted, drawable, findings, listed, report, sides
from assay.leaderboard.text import address, plain, short
from assay.tasks.types import UserError

BOXES = {"pass": st.success, "regressed": st.error}
ICONS = {"pass": ":material/check_circle:", "regressed": ":material/block:", "not_measured": ":material/help:"}


def detail(of: Past, key: str) -> None:
    """The verdict that `key` names."""
    try:
        said = shell.load(report, of, key)
    except UserError as error:
        st.error(plain(error))
        return
    word = wording.VERDICTS[said.verdict][1].upper()
    sentence = said.sentence.partition(": ")[2] or said.sentence
    BOXES.get(said.verdict, st.warning)(
        f"**{word}**: {plain(sentence)}", icon=ICONS.get(said.verdict, ":material/warning:")
    )
    took = "" if said.seconds is None else f" · judged in {said.seconds:.1f} s"
    st.caption(
        f"gate {plain(said.gate)} · {plain(said.created)} · exit code {said.exit_code} · {wording.level(said)}{took}"
    )
    _ways_on(said)
    shown, others = wording.split(said)
    if not said.findings:
        st.info("Nothing was compared.")
    if shown:
        found = findings(shown)
        _chart(found)
        _why(shown)
        _findings(found, said, "block")
    if others:
        with st.expander(f"{counted(len(others), 'other')}: {wording.tally(others)}"):
            _findings(findings(others), said, "others")
    _beside(said)


def _ways_on(said: Report) -> None:
    candidate = said.candidate.run_id
    with st.container(horizontal=True):
        name = plain(short(said.candidate.label or said.candidate.name or candidate))
        st.link_button(name, address("model", {"id": candidate}), icon=":material/deployed_code:")
        for anchor in said.anchors:
            pair = {"a": anchor.run_id, "b": candidate}
            label = f"Compare with {plain(short(anchor.name))}"
            st.link_button(label, address("compare", pair), icon=":material/balance:", disabled=not anchor.run_id)
        if said.candidate.series:
            st.link_button("Curve", address("curves", {"run": said.candidate.series}), icon=":material/show_chart:")
    if said.promote:
        st.caption("It passes and something improved: worth promoting to baseline, with `assay baseline promote`.")


def _chart(part: pd.DataFrame) -> None:
    drawn = drawable(part)
    if drawn.empty:
        return
    worst = drawn.loc[drawn["delta"].idxmin()]
    more = f" The first {charts.MOST} are drawn." if len(drawn) > charts.MOST else ""
    shell.chart(
        charts.differences(drawn.head(charts.MOST)),
        f"Candidate minus baseline with 95 % intervals; the grey tick is the drop that blocks, or must be ruled out. "
        f"Lowest: {plain(worst['name'])}, {wording.points(worst['delta'])} points.{more}",
        drawn[["name", "word", "delta", "low", "high", "margin", "effect"]].rename(columns={"word": "state"}),
        key="differences",
    )


def _why(shown: Sequence[Finding]) -> None:
    """What fails or warns, in a sentence each, and where a composite's difference comes from."""
    for f in (f for f in shown if f.effect in ("fail", "warn")):
        st.write(f"- **{plain(wording.name(f.name))}**: {plain(wording.why(f))}")
    for f in (f for f in shown if f.shares):
        parts = ", ".join(f"{plain(wording.name(task))} {share:.0%}" for task, share in f.shares.items())
        st.caption(f"Where the variance of {plain(wording.name(f.name))} comes from: {parts}.")


def _findings(part: pd.DataFrame, said: Report, key: str) -> None:
    c = st.column_config
    frame = listed(part, said)
    points = {n: c.NumberColumn(n, format="%+.2f") for n in ("difference", "from", "to")}
    looks: dict[str, Any] = points | {
        "task": c.TextColumn("task", pinned=True),
        "does": c.TextColumn("does", help="What the finding does to the build"),
        "baseline": c.NumberColumn("baseline", format="%.4f"),
        "candidate": c.NumberColumn("candidate", format="%.4f"),
        "difference": c.NumberColumn("difference", format="%+.2f", help="Candidate minus baseline, points"),
        "from": c.NumberColumn("from", format="%+.2f", help="95 % interval, points"),
        "margin": c.NumberColumn("margin", format="%.2f", help="The drop that blocks, or must be ruled out, points"),
        "p, Holm": c.NumberColumn("p, Holm", format="%.2g", help="One-sided, over the tier"),
        "MDE": c.NumberColumn("MDE", format="%.2f", help="Least drop in points that is found 4 times of 5"),
        "noise": c.NumberColumn(
            "noise", format="%.2f", help="Drop in points that checkpoints of this series show anyway"
        ),
        "self-flips": c.NumberColumn("ψ₀", format="percent", help="Items that the same weights answered otherwise"),
        "samples": c.LinkColumn("samples", display_text="read"),
        "why": c.TextColumn("why", width="large"),
        "waived": c.TextColumn("waived", width="medium"),
    }
    shell.grid(frame, hide_index=True, column_config=looks, key=f"findings_{key}", alt="Findings, the worst first.")
    bare = frame.drop(columns="samples")
    shell.downloads(bare, f"gate-{key}", key=f"findings_{key}")
    shell.plain_table(bare, key=f"findings_{key}")


def _beside(said: Report) -> None:
    """What a reader must know beside the findings: notes, who stood where, hashes."""
    for waiver in said.waivers:
        st.caption(f"Waived: {plain(wording.waiver(waiver))}")
    for note in said.notes:
        st.caption(f"Note: {plain(note)}")
    with st.expander("Which runs stood on which side, and hashes of what went in"):
        shell.grid(sides(said), hide_index=True, alt="Candidate and anchors.")
        inputs = pd.DataFrame([(str(k), str(v)) for k, v in said.inputs.items()], columns=["input", "sha256"])
        shell.grid(inputs, hide_index=True, alt="sha256 of the gate's inputs.")
        shell.plain_table(inputs, key="inputs")
