"""assay compare: its verdict follows its tests, what can't be paired is said with its reason, and no name is obeyed."""

import json
from dataclasses import replace

import numpy as np
import pytest

from assay.harness import comparing
from assay.harness.files import StoreError
from assay.harness.gating import versus
from assay.leaderboard.loads import compare, compare_runs, compare_verdict
from assay.leaderboard.text import spoken
from assay.tasks.selection import DocRange
from tests.leaderboard import pairs, scenes
from tests.leaderboard.stores import measured

RIGHT, WRONG = [1.0] * 40, [0.0] * 40
HALF = [1.0] * 20 + [0.0] * 20
FEW = [1.0] * 24 + [0.0] * 16
TRAP = "evil\x1b[2J\x1b]0;owned\x07\u202egnp\r\nVERDICT: better"
DEMO = ("demo_animals", "demo_capitals", "demo_sums", "demo_trades")


@pytest.fixture
def store(tmp_path):
    return tmp_path / "runs"


@pytest.fixture
def written(store, registry):
    """Write runs a and b by hand, each from scores by task, and compare them."""

    def write(a, b, alpha=0.05, **said):
        for name, scores, more in (("a", a, {}), ("b", b, said)):
            pairs.run(store, name, {task: pairs.rows(found) for task, found in scores.items()}, **more)
        return versus.compare(store, "a", "b", alpha, registry)

    return write


@pytest.mark.parametrize(
    ("a", "b", "state", "words"),
    [
        ({"one": HALF}, {"one": RIGHT}, "better", "b is better than a on one (one test, α = 0.05)."),
        ({"one": RIGHT}, {"one": HALF}, "worse", "b is worse than a on one (one test, α = 0.05)."),
        ({"one": HALF, "two": RIGHT}, {"one": RIGHT, "two": HALF}, "mixed", "Mixed: b is better than a on 1 and worse"),
        (
            {"one": HALF},
            {"one": HALF[::-1]},
            "not told apart",
            "Not told apart: on one nothing differs between a and b",
        ),
        ({"one": HALF}, {"one": HALF}, "identical", "Identical scores: a and b score alike on all 40 items of one."),
        ({"one": HALF}, {"one": FEW}, "not tested", "On one, fewer than 5 answers changed: too few to decide."),
        ({"one": RIGHT[:9]}, {"one": WRONG[:9]}, "not tested", "On one, fewer than 10 items: not tested."),
        ({"one": HALF}, {"two": HALF}, "not tested", "Not tested: on no task can the items of A and B be paired."),
    ],
)
def test_every_verdict_in_words(written, store, a, b, state, words):
    found = written(a, b)
    assert found.state == state
    assert words in found.sentence
    assert found.sentence in versus.text(found, store)


def test_swapping_the_runs_swaps_better_and_worse(written, store, registry):
    one = written({"one": HALF}, {"one": RIGHT})
    other = versus.compare(store, "b", "a", 0.05, registry)
    assert (one.state, other.state) == ("better", "worse")
    assert one.tasks[0].delta == -other.tasks[0].delta
    assert one.tasks[0].p == other.tasks[0].p


def test_a_stricter_level_tells_less(written, store, registry):
    gained = [1.0] * 26 + [0.0] * 14
    assert written({"one": HALF}, {"one": gained}).state == "better"
    strict = versus.compare(store, "a", "b", 0.01, registry)
    assert strict.state == "not told apart"
    assert strict.tasks[0].p == pytest.approx(2 / 2**6)


def test_p_is_holms_over_all_tasks(written):
    gained = [1.0] * 26 + [0.0] * 14
    found = written({"one": HALF, "two": HALF}, {"one": gained, "two": HALF[::-1]})
    row = next(r for r in found.tasks if r.task == "one")
    assert (row.p, row.holm) == (pytest.approx(2 / 2**6), pytest.approx(4 / 2**6))
    assert found.state == "not told apart"


def test_published_numbers_make_no_claim_and_stand_side_by_side(store, registry):
    measured(store, registry, "mine", model="corrupted:0.2")
    scenes.numbers(store, registry, "given", 0.9)
    found = versus.compare(store, "mine", "given", 0.05, registry)
    assert (found.state, found.tasks, found.composites) == ("not tested", (), ())
    assert "2 known only by a published number" in found.sentence
    assert "2 without a result on one side" in found.sentence
    why = {r.name: r for r in found.refused}
    assert why["demo_animals"].b == 0.9
    assert why["demo_animals"].reason == "no samples of B, only the published number"
    assert why["demo_trades"].reason == "only A has it"
    assert "no samples of B" in versus.text(found, store)


def test_what_was_asked_otherwise_is_not_compared_and_says_how(written):
    found = written({"one": HALF}, {"one": RIGHT}, fingerprint="another prompt", version=2)
    assert found.state == "not tested"
    assert "Tasks not compared: 1 not asked alike." in found.sentence
    assert found.refused[0].reason == "asked by versions 1 and 2 of the task"


def test_other_rows_are_not_compared_and_neither_is_their_composite(store, registry):
    measured(store, registry, "whole", model="random:1")
    measured(store, registry, "part", model="random:2", docs=DocRange(stop=8))
    found = versus.compare(store, "whole", "part", 0.05, registry)
    assert {r.reason for r in found.refused if r.kind == "different"} == {"A asked all rows, B rows 0 to 7"}
    assert "demo_centred" in {r.name for r in found.refused if r.kind == "composite"}
    assert ("rows asked", "all rows", "rows 0 to 7") in found.settings


def test_what_a_composites_difference_comes_from_adds_up(store, registry):
    measured(store, registry, "weak", model="corrupted:0.9")
    measured(store, registry, "strong", model="corrupted:0.1")
    found = versus.compare(store, "weak", "strong", 0.05, registry)
    whole = next(w for w in found.composites if w.name == "demo_centred")
    assert whole.found.delta == pytest.approx(whole.b - whole.a)
    assert sum(whole.contributions.values()) == pytest.approx(whole.found.delta)
    assert sum(whole.found.shares.values()) == pytest.approx(1)
    most = max(whole.contributions, key=whole.contributions.get)
    line = next(x for x in versus.text(found, store).splitlines() if x.startswith("demo_centred"))
    assert f"{most} {100 * whole.contributions[most]:+.1f} (" in line
    assert "of the variance" in line


@pytest.mark.parametrize(("task", "delta"), [("jeopardy", -0.25), ("mmlu", -0.1)])
def test_categories_weigh_alike_only_where_the_task_says_so(store, registry, task, delta):
    groups = ["many"] * 16 + ["few"] * 4
    values = ({}, {"value": 0.75} if task == "jeopardy" else {})
    for name, scores, said in zip("ab", ([1.0] * 20, [1.0] * 16 + [0.0, 0.0, 1.0, 1.0]), values, strict=True):
        of = {"many": (1.0, 16), "few": (sum(scores[16:]) / 4, 4)}
        pairs.run(store, name, {task: pairs.rows(scores, group=groups)}, groups=of, **said)
    found = versus.compare(store, "a", "b", 0.05, registry)
    assert [r.delta for r in found.tasks] == [pytest.approx(delta)]


def test_draws_are_averaged_with_all_their_digits(store, registry):
    """Mean scores of fifths: rounded to float32, equal changes would no longer be equal, and p another."""
    ids, draws = [str(i // 5) for i in range(200)], [i % 5 for i in range(200)]
    right = np.random.default_rng(0).integers(0, 6, (2, 40))
    a, b = ([float(draw < k) for k in side for draw in range(5)] for side in right)
    for name, scores in (("a", a), ("b", b)):
        pairs.run(store, name, {"one": pairs.rows(scores, doc_id=ids, draw=draws)})
    exact = comparing.difference(right[0] / 5, right[1] / 5)
    rough = comparing.difference(*(np.float32(side / 5) for side in right))
    found = versus.compare(store, "a", "b", 0.05, registry).tasks[0]
    assert found.p == exact.p != rough.p


def test_the_board_and_the_terminal_say_the_same(store, registry):
    measured(store, registry, "low", model="corrupted:0.6")
    measured(store, registry, "high", model="corrupted:0.3")
    told = versus.compare(store, "low", "high", 0.05, registry)
    source = scenes.source(scenes.indexed(store, registry))
    page = compare.judged(compare.load(source, "low", "high").tested, 0.05)
    assert page["task"].tolist() == [r.task for r in told.tasks]
    for column in ("delta", "low", "high", "p", "holm", "lost", "gained", "n", "state", "said"):
        shown = page[column].tolist()
        assert shown == (pytest.approx if column in ("delta", "low", "high", "p", "holm") else list)(
            [getattr(r, column) for r in told.tasks]
        )
    state, said = compare_verdict.verdict(page, 0.05, *told.names)
    assert (state, spoken(said)) == (told.state, told.sentence)
    rows = compare_runs.settings(source, "low", "high").to_records(index=False)
    assert [tuple(r) for r in rows] == list(told.settings)


def test_names_of_anybody_do_nothing_to_a_terminal(store, registry):
    for name, scores in (("a", HALF), ("b", RIGHT)):
        pairs.run(store, name, {"one": pairs.rows(scores)}, label=f"{TRAP} {name}", model=f"{TRAP} {name}")
    found = versus.compare(store, "a", "b", 0.05, registry)
    hostile = replace(
        found,
        tasks=tuple(replace(r, task=TRAP) for r in found.tasks),
        values={TRAP: (0.5, 1.0)},
        refused=(versus.Refused(name=TRAP, a=None, b=0.5, kind="one", reason=f"only B has it: {TRAP}"),),
    )
    for said in (versus.text(found, store), versus.text(hostile, store), found.sentence):
        assert all(c.isprintable() or c == "\n" for c in said)
        assert "\nVERDICT" not in said
    assert r"evil\x1b[2J" in found.sentence


def test_runs_are_named_as_show_takes_them(store, registry):
    for name, scores in (("first", HALF), ("second", RIGHT)):
        pairs.run(store, name, {"one": pairs.rows(scores)}, created=f"2025-03-0{len(name) - 4}T00:00:00Z")
    for a, b in (("fi", "latest"), (str(store / "first"), "sec")):
        assert versus.compare(store, a, b, 0.05, registry).b == "second"
    with pytest.raises(StoreError, match=r"no run in .* called 'third'"):
        versus.compare(store, "first", "third", 0.05, registry)


def test_a_run_that_was_changed_since_is_refused(written, store, registry):
    written({"one": HALF}, {"one": RIGHT})
    (store / "b" / "samples" / "one.parquet").write_bytes(b"PAR1 is not enough")
    with pytest.raises(StoreError, match="one"):
        versus.compare(store, "a", "b", 0.05, registry)


def test_the_command_prints_a_verdict_and_where_to_read_on(assay):
    for name, model in (("weak", "corrupted:0.9"), ("strong", "corrupted:0.1")):
        assay("run", "demo", "--model", model, "--name", name, check=0)
    done = assay("compare", "weak", "strong", check=0)
    assert "corrupted:0.1 is better than corrupted:0.9 on" in done.stdout
    for task in (*DEMO, "demo_centred"):
        assert task in done.stdout
    hint = next(line for line in done.stdout.splitlines() if "assay samples" in line)
    rows = assay(*hint.partition("assay ")[2].split(), check=0).stdout.splitlines()
    assert all(not json.loads(row)["correct"] for row in rows)
    told = json.loads(assay("compare", "weak", "strong", "--json", check=0).stdout)
    assert told["state"] == "better"
    assert {row["task"] for row in told["tasks"]} == set(DEMO)
    assert told["sentence"] in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("one", "two"), "no run in runs called 'one'"),
        (("one", "two", "--alpha", "0"), "Invalid value for '--alpha'"),
        (("one",), "Missing argument 'B'"),
    ],
)
def test_bad_input_is_one_line_that_says_what_would_be_right(assay, arguments, said):
    done = assay("compare", *arguments, check=2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
