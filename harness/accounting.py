"""What a run costs: tokens in and out, seconds in the model, in the sandbox and in us; dollars for paid endpoints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from assay.harness.backends.base import Backend, Usage
from assay.harness.records import TaskResult
from assay.tasks.types import Answer, Document, Generation, Greedy, Response, UserError

MILLION = 1_000_000


class BudgetSpent(Exception):
    """The estimated cost has reached the budget. What was answered is kept; a larger budget goes on from there."""


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens."""

    tokens_in: float = 0.0
    tokens_out: float = 0.0

    def of(self, tokens_in: float, tokens_out: float) -> float:
        """Dollars for so many tokens."""
        return (tokens_in * self.tokens_in + tokens_out * self.tokens_out) / MILLION


@dataclass(slots=True)
class Budget:
    """What may be spent in one command, over all its models and tasks; what earlier tries of its runs spent counts too.

    Attributes:
        limit: US dollars, None for no limit.
    """

    price: Price = field(default_factory=Price)
    limit: float | None = None
    spent: float = 0.0

    def charge(self, answers: Iterable[Answer]) -> None:
        """Count what these answers cost."""
        self.spent += sum(self.price.of(a.tokens_in, a.tokens_out) for a in answers)

    def charge_finished(self, result: TaskResult) -> None:
        """Count what a finished task cost."""
        self.spent += result.usage.get("cost_usd", 0.0)

    def demand(self) -> None:
        """Before more is asked.

        Raises:
            BudgetSpent: nothing is left.
        """
        if self.limit is not None and self.spent >= self.limit:
            raise BudgetSpent(
                f"the budget of ${self.limit:g} is spent (estimated ${self.spent:.4f}). Every answer is kept: run the "
                "same command with a larger --budget to go on"
            )


def parse_price(text: str) -> Price:
    """`IN:OUT`, US dollars per million tokens.

    Raises:
        UserError: not two numbers from 0.
    """
    try:
        tokens_in, tokens_out = map(float, text.split(":"))
        if min(tokens_in, tokens_out) >= 0:
            return Price(tokens_in, tokens_out)
    except ValueError:
        pass
    raise UserError(f"--price {text}: give dollars per million tokens in and out, as 0.15:0.60")


def used(backend: Backend) -> Usage | None:
    """Tokens so far, where the backend counts them itself."""
    usage = getattr(backend, "usage", None)
    return usage if isinstance(usage, Usage) else None


@runtime_checkable
class Scoring(Protocol):
    """A backend that says how it scores log-likelihoods and what that takes: `hf:`."""

    @property
    def work(self) -> Mapping[str, int]:
        """Tokens so far, by the names they have in a task's `usage`."""
        ...

    @property
    def fallback(self) -> str:
        """How it scores, and why, where that is not its best way; or ""."""
        ...

    @property
    def writing(self) -> str:
        """The same of the texts that it writes."""
        ...


def worked(backend: Backend, before: Mapping[str, float]) -> dict[str, float]:
    """Tokens of log-likelihoods since this said `before`, or {}; what was not counted is left out."""
    now = backend.work if isinstance(backend, Scoring) else {}
    return {k: float(n - before.get(k, 0)) for k, n in now.items() if n > before.get(k, 0)}


def fallback(backend: Backend, work: Mapping[str, float], answers: Iterable[Answer]) -> str:
    """What a task's record says of how it was asked, where the model could not be asked the best way."""
    if not isinstance(backend, Scoring):
        return ""
    if work:
        return backend.fallback
    return backend.writing if any(_written(a.responses) for a in answers) else ""


def shares(
    documents: Sequence[Document], responses: Sequence[Sequence[Response]], before: Usage | None, after: Usage | None
) -> list[tuple[int, int]]:
    """Tokens in and out of each document: counted, or its equal share of what the backend counted for all."""
    if before is None or after is None:
        return [(ids(d), _written(r)) for d, r in zip(documents, responses, strict=True)]
    spent = (after.tokens_in - before.tokens_in, after.tokens_out - before.tokens_out)
    n = len(documents)
    return [(spent[0] // n + (i < spent[0] % n), spent[1] // n + (i < spent[1] % n)) for i in range(n)]


def ids(document: Document) -> int:
    """Tokens of everything that is asked of a document."""
    return sum(
        len(r.prompt_ids) if isinstance(r, Greedy) else len(r.context_ids) + len(r.continuation_ids)
        for r in document.requests
    )


def _written(responses: Sequence[Response]) -> int:
    return sum(r.tokens for r in responses if isinstance(r, Generation))


def usage(answers: Iterable[Answer], sandbox_s: float, price: Price) -> dict[str, float]:
    """A task's account for its record."""
    known = list(answers)
    tokens_in, tokens_out = sum(a.tokens_in for a in known), sum(a.tokens_out for a in known)
    found = {"tokens_in": float(tokens_in), "tokens_out": float(tokens_out), "sandbox_s": sandbox_s}
    cost = price.of(tokens_in, tokens_out)
    return found | ({"cost_usd": cost} if cost else {})
