"""One greedy request, or several draws of it with a seed each."""

from __future__ import annotations

import hashlib

from assay.tasks.spec import Draws
from assay.tasks.types import Greedy, Request, Sampled


def draws(greedy: Greedy, how: Draws) -> tuple[Request, ...]:
    """The request itself at temperature 0, else `how.n` samples of it."""
    if how.temperature == 0:
        return (greedy,)
    return tuple(
        Sampled(
            key=f"{greedy.key}#{i}",
            prompt_ids=greedy.prompt_ids,
            stop=greedy.stop,
            max_tokens=greedy.max_tokens,
            dropped=greedy.dropped,
            blank=greedy.blank,
            temperature=how.temperature,
            top_p=how.top_p,
            seed=_seed(how.seed, greedy.key, i),
        )
        for i in range(how.n)
    )


def _seed(seed: int, key: str, draw: int) -> int:
    """A seed of one draw's own, so that it does not matter what is asked beside it."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{key}#{draw}".encode()).digest()[:7], "big")
