"""How the cost of scoring grows with choices, shots and documents, for benchmarks/scoring.py: made-up requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scoring_engines import Measured, compare, llama
from scoring_requests import made_up

CHOICES, SHOTS, DOCUMENTS = (1, 2, 4, 8, 16), (0, 1, 5, 10, 25), (100, 300, 1_000, 3_000, 10_000)
SHOT, QUESTION, ANSWER = 40, 40, 8
"""Ids of an example, a question and a choice; about those of arc_easy."""
ASKED_OF_LM_EVAL = 1_000
"""Documents beyond which lm-eval is not asked."""
TINY = {"vocab_size": 8_192, "hidden_size": 64, "intermediate_size": 172, "num_hidden_layers": 2}
"""The model of 10,000 documents: what is left beside the model shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What grows, and what stays."""

    title: str
    sizes: tuple[int, ...]
    docs: int = 8
    choices: int = 4
    shots: int = 10
    shared: bool = False
    tiny: bool = False


CURVES = {
    "choices": Curve(title="Choices (8 documents of 10 shots of their own)", sizes=CHOICES),
    "shots": Curve(title="Shots of each document's own (8 of 4 choices)", sizes=SHOTS),
    "shots-shared": Curve(title="Shots that all share (8 documents of 4 choices)", sizes=SHOTS, shared=True),
    "documents": Curve(
        title="Documents (4 choices, 2 shared shots, a tiny model)", sizes=DOCUMENTS, shots=2, shared=True, tiny=True
    ),
}


def keys() -> list[str]:
    """Of all rows, in order."""
    return [f"growth/{name}/{size}" for name, curve in CURVES.items() for size in curve.sizes]


def measure(key: str, model: Any, tokenizer: Any) -> Measured:
    """One size of one curve, one round; lm-eval with its best batch size."""
    _, name, size = key.split("/")
    curve, n = CURVES[name], int(size)
    grown = {"choices": {"choices": n}, "documents": {"docs": n}}.get(name, {"shots": n})
    of = {"docs": curve.docs, "choices": curve.choices, "shots": curve.shots} | grown
    model = llama(TINY, model.dtype).to(model.device) if curve.tiny else model
    docs = made_up(
        min(len(tokenizer), model.config.vocab_size),
        docs=of["docs"],
        choices=of["choices"],
        header=of["shots"] * SHOT,
        question=QUESTION,
        answer=ANSWER,
        shared=curve.shared,
    )
    return compare(key, model, tokenizer, docs, rounds=1, first=None if len(docs) <= ASKED_OF_LM_EVAL else 0)
