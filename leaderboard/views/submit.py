"""Hand in results: the same check as the command line's, on an uploaded zip that is never kept."""

from __future__ import annotations

import os
from pathlib import Path

import streamlit as st

from assay.leaderboard import shell
from assay.leaderboard.loads.submit import Checked, check, table
from assay.tasks.registry import open_registry

MEGABYTES = 20
COMMANDS = """assay submit validate runs
cd runs
zip -r ../submission.zip . -x 'index.sqlite*' 'gates/*'"""
PULL_REQUEST = """git checkout -b my-model
unzip submission.zip -d runs    # the folder of runs that this board shows
assay submit validate runs
git add runs
git commit -m "Results of my-model"
git push -u origin my-model"""


def view() -> None:
    """The page."""
    shell.heading("Contribute", "Check your results as a reviewer would, then hand them in as a pull request.")
    st.write(
        "A submission is the folders that `assay run` wrote. Every hash and score is recomputed from the samples, "
        "items are counted, fingerprints are held against this board's registry. The upload is unpacked in a temporary "
        "folder that is removed when the check ends. Nothing of it is kept, and the runs of this board are not touched."
    )
    left, right = st.columns(2)
    with left:
        st.subheader("Here")
        uploaded = st.file_uploader(
            f"A zip of run folders, up to {MEGABYTES} MB", type="zip", max_upload_size=MEGABYTES, key="archive"
        )
    with right:
        st.subheader("Or on your machine")
        st.code(COMMANDS, language="bash", wrap_lines=True)
    if uploaded is not None:
        _results(_checked(uploaded.file_id, uploaded.getvalue()))
    st.subheader("The pull request")
    st.write("Reviewed like code: the same check runs on it, and a person reads it. Runs are added, never edited.")
    st.code(PULL_REQUEST, language="bash", wrap_lines=True)


def _checked(file_id: str, archive: bytes) -> Checked:
    """The result, for as long as this visitor has this file here."""
    kept: tuple[str, Checked] | None = st.session_state.get("submission")
    if kept is None or kept[0] != file_id:
        with st.spinner("Recomputing every score from its samples …"):
            kept = (file_id, check(archive, open_registry(_tasks_dirs())))
        st.session_state["submission"] = kept
    return kept[1]


def _tasks_dirs() -> list[Path]:
    """Folders of task specs that the board was started with."""
    return [Path(p) for p in os.environ.get("ASSAY_TASKS_DIRS", "").split(os.pathsep) if p]


def _results(checked: Checked) -> None:
    """What was found, in words, as rows, and the zip where it may be handed in."""
    failed, warned, passed = (checked.count(level) for level in ("fail", "warn", "pass"))
    counted = f"{passed} passed, {warned} to look at, {failed} failed"
    if failed:
        st.error(f"Not ready: {counted}. Each row says what to do.", icon=":material/cancel:")
    elif warned:
        st.warning(
            f"Can be handed in: {counted}. A reviewer will ask about the rows marked ▲.", icon=":material/warning:"
        )
    else:
        st.success(f"Ready: {counted}.", icon=":material/check_circle:")
    rows = table(checked)
    wide = st.column_config.TextColumn(width="large")
    shell.grid(
        rows,
        hide_index=True,
        column_config={"what": wide, "remedy": wide},
        alt="What was found, the worst first; the plain table below has the same rows.",
    )
    shell.plain_table(rows, key="findings")
    if checked.packed is not None:
        st.download_button(
            "The zip for your pull request",
            checked.packed,
            "submission.zip",
            "application/zip",
            key="packed",
            type="primary",
            on_click="ignore",
            icon=":material/download:",
        )
