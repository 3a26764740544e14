"""How a repository gets a gate, and the baselines that it judges by."""

from __future__ import annotations

import os
from pathlib import Path

import streamlit as st

from assay.leaderboard import shell
from assay.leaderboard.loads.gate_baselines import history_of, used
from assay.leaderboard.loads.gates import Past

COMMANDS = """\
assay run quick --model hf:checkpoints/step-001000 --store runs
assay baseline promote latest --as main --reason "the checkpoint we ship" --store runs
assay gate init --suite quick --store runs      # writes gate.yaml
assay gate plan --store runs                    # how small a drop each task can show
git add gate.yaml baselines
git commit -m "Gate checkpoints against main"
"""
WORKFLOW = """\
# .github/workflows/gate.yml: measure the newest checkpoint, judge it, keep the runs and the report.
name: gate
on:
  pull_request:
    paths: ["checkpoints/**", "training/**", "gate.yaml", "baselines/**"]
permissions:
  contents: read
jobs:
  gate:
    # a fork's code must never run on your own machine
    if: github.event.pull_request.head.repo.full_name == github.repository
    runs-on: [self-hosted, gpu]
    timeout-minutes: 120
    steps:
      - uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2
        with: {fetch-depth: 0, persist-credentials: false}
      - run: python3 -m pip install "$ASSAY" # a variable of yours: git+https://HOST/OWNER/assay@COMMIT, or a wheel
        env: {ASSAY: "${{ vars.ASSAY }}"}
      - run: assay run quick --model hf:checkpoints/latest --store runs --device cuda --dtype bfloat16
      - run: assay gate check latest --store runs --format github --out gate
      - if: always()
        uses: actions/upload-artifact@ea165f8d65b6e75b540449e92b4886f43607fa02 # v4.6.2
        with:
          name: gate
          path: |
            gate
            runs
"""
"""The same as docs/examples/github-commands.yml; every command in it exists."""


def nothing() -> None:
    """The empty page: how to add a gate."""
    st.info("No gate has spoken in this store yet.", icon=":material/gate:")
    st.subheader("Add one")
    st.write(
        "A gate compares a run with a baseline, item by item, and ends with code 3 where it is worse. Its verdicts lie "
        "in the store, and this page shows each as soon as it is there. Once, by hand:"
    )
    st.code(COMMANDS, language="bash", wrap_lines=True)
    st.write("Then, on every pull request:")
    st.code(WORKFLOW, language="yaml")
    st.caption("The icon in the block's corner copies it.")


def folder() -> Path:
    """Where the baselines lie: `$ASSAY_BASELINES`, else beside the store."""
    return Path(os.environ.get("ASSAY_BASELINES") or shell.store().resolve().parent / "baselines")


def baselines(of: Past) -> None:
    """What checkpoints were judged by, since when and why."""
    found = history_of(shell.load(used, of), folder())
    if found.empty:
        return
    st.subheader("Baselines", anchor="baselines")
    st.write("What checkpoints are judged by, newest first. Older reasons are in the history of baselines/ in git.")
    looks = {"reason": st.column_config.TextColumn("reason", width="large")}
    shell.grid(
        found, hide_index=True, column_config=looks, key="baselines", alt="Baselines, with who promoted them and why."
    )
    shell.plain_table(found, key="baselines")
