"""How few-shot examples are drawn."""

from __future__ import annotations

import random
from collections.abc import Iterator


def draw(rows: int, shots: int, seed: int) -> Iterator[tuple[int, ...]]:
    """Row numbers of the examples shown before row 0, 1, 2, ... of one file or category.

    One generator serves all rows in order, so row i's examples depend on every draw before it: take rows from the
    front or skip through them, never start in the middle. Examples come in the iteration order of a CPython set
    of ints, which is neither sorted nor the order of drawing, and which this function keeps by building the same
    set in the same way (llm-foundry 0.9.0, `get_fewshot_sample_idxs`; pinned by tests/tasks/test_fewshot.py).

    Args:
        rows: rows in the file or category, >= 1.
        shots: examples wanted; a row gets min(rows - 1, shots).
        seed: of the generator; DCLM uses 1234.

    Yields:
        One tuple a row; never contains the row itself.
    """
    rng = random.Random(seed)  # noqa: S311 - the benchmark fixes this generator; nothing secret
    wanted = min(rows - 1, shots)
    for row in range(rows):
        chosen = set(rng.sample(range(rows), wanted))
        if row in chosen:
            chosen.remove(row)
            if len(chosen) < rows - 1:
                other = rng.choice(range(rows))
                while other in chosen or other == row:
                    other = rng.choice(range(rows))
                chosen.add(other)
        yield tuple(chosen)
