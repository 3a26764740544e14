"""What a comparison of two runs comes to, in a sentence or two."""

from __future__ import annotations

import pandas as pd

from assay.harness import pairwise
from assay.leaderboard.loads import compare
from assay.leaderboard.text import plain


def verdict(found: pd.DataFrame, alpha: float, a: str, b: str) -> tuple[str, str]:
    """What the comparison says: `pairwise.Verdict.state`, and Markdown that is safe to show.

    Args:
        found: from `judged`, not empty.
        alpha: level of the family.
        a: how the baseline is called.
        b: how the candidate is called.
    """
    said = pairwise.verdict(compare.rows_of(found, alpha), plain(a), plain(b), plain)
    return said.state, f"**{said.head}**{said.rest}"
