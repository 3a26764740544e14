"""What a comparison of two runs comes to, in a sentence or two."""

from __future__ import annotations

import pandas as pd

from assay.harness import comparing
from assay.leaderboard.text import plain

UNDECIDED = {
    "too few items": f"fewer than {comparing.FEW_ITEMS} items: not tested",
    "one cluster": "all items are of one cluster: not tested",
    "too few flips to decide": f"fewer than {comparing.FEW_FLIPS} answers changed: too few to decide",
    "too few clusters": f"answers changed in fewer than {comparing.FEW_FLIPS} clusters: too few to decide",
}
"""Why no test decides, by `Difference.note`; the last is the third where clusters are tested."""


def verdict(found: pd.DataFrame, alpha: float, a: str, b: str) -> tuple[str, str]:
    """What the comparison says: a state, and Markdown that is safe to show.

    Args:
        found: from `judged`, not empty.
        alpha: level of the family.
        a: how the baseline is called.
        b: how the candidate is called.

    Returns:
        `identical`, `better`, `worse`, `mixed`, `not told apart` or `not tested`; and the words.
    """
    a, b = plain(a), plain(b)
    tests = int(found["p"].notna().sum())
    many = f"{len(found)} tasks" if len(found) > 1 else plain(found["task"].iloc[0])
    if not (found["lost"] + found["gained"]).any():
        items = int(found["n"].sum())
        return "identical", f"**Identical scores**: {a} and {b} score alike on all {items:,} items of {many}."
    better, worse = (int((found["state"] == s).sum()) for s in ("better", "worse"))
    decided = int((~found["note"].isin(UNDECIDED)).sum())
    on = many if decided == len(found) else f"{decided} of {many}"
    of = many if len(found) == 1 else f"{better + worse} of {many}"
    state = "mixed" if better and worse else "better" if better else "worse" if worse else _open(found)
    heads = {
        "mixed": f"**Mixed**: {b} is better than {a} on {better} and worse on {worse} of {many}",
        "not told apart": f"**Not told apart**: on {on} nothing differs between {a} and {b} beyond chance",
        "not tested": f"**Not tested**: whether {a} and {b} differ on {many} can't be told",
    }
    how = f"Holm's correction over {tests} tests" if tests > 1 else "one test"
    level = "" if state == "not tested" else f" ({how}, α = {alpha:g})"
    most = found.loc[found["delta"].abs().idxmax()]
    what = "The difference" if len(found) == 1 else f"The largest difference, on {plain(most['task'])},"
    said = [
        f"{heads.get(state, f'**{b} is {state} than {a}** on {of}')}{level}.",
        f"{what} is {100 * most['delta']:+.1f} points, 95 % [{100 * most['low']:+.1f}, {100 * most['high']:+.1f}]: "
        f"{most['lost']:,} lost and {most['gained']:,} gained of {most['n']:,} items.",
    ]
    return state, " ".join([*said, *_undecided(found)])


def _open(found: pd.DataFrame) -> str:
    """`not told apart`, or `not tested` where nothing that changed was put to a test that can decide."""
    changed = found[found["lost"] + found["gained"] > 0]
    return "not tested" if changed["note"].isin(UNDECIDED).all() else "not told apart"


def _undecided(found: pd.DataFrame) -> list[str]:
    """Where no test decides, and why: a sentence a reason."""
    clustered = (found["note"] == "too few flips to decide") & found["test"].str.startswith("cluster")
    notes = found["note"].mask(clustered, "too few clusters")
    of = {why: found.loc[notes == why, "task"] for why in UNDECIDED}
    return [
        f"On {plain(names.iloc[0]) if len(names) == 1 else f'{len(names)} tasks'}, {UNDECIDED[why]}."
        for why, names in of.items()
        if len(names)
    ]
