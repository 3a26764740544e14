"""One item of a task: what was asked, what was right, what each run wrote, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from assay.leaderboard import shell
from assay.leaderboard.loads import samples as loads
from assay.leaderboard.queries import Source
from assay.leaderboard.text import address, plain, plain_frame, visible
from assay.tasks.types import UserError

TALL = 20
"""Lines from which on a text scrolls in its own box."""
BOX_PX = 440
Rows = Sequence[dict[str, Any]]
WHY_PROTECTED = (
    "The authors of this task ask that its rows are not published, so that no model is trained on them: its question, "
    "its options, the right one and the answers are not shown. Hash and lengths are."
)


def show_item(source: Source, runs: Sequence[str], task: str, doc_id: str, kind: str) -> None:
    """The item, of A and of B where there are two runs."""
    st.subheader(f"{plain(task)} · {plain(doc_id)} · {kind}", anchor=False)
    every = [shell.load(loads.item, source, run, task, doc_id) for run in runs]
    rows = _draw(every)
    names = [f"{side}: {run}" for side, run in zip("AB", runs, strict=False)]
    if shell.load(loads.protected, source, task):
        st.warning(WHY_PROTECTED, icon=":material/lock:")
        _facts(names, [r and loads.sizes(r) for r in rows])
        return
    first = next((r for r in rows if r), None)
    if first is None:
        st.info("Neither run has an answer to it.")
        return
    _outcome(names, rows)
    code = first["program"] is not None
    if code:
        _answers(names, rows, "program")
    texts = _prompt(source, runs[0] if rows[0] else runs[-1], task, doc_id, first)
    _right(first, "A solution that passes" if code else "Accepted", "python" if code else None)
    if first["options"]:
        st.caption("What was weighed: log-probabilities in nats, of the whole option and per token")
        st.table(plain_frame(_rounded(loads.options(rows, texts))), hide_index=True)
    with st.expander("What the models wrote, before it was made a program") if code else st.container():
        _answers(names, rows, "response")
    _facts(names, [r and loads.facts(r) for r in rows])


def link(runs: Sequence[str], task: str, doc_id: str, kind: str) -> None:
    """Where exactly this is seen again."""
    where = dict(zip("ab", runs, strict=False)) | {"task": task, "show": kind, "item": doc_id}
    base = str(st.context.url or "").split("?")[0].rpartition("samples")[0]
    with st.popover("Link to this item", icon=":material/link:"):
        st.code(base + address("samples", where), language=None, wrap_lines=True)


def _draw(every: Sequence[Rows]) -> list[dict[str, Any] | None]:
    """The same draw of each run; which, is chosen where there are several."""
    most = max(map(len, every))
    at = int(st.number_input(f"Draw, 1 to {most}", 1, most, key="draw", bind="query-params")) if most > 1 else 1
    return [rows[at - 1] if at <= len(rows) else None for rows in every]


def _outcome(names: Sequence[str], rows: Sequence[dict[str, Any] | None]) -> None:
    """Right, or wrong and why: of code, the test that failed."""
    for place, name, row in zip(st.columns(len(rows)), names, rows, strict=True):
        with place:
            if row is None:
                st.info(f"{plain(name)}: no answer")
            elif row["correct"]:
                st.success(f"{plain(name)}: right", icon=":material/check_circle:")
            else:
                said = "lost by the machine" if row["score"] is None else "wrong"
                status = "" if row["status"] == "ok" else f", {plain(row['status'])}"
                st.error(f"{plain(name)}: {said}{status}", icon=":material/cancel:")
            if row and row["note"]:
                st.code(visible(row["note"]), language=None, wrap_lines=True)


def _prompt(source: Source, run: str, task: str, doc_id: str, row: dict[str, Any]) -> tuple[str, ...]:
    """What was asked, or why that can't be had; the texts of the options."""
    try:
        with st.spinner("Rendering the prompt again from the pinned data …"):
            found = shell.load(loads.prompt, source, run, task, doc_id)
    except UserError as error:
        st.info(f"The prompt is not shown: {plain(error)}", icon=":material/help:")
        return ()
    if found.examples:
        with st.expander("Examples that came before the question"):
            _text("As they were shown", found.examples, "examples")
    if found.context:
        _text("Question" if found.examples else "Prompt", found.context.strip("\n"), "prompt")
    if found.ending:
        _text("Each option is followed by", found.ending, "ending")
    if row["form"] == "chat":
        st.caption("It was asked in the model's chat template, which is not written again here.")
    return tuple(loads.clipped(o, loads.SHORT)[0] for o in found.options)


def _right(row: dict[str, Any], label: str, language: str | None) -> None:
    accepted = loads.target(row)
    if isinstance(accepted, list):
        _text(label if len(accepted) < 2 else f"{label}, any of", "\n".join(accepted), "target", language)


def _answers(names: Sequence[str], rows: Sequence[dict[str, Any] | None], field: str) -> None:
    """What changed from A to B, line by line; then both, side by side."""
    wrote = [(r or {}).get(field) for r in rows]
    if all(w is None for w in wrote):
        return
    language, said = ("python", "the program that was run") if field == "program" else (None, "wrote")
    if len(wrote) > 1 and None not in wrote:
        changed = loads.difference(*(loads.clipped(str(w))[0] for w in wrote))
        if changed:
            _text("From A to B, line by line", changed, f"diff_{field}", "diff")
        else:
            st.info("A and B wrote the same.")
    for place, name, row, text in zip(st.columns(len(rows)), names, rows, wrote, strict=True):
        with place:
            _text(f"{name}, {said}", text or "", f"{field}_{name}", language)
            if row and row["stderr"] and field == "program":
                _text("Error output, its end", row["stderr"], f"stderr_{name}", end=True)


def _facts(names: Sequence[str], known: Sequence[dict[str, str] | None]) -> None:
    """What is recorded beside the texts, a row each."""
    frame = pd.DataFrame([k or {} for k in known], index=list(names)).T.fillna("–")
    st.table(plain_frame(frame.reset_index(names="recorded")), hide_index=True)


def _rounded(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.round(3).astype(object).where(frame.notna(), "–")


def _text(label: str, text: str, key: str, language: str | None = None, *, end: bool = False) -> None:
    """A text as it is, nothing of it read as markup; its beginning, or its end, until all of it is asked for."""
    st.caption(plain(label))
    shown, left = loads.clipped(text[::-1] if end else text)
    if left and st.toggle(f"Show all, {left:,} more bytes", key=f"all_{key}"):
        shown = text
    elif end:
        shown = shown[::-1]
    long = shown.count("\n") > TALL
    st.code(visible(shown), language=language, wrap_lines=language != "diff", height=BOX_PX if long else "content")
