"""Gates: not built yet. What one will show, and what a workflow can do until then."""

from __future__ import annotations

import streamlit as st

from assay.leaderboard import shell

WORKFLOW = """\
name: measure
on:
  pull_request:
    paths: ["checkpoints/**", "training/**"]
permissions:
  contents: read
jobs:
  measure:
    # a fork's code must never run on your own machine
    if: github.event.pull_request.head.repo.full_name == github.repository
    runs-on: [self-hosted, gpu]
    timeout-minutes: 120
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with: {python-version: "3.12"}
      - run: pip install 'assay-evals[hf]'
      - name: Measure
        run: |
          set -o pipefail
          assay run quick --model 'hf:checkpoints/step-*' --store runs --device cuda --dtype bfloat16
          assay show latest --store runs | tee table.txt
          { echo '```'; cat table.txt; echo '```'; } >> "$GITHUB_STEP_SUMMARY"
      - if: always()
        uses: actions/upload-artifact@v4
        with: {name: runs, path: runs}
"""
"""For the repository of a training run. Every command in it exists; none of them judges."""
WILL_SHOW = """\
| | |
|---|---|
| verdicts over time | which checkpoint was let through, which was not, against which baseline |
| a row a task | difference, 95 % interval, adjusted p, least difference that could have been seen, flipped items |
| states | regressed, held, no change seen, inconclusive, improved, not comparable: a shape and a word each |
| expected false blocks | how many a history of this length would have without any true change |
| waivers | who waived what, why, and for how many days more |
| baselines | which run, since when, and the reason that was given |
"""


def view() -> None:
    """The page."""
    shell.heading("Gates", "Will this change make the model worse? Not answered here yet.")
    st.info(
        "The regression gate is not built yet: no command of assay compares a run with a baseline and fails a build. "
        "So there is no verdict to show.",
        icon=":material/construction:",
    )
    st.subheader("What a gate will show")
    st.write(WILL_SHOW)
    st.subheader("Until then")
    st.write(
        "This workflow measures the checkpoints of a pull request, puts the table into its summary and keeps the runs. "
        "It fails where something could not be measured (`assay run` ends with code 5) or must be mended (code 2), and "
        "never because a score fell. To judge a difference, open the runs with `assay board --store runs` and compare."
    )
    st.code(WORKFLOW, language="yaml")
    st.caption("Save it as .github/workflows/measure.yaml; the icon in the block's corner copies it.")
