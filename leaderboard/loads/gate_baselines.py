"""What checkpoints were judged by: baselines as they are promoted now, and those that verdicts speak of."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from assay.harness.files import unseal
from assay.harness.gating import baselines
from assay.harness.gating.baseline_files import RECORD
from assay.leaderboard.loads.gates import Past, load

COLUMNS = ("baseline", "run", "verdicts", "blocked", "first used", "last used", "promoted", "by", "reason")
SPOKEN = "baseline "
"""How a gate begins the name of a promoted one."""
COMMIT = r" at [0-9a-f]{12}$"
"""How it ends that of one as it was at a merge base."""


def promoted(folder: Path) -> pd.DataFrame:
    """The baselines of a folder: baseline, run, promoted, by, reason; empty where there is no folder."""
    rows = [_row(folder, name) for name in baselines.names(folder)]
    return pd.DataFrame(rows, columns=["baseline", "run", "promoted", "by", "reason"])


def _row(folder: Path, name: str) -> tuple[str, ...]:
    try:
        said = unseal(folder / name / RECORD)
    except Exception as error:  # whatever the file holds; the others are still shown
        return name, "", "", "", f"can't be read: {error}"
    return (name, *(str(said.get(k, "")) for k in ("run_id", "when", "by", "reason")))


def used(of: Past) -> pd.DataFrame:
    """Promoted baselines that verdicts were given by: a row each and run, how often, how often it blocked, and when."""
    table = load(of).table
    named = table[table["baseline"].astype("str").str.startswith(SPOKEN)]
    spoken = named["baseline"].astype("str").str.removeprefix(SPOKEN).str.replace(COMMIT, "", regex=True)
    named = named.assign(blocked=named["verdict"] == "regressed", name=spoken)
    by = named.groupby(["name", "baseline_run"], sort=False)
    found = by.agg(
        verdicts=("key", "size"), blocked=("blocked", "sum"), first=("created", "min"), last=("created", "max")
    )
    names = {"name": "baseline", "baseline_run": "run", "first": "first used", "last": "last used"}
    return found.reset_index().rename(columns=names)


def history_of(judged: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Every baseline that is promoted or was used, newest first; its reason where it is still promoted.

    Args:
        judged: of `used`.
        folder: of the baselines.
    """
    found = judged.merge(promoted(folder), on=["baseline", "run"], how="outer")
    found[["verdicts", "blocked"]] = found[["verdicts", "blocked"]].fillna(0).astype(int)
    found = found.fillna("")[list(COLUMNS)]
    newest = found[["promoted", "last used"]].max(axis=1)
    return (
        found.assign(newest=newest)
        .sort_values(["newest", "baseline"], ascending=[False, True])
        .drop(columns="newest")
        .reset_index(drop=True)
    )
