"""What the numbers mean, how they are made, under which licences, and where they end."""

from __future__ import annotations

import streamlit as st

from assay.leaderboard import shell
from assay.leaderboard.loads.about import (
    DISPUTED,
    changed_baselines,
    counts,
    disputed,
    evidence,
    licences,
    versions,
)
from assay.leaderboard.queries import Source
from assay.leaderboard.text import plain_frame

PUBLISHED, RECOMPUTED, CORE_V1 = 57.0, 44.0, 57.0
"""Percent: EXTENDED v2 of the disputed model in DCLM's README; from DCLM's JSON of it; CORE v1 from the same JSON."""
METHODS: tuple[tuple[str, str, str], ...] = (
    (
        "A score",
        r"a_t = \frac{1}{n}\sum_{i=1}^{n} s_i, \qquad s_i \in [0, 1]",
        """The mean over the items of a task, or over its categories where the task's owners weigh them alike. Its 95 %
        interval is Wilson's where each item is right or wrong, Student's t where scores are fractions, cluster-robust
        where items share a passage. A sample that the machine lost is no item; one that timed out or gave no answer is
        wrong.""",
    ),
    (
        "A centred score",
        r"c_t = \frac{a_t - b_t}{1 - b_t}",
        """0 is guessing (b), 1 is perfect, and below guessing is negative: nothing is clipped. Each baseline has a
        version and a reason; both are on the task's page.""",
    ),
    (
        "CORE, EXTENDED and other composites",
        r"C = \frac{1}{T}\sum_{t=1}^{T} c_t, \qquad \mathrm{SE}(C) = \frac{1}{T}\sqrt{\sum_t \mathrm{SE}(c_t)^2}",
        """The plain mean over an exact list of tasks. Where one is missing the composite is N/A and says which: never a
        mean over the rest. Errors of tasks that share their data are added before they are squared.""",
    ),
    (
        "Is the difference real?",
        r"\delta = \frac{\text{gained} - \text{lost}}{n}, \qquad \psi = \frac{\text{gained} + \text{lost}}{n}",
        """Two runs are compared on the same items: exact McNemar for right and wrong, sign flips for fractions and for
        whole clusters. Over the tasks of a comparison p values are adjusted by Holm, over a heatmap by Benjamini and
        Hochberg. Whether two intervals overlap is never used.""",
    ),
    (
        "What could have been seen",
        r"\mathrm{MDE} = (z_{1-\alpha} + z_{\mathrm{power}})\sqrt{\psi / n}",
        """The least difference that these items would show in four of five tries. Below it, no difference seen is no
        proof that there is none.""",
    ),
    (
        "A rank",
        r"\text{rank}_{2.5\,\%} \dots \text{rank}_{97.5\,\%}",
        """The range over 1,000 bootstrap draws that take the same items for every run. Only runs that were asked the
        same rows are ranked together. Ties with the leader don't chain: read the ranges.""",
    ),
    (
        "Noise between checkpoints",
        r"\mathrm{noise} = \sqrt{\mathrm{SE}^2 + \sigma_{\mathrm{ckpt}}^2}",
        """The standard deviation of the last checkpoints about their own trend, added to the error of the items.
        Unknown below five points, and said to be.""",
    ),
    (
        "pass@k",
        r"1 - \binom{n-c}{k} \Big/ \binom{n}{k}",
        """Of n programs of which c are right; a task's number is the mean over problems. Fewer programs than k are
        refused.""",
    ),
)
LIMITS = """\
- An interval covers the choice of items, not the wording of prompts, the choice of examples, or training seeds.
- Contamination is shown where somebody gave evidence. No mark means unknown, not clean.
- Published aggregates have no samples: their intervals come from the mean and n, and their ranks take their errors as
  independent.
- Baselines are DCLM's, oddities included, so that numbers stay comparable.
- The same weights on another machine may flip a few items: engine, precision and batch size are kept with each run.
- Training FLOPs that nobody gives are drawn as 6·N·D and called an estimate."""
ACCESS = """\
- Every chart has a sentence that says what it shows, and its numbers as a real HTML table behind a switch.
- Nothing is said by colour alone: shapes, fills and words say it too. The colour-blind can tell the colours apart.
- The keyboard reaches everything but the menus in the headings of wide tables, and the points of charts: the plain
  tables hold the same.
- Light and dark follow your system, and pages fit 390 pixels. What doesn't is a bug."""
EXPORTS = """\
assay export RUN csv --out run.csv                # a row a task, a row a composite
assay export RUN lm-eval                          # lm-eval's results and samples
assay export RUN every-eval-ever                  # the exchange format, with uncertainty
assay export RUN dclm --out run.json              # as DCLM's own scripts read it
assay export RUN citation                         # BibTeX and CITATION.cff of one run"""


def view() -> None:
    """The page."""
    shell.heading("About", "What the numbers mean, how they are made, and where they end.")
    source = shell.source()
    held = shell.load(counts, source)
    for place, (what, n) in zip(st.columns(len(held)), held.items(), strict=True):
        place.metric(what, f"{n:,}")
    st.header("Methods", anchor="methods")
    for title, formula, said in METHODS:
        with st.expander(title):
            st.latex(formula)
            st.write(" ".join(said.split()))
    _evidence(source)
    _published(source)
    _data(source)
    st.header("Take it with you, and cite it", anchor="export")
    st.write(
        "Every table downloads as CSV, JSON or Parquet, as it is filtered, and every choice is in the address: a link "
        "is a citation of the view. A run exports itself:"
    )
    st.code(EXPORTS, language="bash")
    st.header("Accessibility", anchor="accessibility")
    st.write(ACCESS)
    st.header("Known limits", anchor="limits")
    st.write(LIMITS)
    st.header("Versions", anchor="versions")
    st.table(plain_frame(shell.load(versions, source)), hide_index=True)


def _evidence(source: Source) -> None:
    st.header("Evidence", anchor="evidence")
    st.write("How far a number can be checked here. It is beside every run, and decides what may be claimed of it.")
    st.table(plain_frame(shell.load(evidence, source)), hide_index=True)


def _published(source: Source) -> None:
    """The one number that its publishers contradict."""
    st.header("A note on published numbers", anchor="published")
    here = shell.load(disputed, source)
    st.write(
        "Published scores are shown as they were published, and their composites are recomputed from them. In one "
        f"place DCLM contradicts itself: its README gives {DISPUTED} an EXTENDED v2 of {PUBLISHED}, its own JSON of "
        f"that evaluation {RECOMPUTED} ({CORE_V1} is what its CORE v1 rounds to). This board goes by the JSON"
        + (f", and shows {100 * here:.1f}." if here is not None else ".")
    )


def _data(source: Source) -> None:
    """Licences of the benchmarks, and baselines that moved."""
    st.header("Data and licences", anchor="licences")
    st.write(
        "assay is Apache-2.0. Benchmark data keeps its owners' licences. Rows of protected data (GPQA) are never "
        "shown, only their hash and length, because their authors ask for it."
    )
    rows = shell.load(licences, source)
    shell.grid(rows, hide_index=True, alt="Licences with their tasks; the plain table below has the same rows.")
    shell.plain_table(rows, key="licences")
    st.subheader("Baselines of two versions", anchor="baselines")
    st.write(
        "What guessing scores, in the versions behind CORE and EXTENDED v1 (the paper's) and v2 (DCLM's since 2025)."
    )
    moved = shell.load(changed_baselines, source)
    shell.grid(moved, hide_index=True, alt="Tasks whose baseline changed; the plain table below has the same rows.")
    shell.plain_table(moved, key="baselines")
