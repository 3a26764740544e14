"""What two runs are, beside their numbers: settings in which they differ, and how much the same weights differ."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import pandas as pd
import sqlalchemy as sa

from assay.harness import index_tables as t
from assay.harness import pairwise
from assay.leaderboard import queries
from assay.leaderboard.loads import compare
from assay.leaderboard.queries import Source
from assay.tasks.types import UserError

MOST = 10
"""Newest runs of the same weights among which the one is sought that was asked most of the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """The same weights measured twice.

    Attributes:
        items, flips: answered by both, and scored otherwise, over `tasks` tasks.
    """

    run: str
    twin: str
    tasks: int
    items: int
    flips: int

    @property
    def rate(self) -> float:
        """Share of answers that changed though the model did not."""
        return self.flips / self.items


def neighbours(runs: pd.DataFrame) -> tuple[str, str]:
    """What to compare when nobody says: the newest run, after the one before it, of its own series where there is one.

    Args:
        runs: `queries.runs` by run_id, at least one, newest last.
    """
    newest = runs.iloc[-1]
    before = runs.iloc[:-1]
    own = before[before["series"] == newest["series"]]
    found = own if len(own) else before if len(before) else runs
    return str(found.index[-1]), str(runs.index[-1])


def settings(source: Source, a: str, b: str) -> pd.DataFrame:
    """What differs between two runs: setting, A and B as text; nothing that is the same."""
    found = pairwise.settings(queries.run(source, a), queries.run(source, b))
    return pd.DataFrame(found, columns=["setting", "A", "B"])


def same_weights(source: Source, a: str, b: str) -> bool:
    """Whether two runs measured one and the same model, by its hash."""
    weights = [queries.run(source, run).get("identity", {}).get("model") for run in (a, b)]
    return bool(weights[0]) and weights[0] == weights[1]


def floor(source: Source, a: str, b: str, tasks: Collection[str]) -> Floor | None:
    """How much the weights of A, or of B, differ from themselves on these tasks; None without a twin."""
    for run in (a, b):
        for twin in _twins(source, run, tasks):
            try:
                found = compare.load(source, run, twin).tested
            except UserError:  # its samples are gone or damaged, which is no fault of the runs that are compared
                continue
            found = found[found["task"].isin(tasks)]
            if len(found):
                flips = int((found["lost"] + found["gained"]).sum())
                return Floor(run=run, twin=twin, tasks=len(found), items=int(found["n"].sum()), flips=flips)
    return None


def _twins(source: Source, run: str, tasks: Collection[str]) -> list[str]:
    """Other runs of the same weights, the one that was asked most of these tasks alike first."""
    weights = queries.run(source, run).get("identity", {}).get("model")
    if not weights:
        return []
    same = sa.select(t.runs.c.run_id).where(t.runs.c.identity["model"].as_string() == weights, t.runs.c.run_id != run)
    newest = source.frame(same.order_by(t.runs.c.created.desc()).limit(MOST))["run_id"].tolist()
    found = queries.results(source, run_ids=[run, *newest], tasks=tasks)
    found = found[found["sampled"] & (found["fingerprint"] != "")]
    own = found[found["run_id"] == run][["task", "fingerprint"]]
    alike = found[found["run_id"] != run].merge(own, on=["task", "fingerprint"])["run_id"].value_counts()
    return [str(twin) for twin in alike.index]
