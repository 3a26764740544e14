"""What the checkpoints of a series share, and where their time goes."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from assay.harness import accounting
from assay.tasks import render
from assay.tasks.datasets import Part
from assay.tasks.spec import TaskSpec
from assay.tasks.types import Document, Tokenizer

CACHED_IDS = 100_000_000
"""Token ids of rendered shards kept for the next checkpoint of a series: 400 MB."""
PARTS = ("load", "render", "model", "grading", "other")


@dataclass(slots=True)
class Clock:
    """Seconds spent in each part of a task."""

    spent: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))
    _last: float = field(default_factory=time.perf_counter)

    def lap(self, part: str) -> float:
        """Charge the time since the last lap to `part`; return it."""
        now = time.perf_counter()
        took, self._last = now - self._last, now
        self.spent[part] += took
        return took


class Rendered:
    """Requests of shards, rendered once per tokenizer and kept for the other checkpoints of a series."""

    def __init__(self, capacity: int = CACHED_IDS) -> None:
        self._capacity, self._held = capacity, 0
        self._shards: OrderedDict[tuple[str, str, int], tuple[int, list[Document]]] = OrderedDict()
        self._limits: dict[tuple[str, str, str], int] = {}

    def max_new_tokens(self, key: tuple[str, str], spec: TaskSpec, part: Part, tokenizer: Tokenizer) -> int:
        """`render.max_new_tokens`, counted once for all shards of a part."""
        if (*key, part.group) not in self._limits:
            self._limits[*key, part.group] = render.max_new_tokens(spec, part, tokenizer)
        return self._limits[*key, part.group]

    def get(self, key: tuple[str, str, int], make: Callable[[], list[Document]]) -> list[Document]:
        """The shard under this key, made when it is not held; the oldest make room."""
        if key in self._shards:
            return self._shards[key][1]
        documents = make()
        size = sum(map(accounting.ids, documents))
        self._shards[key] = (size, documents)
        self._held += size
        while self._held > self._capacity:
            self._held -= self._shards.popitem(last=False)[1][0]
        return documents
