"""Which rows of a task are asked: a range, or a sample that is the same for every model."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

SEED = "assay limit 1"
"""Changing it changes which rows every limited run asks."""


@dataclass(frozen=True, slots=True)
class DocRange:
    """Rows start to stop-1, counted within each category; of these `limit` drawn at random, the same in every run.

    A smaller limit's rows are among a larger one's. A file that is ordered by difficulty, source or answer is
    sampled fairly, which its first rows are not.
    """

    start: int = 0
    stop: int | None = None
    limit: int | None = None

    @property
    def key(self) -> tuple[int | None, ...]:
        """What tells it from others."""
        return (self.start, self.stop) if self.limit is None else (self.start, self.stop, self.limit)

    def rows(self, total: int, group: str = "") -> Sequence[int]:
        """The rows of a part of `total` rows, ascending."""
        found = range(min(self.start, total), total if self.stop is None else min(self.stop, total))
        if self.limit is None or self.limit >= len(found):
            return found
        shuffled = list(found)
        random.Random(f"{SEED}/{group}").shuffle(shuffled)  # noqa: S311 - a sample that all runs share
        return sorted(shuffled[: self.limit])
