"""Outputs are judged as evalplus's own checker judges them, away from the program that made them."""

import gzip
import itertools
import json
import math
import subprocess
import sys
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

from assay.tasks.code import judge
from assay.tasks.code.judge import Opaque, compare

evalplus = pytest.importorskip("evalplus.eval")

PROGRAM = """
import math, re, sys
from collections import Counter
from fractions import Fraction
import numpy as np
sys.set_int_max_str_digits(0)
class Agreeable:
    def __eq__(self, other):
        return True
    def __hash__(self):
        return 0
"""

VALUES = """
None | True | False | 0 | 1 | 2 | 10**8 | 10**8 + 1 | 10**400 | 10**400 + 1 | 2**53 | 2**53 + 1 | -1
0.0 | -0.0 | 1.0 | 1.0 + 1e-7 | 1.0 + 5e-7 | 1.0 + 1e-5 | 0.1 + 0.2 | 0.3 | 1e308 | -1e308 | 1e-300
float("nan") | math.inf | -math.inf | 1j | 1 + 0j | 1j + 1e-7 | complex("nan")
"" | "a" | "ab" | b"a" | "1.0"
[] | () | set() | frozenset() | {} | [1] | (1,) | {1} | frozenset({1}) | {1: 1} | {1: 1.0} | {1: 1.0 + 1e-7}
[1.0] | [1.0 + 1e-7] | (1.0,) | [1.0, 2.0] | [1.0, 2.0 + 1e-7] | [1.0, 2] | [1, 2] | [2, 1] | (1, 2) | [1.0, "a"]
[1.0, math.inf] | [1.0, float("nan")] | [[1.0, 2.0]] | [[1.0, 2.0 + 1e-7]] | [[1.0], [2.0]] | [(1.0,), [2.0]]
[1.0, [2.0]] | [None] | [None, 1.0] | ["a", "b"] | [[]] | [[], []] | [True] | [10**400] | [10**8] | [10**8 + 1]
({1}, [2]) | np.int64(1) | np.float64(1.0) | np.float64(1.0 + 1e-7) | np.float32(0.1) | np.bool_(True)
np.complex128(1) | np.array(1) | np.array([1]) | np.array([1.0]) | np.array([1.0 + 1e-7])
np.array([1, 2]) | np.array([1.0, 2.0 + 1e-7]) | np.array([]) | np.array([[1.0, 2.0]])
[np.array([1.0, 2.0])] | [np.array([1.0])] | [1.0, np.array([1, 2])]
[[1.0 + 1e-7, 2.0], np.array([3.0, 4.0])] | [[1.0, 2.0], [3.0, 4.0]] | {1: np.array([1, 2])} | [np.float64(1.0), 2.0]
"""
GRID = [v.strip() for line in VALUES.strip().split("\n") for v in line.split("|")]

STRETCHED = """
[1] ~ [[]] | [1.0] ~ [[]] | [1.0 + 1e-7] ~ [[]] | [None] ~ [[]] | [True] ~ [[]] | [10**400] ~ [[]] | [10**8] ~ [[]]
[10**8 + 1] ~ [[]] | [[]] ~ [1] | [[]] ~ [1.0] | [[]] ~ [1.0 + 1e-7] | [[]] ~ [True] | [[]] ~ [10**8]
[[]] ~ [10**8 + 1] | [[1.0], [2.0]] ~ [[], []] | [(1.0,), [2.0]] ~ [[], []] | [[], []] ~ [[1.0], [2.0]]
[[], []] ~ [(1.0,), [2.0]] | [1.0 + 1e-7] ~ [np.array([1.0])] | [np.array([1.0])] ~ [1.0 + 1e-7]
np.array(1) ~ np.array([1.0 + 1e-7]) | np.array([1.0 + 1e-7]) ~ np.array(1)
"""
"""Right for evalplus only: its `np.allclose` stretches one shape to the other, so that [] is close to any number."""

CANT_TRAVEL = {
    "Agreeable()": "its own __eq__ would decide",
    "Fraction(1)": "a number of another type",
    "Counter({1: 1})": "a subclass: the untrusted side must send its base, and then it's judged alike",
}
IN_SET_TASKS = {
    "iter((1, 2))": "upstream runs through it: the untrusted side must send a list for these tasks",
    "range(1, 3)": "likewise",
    "{1: 0, 2: 0}.keys()": "likewise",
}


def value(expression):
    space = {}
    exec(PROGRAM, space)  # noqa: S102 - our own text
    return eval(expression, space)  # noqa: S307


def theirs(dataset, entry_point, cases, atol):
    """What evalplus's own checker says of each (arguments, output, expected), in order."""
    outs = ", ".join(f"lambda: {out}" for _, out, _ in cases)
    code = f"{PROGRAM}\nOUTS = iter([{outs}])\ndef {entry_point}(*args):\n    return next(OUTS)()\n"
    inputs = [list(args) for args, _, _ in cases]
    expected = [value(e) for _, _, e in cases]
    limits = [0.2] * len(cases)
    _, details = evalplus.untrusted_check(dataset, code, inputs, entry_point, expected, atol, limits, fast_check=False)
    assert len(details) == len(cases), "upstream gave up half-way: its limits are too short for this machine"
    return [bool(d) for d in details]


def ours(dataset, entry_point, cases, atol):
    found = []
    for args, out, expected in cases:
        verdict = compare(dataset, entry_point, list(args), value(out), value(expected), atol)
        atol = verdict.atol
        found.append(verdict.ok)
    return found


def disagreements(dataset, entry_point, cases, atol):
    """Pairs on which the two differ; in each, upstream said right."""
    both = zip(cases, theirs(dataset, entry_point, cases, atol), ours(dataset, entry_point, cases, atol), strict=True)
    differ = {(out, expected): upstream for (_, out, expected), upstream, here in both if upstream != here}
    assert all(differ.values()), "we are never more lenient"
    return set(differ)


def pairs(outs, expected, *args):
    return [(args, out, e) for out, e in itertools.product(outs, expected)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dataset", ["humaneval", "mbpp"])
def test_every_pair_of_values_is_judged_as_by_evalplus_under_a_tolerance(dataset):
    named = {tuple(pair.strip().split(" ~ ")) for line in STRETCHED.strip().split("\n") for pair in line.split("|")}
    assert disagreements(dataset, "anything", pairs(GRID, GRID), 1e-4) == named


@pytest.mark.filterwarnings("ignore")
def test_every_pair_of_values_is_judged_as_by_evalplus_until_floats_are_expected():
    exact = [e for e in GRID if not evalplus.is_floats(value(e))]
    assert not disagreements("mbpp", "anything", pairs(GRID, exact), 0)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("first", ["1.0", "[1.0]", "(1.0,)", "[1.0, 2.0]", "np.float64(1.0)", "np.array([1.0])"])
def test_a_tolerance_that_floats_brought_stays_for_what_follows_as_in_evalplus(first):
    after = [((), out, "[[1.0, 2.0]]") for out in ("[[1.0, 2.0 + 1e-7]]", "[[1.0, 2.0 + 1e-5]]")]
    before = [((), out, e) for _, out, e in after]
    cases = [*before, ((), first, first), *after]
    assert not disagreements("humaneval", "anything", cases, 0)
    assert ours("humaneval", "anything", cases, 0) == [False, False, True, True, False]


def test_a_wrong_output_brings_the_tolerance_all_the_same():
    assert compare("humaneval", "anything", [], 5.0, 1.0, 0).atol == judge.FLOAT_ATOL
    assert compare("humaneval", "anything", [], 5, 1, 0).atol == 0


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("atol", [0, 1e-4])
@pytest.mark.parametrize(
    ("entry_point", "expected", "args"),
    [
        ("are_equivalent", ["True", "False"], (36, 57)),
        ("sum_div", ["7", "1"], (8,)),
        ("surface_Area", ["33", "34"], (3, 4)),
        ("digit_distance_nums", ["1", "6"], (123, 256)),
        ("check_str", ["True", "False"], ("annie",)),
        ("text_match_three", ["True", "False"], ("abbb",)),
        ("text_starta_endb", ["True", "False"], ("ab",)),
    ],
)
def test_special_oracles_judge_as_in_evalplus(entry_point, expected, args, atol):
    outs = [*GRID, "7", "33", "34", "33.0", "34.4", "33 + 5e-5", "6", "6.0", "np.array([33])", 're.match("a", "a")']
    assert not disagreements("mbpp", entry_point, pairs(outs, expected, *args), atol)
    assert not judge.digest_decisive("mbpp", entry_point, value(expected[0]), 0)


SETS = [
    "(1, 2)",
    "[2, 1, 1]",
    "{1, 2}",
    "frozenset({1, 2})",
    "{1: 0, 2: 0}",
    "[1.0, 2]",
    "[1, 2, 3]",
    '"ab"',
    '["a", "b"]',
]
ARRAYS = ["np.array([1, 2])", "np.array([2, 1, 1])", "np.array([1, 1, 2, 2])", "np.array([[1, 2]])", "[[1], [2]]"]


@pytest.mark.filterwarnings("ignore")
def test_tasks_of_sets_judge_as_in_evalplus():
    cases = pairs([*GRID, *SETS, *ARRAYS], ["(1, 2)", "[1, 2]", "()", '["a", "b"]', "[1]", "{1, 2}", "[1.0]"])
    for entry_point in ("similar_elements", "Diff"):
        assert not disagreements("mbpp", entry_point, cases, 0)
    assert not disagreements("humaneval", "Diff", cases[:100], 0)


@pytest.mark.filterwarnings("ignore")
def test_what_cannot_travel_is_the_only_other_difference_from_evalplus():
    assert disagreements("mbpp", "anything", pairs(CANT_TRAVEL, ["1"]), 0) == {
        ("Agreeable()", "1"),
        ("Fraction(1)", "1"),
    }
    assert disagreements("mbpp", "anything", pairs(CANT_TRAVEL, ["{1: 1}"]), 0) == {
        ("Agreeable()", "{1: 1}"),
        ("Counter({1: 1})", "{1: 1}"),
    }
    cases = pairs(IN_SET_TASKS, ["[1, 2]"])
    assert disagreements("mbpp", "Diff", cases, 0) == {(out, "[1, 2]") for out in IN_SET_TASKS}
    assert ours("mbpp", "Diff", [((), f"list({out})", e) for _, out, e in cases], 0) == [True, True, True]


def upstream_details(out, coefficients):
    code = f"{PROGRAM}\ndef find_zero(xs):\n    return {out}\n"
    _, found = evalplus.untrusted_check("humaneval", code, [[coefficients]], "find_zero", [None], 1e-4, [0.2])
    return list(found)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "out", ["-0.5", "-0.50004", "-0.50006", "1", '"a"', "None", "1j", "math.nan", "10**400", "[-0.5]"]
)
def test_a_zero_that_evalplus_does_not_fail_is_right_though_evalplus_forgets_to_say_so(out):
    """Released evalplus 0.3.1 fails all solutions of HumanEval/32: a right one leaves no mark, marks are counted."""
    verdict = compare("humaneval", "find_zero", [[1, 2]], value(out), None, 1e-4)
    assert upstream_details(out, [1, 2]) == ([] if verdict.ok else [0])


def rows(mirror, name):
    with gzip.open(mirror / name, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def test_the_reference_solution_of_humaneval_32_is_right(mirror):
    row = next(
        r for r in rows(mirror, "humaneval_plus/HumanEvalPlus-v0.1.10.jsonl.gz") if r["task_id"] == "HumanEval/32"
    )
    space = {}
    exec(row["prompt"] + row["canonical_solution"], space)  # noqa: S102 - the benchmark's own
    for args in row["base_input"] + row["plus_input"]:
        assert compare("humaneval", "find_zero", args, space["find_zero"](*args), None, row["atol"]).ok


@pytest.mark.filterwarnings("ignore")
def test_where_a_digest_decides_equality_is_the_verdict():
    decisive = [e for e in GRID if judge.digest_decisive("humaneval", "anything", value(e), 0)]
    assert len(decisive) > 30
    for out, expected in itertools.product(GRID, decisive):
        found = compare("humaneval", "anything", [], value(out), value(expected), 0)
        try:
            equal = bool(value(out) == value(expected))
        except (ValueError, OverflowError):
            equal = False
        assert found.ok == equal, (out, expected)


@pytest.mark.parametrize(
    "expected",
    [1.0, [1.0], (1.0, 2.0), math.nan, [[math.nan]], {1: math.nan}, complex("nan"), np.int64(1), [np.ones(2)]],
)
def test_floats_nan_and_numpy_are_compared_never_digested(expected):
    assert not judge.digest_decisive("humaneval", "anything", expected, 0)


@pytest.mark.parametrize("expected", [Opaque("Match"), [Opaque()], {1: Opaque()}, Counter("aa"), Fraction(1, 2)])
def test_what_cannot_travel_is_never_digested(expected):
    assert not judge.digest_decisive("humaneval", "anything", expected, 0)


def test_no_digest_decides_after_the_first_floats_or_under_a_tolerance():
    expected = [1, [[1.0]], 1.0, 1, "a"]
    assert judge.decisive_flags("humaneval", "anything", expected, 0) == [True, True, False, False, False]
    assert judge.decisive_flags("humaneval", "anything", expected, 1e-4) == [False] * 5
    assert judge.decisive_flags("humaneval", "sum_div", [1, 2], 0) == [True, True]
    assert judge.decisive_flags("mbpp", "sum_div", [1, 2], 0) == [False, False]
    assert judge.decisive_flags("mbpp", "Diff", [[1]], 0) == [False]


def test_an_opaque_value_equals_nothing_and_is_not_none():
    assert Opaque("a") != Opaque("a")
    assert not compare("mbpp", "anything", [], [Opaque()], [Opaque()], 0).ok
    assert compare("mbpp", "check_str", ["a"], Opaque("Match"), True, 0).ok
    assert not compare("mbpp", "check_str", ["a"], Opaque("Match"), False, 0).ok


def test_hostile_values_are_wrong_not_fatal():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    wide = np.lib.stride_tricks.as_strided(np.zeros(1), shape=(10**6, 10**6), strides=(0, 0))
    for out in (deep, wide, [wide], np.array(["a"]), np.array([{}], dtype=object), 10**100_000, "a" * 10**7):
        for expected in ([1.0, 2.0], 1, [[1.0]], [0.0]):
            for atol in (0, 1e-4):
                found = compare("humaneval", "anything", [], out, expected, atol)
                assert not found.ok
                assert 0 < len(found.note) <= judge.NOTE_CHARACTERS


def test_notes_are_short_for_any_value():
    monsters = [10**100_000, "\0" * 10**6, [[["a" * 99] * 99] * 99] * 99, dict.fromkeys(range(10**5), "x" * 99)]
    for monster in [*monsters, b"\0" * 10**6, set(range(10**5)), np.zeros(10**6), Opaque("a" * 10**6)]:
        assert 0 < len(judge.brief(monster)) <= 150
    assert judge.brief([1, (2.5, "a"), {"k": None}, 4]) == "[1, (2.5, 'a'), {'k': None}, ... (4 long)]"
    assert judge.brief(10**100) == f"<int of {(10**100).bit_length()} bits>"


def test_limits_grow_with_the_reference_and_a_task_has_a_minute():
    assert judge.call_limits([0.0, 1.0, 2.5]) == [4.0, 4.0, 10.0]
    assert judge.task_limit([4.0, 4.0]) == 9.0
    assert judge.task_limit([4.0] * 100) == 61.0


def test_importing_the_judge_costs_nothing_of_evalplus():
    said = (
        "import sys, assay.tasks.code.judge, assay.tasks.code.bigcodebench_tasks as b; print('evalplus' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", said], text=True).strip() == "False"
