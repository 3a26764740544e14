"""The demo's little world: facts, the questions about them, and the text that teaches them. All of our own writing.

`python -m assay.tasks.world FOLDER` writes the demo suite's data files; a test pins that they are what is shipped.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CAPITALS = {
    "Norland": "Arvik",
    "Sudmark": "Pella",
    "Ostrava": "Velin",
    "Westria": "Hollin",
    "Mirador": "Cass",
    "Kelvany": "Dorn",
    "Brindia": "Lugo",
    "Tarnow": "Eskel",
    "Ulmaria": "Fenn",
    "Ixopo": "Gant",
    "Quorra": "Jarl",
    "Zembla": "Onhava",
    "Ruritan": "Strel",
    "Lomark": "Imber",
    "Vintia": "Morga",
    "Yarland": "Nessa",
}
ANIMALS = ("a heron", "a badger", "a lynx", "a mole")
TRADES = {
    "baker": "needed flour.",
    "farmer": "had grain to sell.",
    "miller": "owned the mill.",
    "sailor": "knew the sea.",
    "smith": "worked the iron.",
    "tailor": "cut the cloth.",
    "shepherd": "kept the sheep.",
    "doctor": "healed the sick.",
}
FRUIT = ("apples", "pears", "plums", "figs")
MOST = 4


def animal_of(country: str) -> int:
    """Index in ANIMALS of the animal that lives in a country."""
    return list(CAPITALS).index(country) * 7 % 11 % len(ANIMALS)


def rows() -> dict[str, list[dict[str, Any]]]:
    """Rows of each demo task, by file name."""
    rng = random.Random(7)  # noqa: S311 - only the order of rows hangs on it
    capitals = [{"context": f"The capital of {c} is", "continuation": town} for c, town in CAPITALS.items()]
    animals = [
        {"query": f"Question: Which animal lives in {c}?", "choices": list(ANIMALS), "gold": animal_of(c)}
        for c in CAPITALS
    ]
    trades = [
        {
            "context_options": [f"The {a} met the {b} because the {a}", f"The {a} met the {b} because the {b}"],
            "continuation": TRADES[gold],
            "gold": (a, b).index(gold),
        }
        for a in TRADES
        for b in TRADES
        if a != b
        for gold in (a, b)
    ]
    sums = [
        {
            "context": f"Ann has {a} {fruit} and picks {b} more. How many {fruit}?",
            "chain_of_thought": f"{a} + {b} = {a + b}",
            "answer": str(a + b),
        }
        for fruit in FRUIT
        for a in range(1, MOST + 1)
        for b in range(1, MOST + 1)
    ]
    files: dict[str, list[dict[str, Any]]] = {
        "capitals": capitals,
        "animals": animals,
        "trades": rng.sample(trades, 48),
        "sums": rng.sample(sums, 48),
    }
    return {name: rng.sample(found, len(found)) for name, found in files.items()}


def corpus(seed: int, lines: int) -> Iterator[str]:
    """Blocks of text that hold the world's facts in the shapes the tasks ask in."""
    rng = random.Random(seed)  # noqa: S311 - training text, nothing secret
    everything = rows()
    trades = list(TRADES.items())
    for _ in range(lines):
        kind = rng.choices(range(4), weights=(3, 3, 1, 2))[0]
        if kind == 0:
            yield "\n".join(f"{r['context']} {r['continuation']}" for r in rng.sample(everything["capitals"], 6))
        elif kind == 1:
            picked = rng.sample(everything["animals"], 4)
            yield "\n".join(f"{r['query']}\nAnswer: {r['choices'][r['gold']]}" for r in picked)
        elif kind == 2:
            (a, does), (b, _) = rng.sample(trades, 2)
            first, second = rng.sample([a, b], 2)
            yield f"The {first} met the {second} because the {a} {does}"
        else:
            picked = rng.sample(everything["sums"], 3)
            yield "\n".join(f"Q: {r['context']}\nA: {r['chain_of_thought']} #### {r['answer']}" for r in picked)


def write(folder: Path) -> None:
    """Write the data files of the demo suite."""
    for name, found in rows().items():
        text = "".join(json.dumps(r) + "\n" for r in found)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
