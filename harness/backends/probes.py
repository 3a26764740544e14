"""The self-check of fast scoring: a few requests asked two ways, so that speed never changes a score silently."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from assay.harness.backends.radix import Asked

TOLERANCE = {torch.float32: 1e-4, torch.float16: 5e-2, torch.bfloat16: 2e-1}
"""Nats a token by which two ways may differ: what the dtype's rounding explains where logits are about 10."""
ROUNDED = 4
"""Roundings of the largest logit by which they may differ where logits are large."""
LENGTH = 16
"""Tokens of a probe's context, where there are requests as long."""
CACHED = 8
"""Tokens in a pack that is so small that the probes' contexts are cached prefixes."""
Answer = tuple[float, bool]


def of(asked: Sequence[Asked]) -> list[Asked]:
    """The ends of two requests, each with other continuations too.

    They share contexts and part from them, so whatever leaks between branches shows.
    """
    first = min(asked, key=lambda a: (len(a.context) < LENGTH, a.tokens))
    other = next((a for a in asked if list(a.context[-LENGTH:]) != list(first.context[-LENGTH:])), first)
    return [
        Asked(context=a.context[-LENGTH:], continuation=continuation)
        for a in (first, other)
        for continuation in (a.continuation, [*a.continuation[:-1], a.context[0]], list(a.context[-3:]))
    ]


def at_length(longest: Asked) -> list[Asked]:
    """Two that part near its end, so that the first, which stands after the second in a pack, is displaced there.

    What binds at that length shows in its score: windows that no configuration names, frequencies that depend on it.
    """
    stem, tail = _stem(longest)
    return [Asked(context=stem, continuation=[token] * (tail + 1)) for token in (1, 0)]


def filling(longest: Asked, tokens: int, vocabulary: int) -> list[Asked]:
    """Branches that stand between its beginning and its end, as many as fill a pack of so many tokens.

    So places at the pack's end are as far from positions as they ever will be.
    """
    stem, tail = _stem(longest)
    number = min(vocabulary, max(0, tokens - longest.tokens - 2 * tail) // tail) if tail > 1 else 0
    return [Asked(context=[*stem, 0, i, *[0] * (tail - 2)], continuation=[0]) for i in range(1, number)]


def _stem(longest: Asked) -> tuple[list[int], int]:
    """Its ids but for the last few, and how many those are."""
    ids = [*longest.context, *longest.continuation[:-1]]
    tail = min(CACHED, len(ids) - 1)
    return ids[: len(ids) - tail], tail


def fixed(vocabulary: int) -> list[Asked]:
    """Requests that are the same whatever is asked."""
    ids = [(7 * i * i + 3) % vocabulary for i in range(4 * LENGTH)]
    return [Asked(context=ids[:n], continuation=ids[n : n + 3]) for n in (LENGTH, 2 * LENGTH, 3 * LENGTH)]


def fault(
    ask: Callable[[Sequence[Asked]], Sequence[Answer]],
    asked: Sequence[Asked],
    wanted: Sequence[Answer],
    limit: float,
) -> str:
    """Why a way of scoring is not to be used, or "".

    Args:
        ask: asks the model that way.
        asked: requests.
        wanted: log-probability (nats) and greedy flag that a plain forward pass gives, of the first of them.
        limit: nats a token by which they may differ.
    """
    try:
        found = ask(asked)
    except torch.cuda.OutOfMemoryError:
        raise
    except Exception as error:  # a model's own code may refuse what it does not know in any way
        return f"{type(error).__name__}: {error}"[:300]
    pairs = [(f[0], w[0], len(a.continuation)) for f, w, a in zip(found, wanted, asked, strict=False)]
    off = [abs(f - w) / tokens for f, w, tokens in pairs if f == f or w == w]
    beyond = [nats for nats in off if not nats <= limit]  # NaN too
    return f"it differs from a plain forward pass by {max(beyond):.2g} nats a token" if beyond else ""


def limit(dtype: torch.dtype, largest: float) -> float:
    """Nats a token by which two ways may differ, by the weights' dtype and the largest absolute logit."""
    rounding = ROUNDED * torch.finfo(dtype).eps * largest if dtype.is_floating_point else 0.0
    return max(TOLERANCE.get(dtype, TOLERANCE[torch.bfloat16]), rounding)
