"""Where statistics have no answer the gate has one: it says what is wrong, and passes nothing by accident."""

from dataclasses import replace

import numpy as np
import pytest

from tests.gate.fixtures import answers, changed, finding, judged, measured, pair, rules, snapshot, with_steady


def of(base, other, **said):
    """Two sides of one task; what is said is said of both."""
    sides = (measured(s, **said) if isinstance(s, np.ndarray) else s for s in (base, other))
    return [snapshot(name, {"gsm8k": m}) for name, m in zip(("baseline main", "candidate"), sides, strict=True)]


def test_no_items_is_no_comparison():
    nothing = of(measured([], value=0.5), measured([], value=0.5))
    assert finding(judged(rules(), *nothing)).state == "not_comparable"
    unscored = of(answers(50), measured([np.nan] * 50))
    assert finding(judged(rules(), *unscored)).state == "not_comparable"


@pytest.mark.parametrize(("lost", "state"), [(0, "no_change_seen"), (1, "inconclusive")])
def test_one_item_is_shown_and_not_tested(lost, state):
    found = finding(judged(*with_steady(rules(), *pair(lost, n=1, right=1))))
    assert (found.state, found.p, found.mde) == (state, None, None)
    assert found.low <= found.delta < found.high
    assert "fewer than 10 items" in found.reason


@pytest.mark.parametrize(
    ("right", "lost", "gained", "code"), [(164, 0, 0, 0), (164, 12, 0, 3), (0, 0, 0, 0), (0, 0, 12, 0)]
)
def test_all_right_and_all_wrong_still_gate(right, lost, gained, code):
    assert judged(rules(), *pair(lost, gained, n=164, right=right)).exit_code == code


@pytest.mark.parametrize(
    ("lost", "n", "alpha", "state"),
    [
        (5, 40, 0.05, "regressed"),
        (5, 40, 0.01, "no_change_seen"),
        (4, 40, 0.05, "inconclusive"),
        (4, 1000, 0.05, "no_change_seen"),
    ],
)
def test_five_lost_answers_are_the_fewest_that_can_decide(lost, n, alpha, state):
    found = finding(judged(rules(alpha=alpha), *pair(lost, n=n)))
    assert found.state == state
    assert ("too few to decide" in found.reason) == (lost < 5)


def test_few_lost_answers_of_a_small_category_amount_to_more_than_their_number():
    groups = ("small",) * 4 + ("large",) * 996
    base = answers(1000, right=500)
    found = finding(judged(rules(), *of(base, changed(base, 4), groups=groups)))
    assert found.delta == pytest.approx(-0.5)
    assert found.state == "inconclusive"


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize(("gone", "state"), [(9, "no_change_seen"), (11, "not_comparable")])
def test_one_item_in_a_hundred_may_be_on_one_side_alone(side, gone, state):
    whole = answers(1000)
    cut = measured(whole[gone:], ids=measured(whole).ids[gone:])
    sides = of(*((cut, measured(whole)) if side == 0 else (measured(whole), cut)))
    assert finding(judged(rules(), *sides)).state == state


@pytest.mark.parametrize(("gone", "state"), [(9, "no_change_seen"), (11, "not_comparable")])
def test_an_item_without_a_score_is_not_there(gone, state):
    scores = answers(1000)
    scores[-gone:] = np.nan
    found = finding(judged(rules(), *of(answers(1000), scores)))
    assert found.state == state
    assert found.n == (1000 - gone if state == "no_change_seen" else 0)


def test_an_item_twice_is_no_comparison():
    twice = measured(answers(50), ids=(*(f"{i:05d}" for i in range(49)), "00048"))
    for sides in ((twice, measured(answers(50))), (measured(answers(50)), twice)):
        found = finding(judged(rules(), *of(*sides)))
        assert (found.state, found.effect) == ("not_comparable", "fail")
        assert "twice" in found.reason


def test_one_cluster_is_not_tested_and_a_gate_of_it_alone_measures_nothing():
    sides = of(answers(100), changed(answers(100), 30), clusters=("one",) * 100)
    report = judged(rules(), *sides)
    assert (finding(report).state, finding(report).p, report.exit_code) == ("inconclusive", None, 5)
    assert "one cluster" in finding(report).reason


def test_items_that_share_a_passage_count_as_one():
    clusters = tuple(f"passage {i // 10}" for i in range(100))
    sides = of(answers(100, 100), changed(answers(100, 100), 30))
    assert judged(rules(), *sides).exit_code == 3
    found = finding(judged(rules(), *of(answers(100, 100), changed(answers(100, 100), 30), clusters=clusters)))
    assert found.state == "inconclusive"
    assert found.test.startswith("cluster")


def test_lower_is_better_is_no_comparison():
    found = finding(judged(rules(), *of(answers(50), answers(50), higher_is_better=False)))
    assert (found.state, found.effect) == ("not_comparable", "fail")


@pytest.mark.parametrize("status", ["no_data", "constant_scorer"])
def test_a_result_without_a_number_is_not_measured(status):
    report = judged(rules(), *of(answers(50), measured(answers(50), status=status, value=None)))
    assert report.exit_code == 5


@pytest.mark.parametrize(("lost", "state"), [(5, "no_change_seen"), (6, "infra")])
@pytest.mark.parametrize("side", [0, 1])
def test_samples_that_the_machine_lost_are_its_fault(side, lost, state):
    whole, hurt = measured(answers(1000)), measured(answers(1000), counts={"ok": 1000 - lost, "infra_error": lost})
    report = judged(rules(), *of(*((hurt, whole) if side == 0 else (whole, hurt))))
    assert (finding(report).state, report.exit_code) == (state, 5 if state == "infra" else 0)


@pytest.mark.parametrize(
    ("cut", "lost", "state"), [(60, 0, "no_change_seen"), (61, 0, "not_comparable"), (61, 60, "regressed")]
)
def test_answers_cut_off_more_often_say_nothing_good(cut, lost, state):
    base = measured(answers(1000), counts={"ok": 990, "truncated": 10})
    other = measured(changed(answers(1000), lost), counts={"ok": 1000 - cut, "truncated": cut})
    report = judged(rules(), *of(base, other))
    assert finding(report).state == state
    assert report.exit_code == {"no_change_seen": 0, "not_comparable": 5, "regressed": 3}[state]
    lenient = rules(verdicts={"inconclusive": "warn", "not_comparable": "warn", "missing": "warn"})
    assert judged(lenient, *of(base, other)).exit_code == report.exit_code


@pytest.mark.parametrize(("then", "now"), [("64 rows", "all"), (None, "all"), ("all", None)])
def test_another_setting_is_no_comparison_and_neither_is_one_that_nobody_recorded(then, now):
    base, other = (replace(s, settings={"rows": r} if r else {}) for s, r in zip(pair(), (then, now), strict=True))
    report = judged(rules(), base, other)
    assert report.exit_code == 5
    assert "rows" in finding(report).reason
    assert judged(rules(must_match=("fingerprint",)), base, other).exit_code == 0


def test_a_setting_that_only_warns_is_noted():
    base, other = (replace(s, settings={"dtype": d}) for s, d in zip(pair(), ("float32", "bfloat16"), strict=True))
    report = judged(rules(), base, other)
    assert report.exit_code == 0
    assert any("bfloat16" in note for note in report.notes)


FIELDS = ("state", "delta", "low", "high", "lower", "upper", "p", "p_adjusted", "lost", "gained", "mde")


@pytest.mark.parametrize("extra", [{}, {"clusters": tuple(f"p{i // 4}" for i in range(400))}])
@pytest.mark.parametrize("binary", [True, False])
def test_the_order_of_items_changes_nothing(extra, binary):
    rng = np.random.default_rng(7)
    base, other = (rng.integers(0, 2, 400).astype(float) if binary else rng.integers(0, 5, 400) / 4 for _ in (0, 1))
    order, ids = rng.permutation(400), measured(base).ids
    shuffled = {k: tuple(v[i] for i in order) for k, v in extra.items()}
    moved = measured(other[order], ids=tuple(ids[i] for i in order), **shuffled)
    straight = finding(judged(rules(), *of(measured(base, **extra), measured(other, **extra))))
    found = finding(judged(rules(), *of(measured(base, **extra), moved)))
    assert [getattr(found, f) for f in FIELDS] == pytest.approx([getattr(straight, f) for f in FIELDS])


@pytest.mark.parametrize(("lost", "gained"), [(40, 5), (12, 3), (0, 0), (4, 0)])
def test_swapped_sides_mirror_the_sign(lost, gained):
    there, back = (finding(judged(rules(), *sides)) for sides in (pair(lost, gained), pair(lost, gained)[::-1]))
    assert (there.lost, there.gained) == (back.gained, back.lost)
    names = (("delta", "delta"), ("low", "high"), ("lower", "upper"), ("upper", "lower"))
    assert [getattr(there, a) for a, _ in names] == pytest.approx([-getattr(back, b) for _, b in names])
    assert {"regressed": "improved"}.get(there.state, there.state) == back.state
    assert there.mde == back.mde


def test_a_number_that_is_no_mean_of_its_items_is_not_judged_by_them():
    base, other = pair()
    told = replace(other, tasks={t: replace(m, value=0.1) for t, m in other.tasks.items()})
    found = finding(judged(rules(), base, told))
    assert found.state == "not_comparable"
    assert "not the mean of its samples' scores" in found.reason
    beyond = of(answers(50) * 7, answers(50) * 7)
    assert finding(judged(rules(), *beyond)).state == "not_comparable"
