"""What benchmarks/scoring.py asks: the requests of real tasks, and made-up ones of chosen lengths."""

from __future__ import annotations

import itertools
import random
from collections.abc import Collection, Sequence
from typing import TypeAlias

from assay.harness.backends.tokenizer import HFTokenizer
from assay.tasks import datasets, render
from assay.tasks.registry import Registry
from assay.tasks.selection import DocRange
from assay.tasks.types import LogLikelihood

Pair: TypeAlias = tuple[list[int], list[int]]
"""Ids of a context and of its continuation."""
Doc: TypeAlias = list[Pair]
"""One question: a pair for each choice."""

SEED = 7


def of_task(registry: Registry, name: str, tokenizer: HFTokenizer, docs: int, only: Collection[str] = ()) -> list[Doc]:
    """The first documents of a task over all its categories in their order, or of those categories alone.

    Raises:
        NoData: the task's file is not on this machine.
    """
    spec = registry.tasks[name]
    found: list[Doc] = []
    rows = [r for r in datasets.load(spec).rows if not only or datasets.category(spec, r) in only]
    for part in datasets.parts(spec, rows):
        prompts = list(render.prompts(spec, part, DocRange(0, docs - len(found)), tokenizer))
        for document in render.tokenise(spec, prompts, tokenizer, 0):
            asked = [r for r in document.requests if isinstance(r, LogLikelihood)]
            found += [[(list(r.context_ids), list(r.continuation_ids)) for r in asked]]
        if len(found) >= docs:
            break
    return found


def made_up(
    vocabulary: int, *, docs: int, choices: int, header: int, question: int, answer: int, shared: bool
) -> list[Doc]:
    """Seeded random ids: a header of few-shot examples, one for all documents or one each, a question, and choices."""
    rng = random.Random(SEED)  # noqa: S311 - made-up tokens

    def ids(n: int) -> list[int]:
        return rng.choices(range(2, vocabulary), k=n)

    first = ids(header)
    return [
        [(head + asked, ids(answer)) for _ in range(choices)]
        for head, asked in ((first if shared else ids(header), ids(question)) for _ in range(docs))
    ]


def flat(docs: Sequence[Doc]) -> list[Pair]:
    """All requests, in order."""
    return list(itertools.chain.from_iterable(docs))


def forwarded(pairs: Sequence[Pair]) -> list[list[int]]:
    """What a model must read for each request: all ids but the last, which is only predicted."""
    return [(context + answer)[:-1] for context, answer in pairs]


def unique(pairs: Sequence[Pair]) -> tuple[int, int]:
    """Nodes of the requests' radix tree in tokens, the least that a causal model must read, and the sum of depths."""
    total = depths = 0
    before: list[int] = []
    for ids in sorted(forwarded(pairs)):
        common = sum(1 for _ in itertools.takewhile(lambda both: both[0] == both[1], zip(before, ids)))
        total += len(ids) - common
        depths += (len(ids) * (len(ids) + 1) - common * (common + 1)) // 2
        before = ids
    return total, depths
