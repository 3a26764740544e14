"""Attacks on a judge or on its machine, and the two small problems that they claim to have solved.

The tables are `hostile_calls.ATTACKS`, `hostile_tests.ATTACKS` and `hostile_machine.ATTACKS`. Every program is text, is
run nowhere but in a cell, needs no package, and is bounded by what it does where it can be. No answer is in any of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from assay.sandbox.types import Ended

Kind: TypeAlias = Literal["calls", "tests", "machine"]

REPORTED: frozenset[Ended] = frozenset({"ok", "exception", "stopped"})
"""It left through our epilogue, and what it gave is data, or it raised. `stopped`: the first wrong answer decided."""

DIED: frozenset[Ended] = frozenset({"crash", "exception", "stopped"})
"""It left on its own terms, which is never a pass."""

HUNG: frozenset[Ended] = frozenset({"timeout"})
"""It runs for ever, unless somebody outside has a clock."""

BURST: frozenset[Ended] = frozenset({"ok", "exception", "timeout", "memory", "crash", "output_limit", "stopped"})
"""Which limit it meets first depends on the limits. All are results; a broken cell is not among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One hostile program.

    Attributes:
        name: short, with hyphens, unique within its kind.
        claim: what must hold, read like a test's name.
        code: for `calls` defines `ENTRY_POINT`, for `tests` is followed by `TESTS`, for `machine` defines `entry()`,
            which takes nothing and returns what the program managed to do: a dict from a name to a plain value.
        ended: how it may end. However it ends, it must never be judged right, and `hostile_machine.WITNESS`, run next
            on the same cell, must find nothing.
        allowed: names in the report that may be true.
    """

    name: str
    claim: str
    code: str
    kind: Kind
    ended: frozenset[Ended] = BURST
    allowed: frozenset[str] = frozenset()

    def breaches(self, report: Mapping[str, object]) -> tuple[str, ...]:
        """What the program managed to do and must not, sorted; a report that is no dict is for the caller to refuse."""
        return tuple(sorted(name for name, value in report.items() if value and name not in self.allowed))


FRAMES = """
import sys
def frames():
    frame = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back
"""
"""Lets a program walk the stack that it stands on."""

ENTRY_POINT = "median3"

INPUTS: tuple[tuple[int, int, int], ...] = (
    (1, 2, 3),
    (30, 10, 20),
    (75, 140, 90),
    (7, 7, 9),
    (-4, -5, -3),
    (500, 400, 450),
    (-(10**12), 10**12, 0),
    (200, 30, 200),
    (-200, 3, 111),
    (12345, 12344, 12346),
)
EXPECTED: tuple[int, ...] = (2, 20, 90, 7, -4, 450, 0, 200, 3, 12345)

RIGHT_CALLS = """
def median3(a, b, c):
    return sorted((a, b, c))[1]
"""
WRONG_CALLS = """
def median3(a, b, c):
    return a
"""

TESTS = """
import unittest

class TestCases(unittest.TestCase):
    def setUp(self):
        self.word = list("banana")

    def test_sorts(self):
        self.assertEqual(task_func([3, 1, 2]), [1, 2, 3])

    def test_drops_repeats(self):
        self.assertListEqual(task_func([2, 2, 1]), [1, 2])
        self.assertTrue(len(task_func([5, 5])) == 1)

    def test_takes_words(self):
        got = task_func(self.word)
        self.assertIsInstance(got, list)
        self.assertNotEqual(got, self.word)
        assert got == ["a", "b", "n"]

    def test_refuses_none(self):
        with self.assertRaises(TypeError):
            task_func(None)
"""
TEST_NAMES: tuple[str, ...] = ("test_drops_repeats", "test_refuses_none", "test_sorts", "test_takes_words")

RIGHT_TESTS = """
def task_func(x):
    return sorted(set(x))
"""
WRONG_TESTS = """
def task_func(x):
    return x
"""
