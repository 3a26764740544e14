"""The gate's rule: each state in each tier with its exit code, and nothing that was not measured passes."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from assay.harness.gating import snapshots
from assay.harness.gating.types import Mean, Rule, Waiver
from tests.gate.fixtures import (
    BLOCK,
    STEADY,
    TODAY,
    N,
    answers,
    changed,
    finding,
    judged,
    pair,
    rules,
    snapshot,
    with_steady,
)

LOST_TO_THE_MACHINE = {"ok": N - 132, "infra_error": 132}
WAIVER = Waiver(task="gsm8k", until=TODAY + timedelta(days=1), reason="known tokenizer change", by="Ada")


def prove(max_drop, **said):
    return Rule(**({"tier": "block", "mode": "prove", "min_effect": max_drop, "max_drop": max_drop} | said))


def otherwise(sides, **said):
    """The pair with something else said of the candidate's task; without the task where nothing is."""
    base, other = sides
    found = {t: replace(m, **said) for t, m in other.tasks.items()} if said else {}
    return base, replace(other, tasks=found)


ROWS = {
    "regressed": (BLOCK, pair(40), "regressed"),
    "minor, below what blocks": (replace(BLOCK, min_effect=0.05), pair(40), "minor"),
    "minor, proven within the margin": (prove(0.1), pair(40), "minor"),
    "held": (prove(0.02), pair(3, 3), "held"),
    "no change seen": (BLOCK, pair(20, 20), "no_change_seen"),
    "inconclusive, not proven": (prove(0.005), pair(20, 20), "inconclusive"),
    "inconclusive, too few flips": (BLOCK, pair(4, n=40), "inconclusive"),
    "improved": (BLOCK, pair(0, 40), "improved"),
    "not comparable": (BLOCK, otherwise(pair(40), fingerprint="another"), "not_comparable"),
    "missing": (BLOCK, otherwise(pair()), "missing"),
    "infra": (BLOCK, otherwise(pair(132), counts=LOST_TO_THE_MACHINE), "infra"),
}
EFFECTS = {
    "block": {"regressed": "fail", "minor": "warn", "inconclusive": "warn"}
    | dict.fromkeys(("not_comparable", "missing", "infra"), "fail"),
    "warn": {"regressed": "warn"}
    | dict.fromkeys(("minor", "inconclusive", "not_comparable", "missing", "infra"), "note"),
    "track": dict.fromkeys(("regressed", "minor", "inconclusive", "not_comparable", "missing", "infra"), "note"),
}
CODES = {"regressed": 3, "not_comparable": 5, "missing": 5, "infra": 5}


@pytest.mark.parametrize("tier", EFFECTS)
@pytest.mark.parametrize("row", ROWS)
def test_each_state_has_its_effect_in_each_tier(row, tier):
    rule, sides, state = ROWS[row]
    report = judged(*with_steady(rules(tasks={"gsm8k": replace(rule, tier=tier)}), *sides))
    found = finding(report)
    assert (found.state, found.effect) == (state, EFFECTS[tier].get(state, "pass"))
    assert report.exit_code == (CODES.get(state, 0) if tier == "block" else 0), report.sentence


@pytest.mark.parametrize("state", ["inconclusive", "not_comparable", "missing"])
@pytest.mark.parametrize("choice", ["fail", "warn"])
def test_the_verdicts_decide_what_was_not_decided(state, choice):
    rule, sides, _ = next(row for row in ROWS.values() if row[2] == state)
    config = rules(tasks={"gsm8k": rule}, verdicts=dict.fromkeys(("inconclusive", "not_comparable", "missing"), choice))
    report = judged(*with_steady(config, *sides))
    assert finding(report).effect == choice
    assert report.exit_code == (0 if choice == "warn" else 4 if state == "inconclusive" else 5)


@pytest.mark.parametrize("state", ["not_comparable", "missing", "infra"])
def test_a_gate_of_which_nothing_was_measured_fails_whatever_the_verdicts_are(state):
    rule, sides, _ = next(row for row in ROWS.values() if row[2] == state)
    lenient = dict.fromkeys(("inconclusive", "not_comparable", "missing"), "warn")
    report = judged(rules(tasks={"gsm8k": rule}, verdicts=lenient), *sides)
    assert (report.verdict, report.exit_code) == ("not_measured", 5)


@pytest.mark.parametrize("tier", ["warn", "track"])
def test_a_gate_that_gates_nothing_fails(tier):
    assert judged(rules(defaults=Rule(tier=tier)), *pair()).exit_code == 5
    assert judged(rules(), *pair(), tasks=[]).exit_code == 5
    assert judged(rules(), [], pair()[1]).exit_code == 5


@pytest.mark.parametrize("lost", [0, 1, 9])
def test_a_gate_whose_tasks_are_too_small_to_test_has_measured_nothing(lost):
    assert judged(rules(), *pair(lost, n=9, right=9)).exit_code == 5


def test_the_same_checkpoint_against_itself_passes():
    report = judged(rules(), *pair())
    found = finding(report)
    assert (report.exit_code, report.promote) == (0, False)
    assert (found.state, found.p, found.delta) == ("no_change_seen", 1.0, 0.0)
    assert found.lower < 0 < found.upper
    assert "identical answers" in found.reason


@pytest.mark.parametrize("gained", [0, 5, 10])
def test_forty_flipped_answers_of_gsm8k_block(gained):
    report = judged(rules(), *pair(40, gained))
    found = finding(report)
    assert (report.verdict, report.exit_code) == ("regressed", 3)
    assert found.p == pytest.approx(stats.binomtest(40, 40 + gained, alternative="greater").pvalue)
    assert found.delta == pytest.approx((gained - 40) / N)
    assert "gsm8k" in report.sentence


def test_a_drop_of_exactly_the_least_blocks_and_one_item_less_does_not():
    exact = rules(defaults=replace(BLOCK, min_effect=0.03))
    assert judged(exact, *pair(30, n=1000)).exit_code == 3
    assert finding(judged(exact, *pair(29, n=1000))).state == "minor"


# waivers


def test_a_waiver_in_force_excuses_a_regression_and_is_printed():
    report = judged(rules(waivers=(WAIVER,)), *pair(40))
    found = finding(report)
    assert (report.exit_code, found.state, found.effect) == (0, "regressed", "note")
    assert "Ada" in found.waived
    assert [w["days_left"] for w in report.waivers] == ["1"]


def test_a_waiver_holds_on_its_last_day_and_not_the_day_after():
    config = rules(waivers=(replace(WAIVER, until=TODAY),))
    assert judged(config, *pair(40)).exit_code == 0
    report = judged(config, *pair(40), today=TODAY + timedelta(days=1))
    assert (report.exit_code, report.waivers) == (3, ())
    assert any("ended" in note for note in report.notes)


def test_a_waiver_of_something_else_excuses_nothing_and_says_so():
    report = judged(rules(waivers=(replace(WAIVER, task="mmlu*"),)), *pair(40))
    assert report.exit_code == 3
    assert any("covers nothing" in note for note in report.notes)


@pytest.mark.parametrize("state", ["not_comparable", "missing", "infra"])
def test_no_waiver_excuses_what_was_not_measured(state):
    rule, sides, _ = next(row for row in ROWS.values() if row[2] == state)
    config = rules(tasks={"gsm8k": rule}, waivers=(replace(WAIVER, task="*"),))
    report = judged(*with_steady(config, *sides))
    assert (report.exit_code, finding(report).waived) == (5, "")


# anchors, noise


def test_the_best_so_far_catches_twenty_drops_that_the_previous_lets_pass():
    scores = [changed(answers(), 5 * i) for i in range(21)]
    steps = [snapshot(f"step {i}", {"gsm8k": s}) for i, s in enumerate(scores)]
    assert [judged(rules(), a, b).exit_code for a, b in pairwise(steps)] == [0] * 20
    report = judged(rules(), [steps[-2], steps[0]], steps[-1])
    assert report.exit_code == 3
    assert {f.anchor: f.state for f in report.findings} == {"step 19": "no_change_seen", "step 0": "regressed"}


def scattered(by):
    return {"gsm8k": [(float(i), 0.5 + by * (-1) ** i) for i in range(10)]}


def test_a_drop_that_checkpoints_scatter_by_anyway_does_not_block():
    quiet, loud = (judged(rules(), *pair(40), history=scattered(by)) for by in (0.001, 0.02))
    assert (quiet.exit_code, loud.exit_code) == (3, 0)
    assert finding(loud).state == "minor"
    assert finding(loud).noise == pytest.approx(20 * finding(quiet).noise)
    assert finding(loud).noise > 40 / N > finding(quiet).noise


def test_noise_is_k_standard_deviations_about_the_trend_of_both_sides():
    x, y = np.arange(10.0), 0.3 + 0.01 * np.arange(10) + np.array([1, -1, 2, -2, 0, 1, -1, 0, 2, -2]) / 500
    line = stats.theilslopes(y, x)
    sd = np.std(y - line.intercept - line.slope * x, ddof=1)
    report = judged(rules(k=3.0), *pair(40), history={"gsm8k": list(zip(x, y, strict=True))})
    assert finding(report).noise == pytest.approx(3 * sd * np.sqrt(2))
    base = replace(pair()[0], averaged=4)
    report = judged(rules(k=3.0), base, pair(40)[1], history={"gsm8k": list(zip(x, y, strict=True))})
    assert finding(report).noise == pytest.approx(3 * sd * np.sqrt(1.25))


@pytest.mark.parametrize("points", [0, 4])
def test_unknown_noise_is_said_and_excuses_no_drop(points):
    report = judged(rules(), *pair(40), history={"gsm8k": scattered(0.1)["gsm8k"][:points]})
    assert (report.exit_code, finding(report).noise) == (3, None)
    assert any("unknown" in note for note in report.notes)


def test_a_mean_of_the_last_checkpoints_is_compared_item_by_item():
    steps = [snapshot(f"step {i}", {"gsm8k": changed(answers(), 3 * i)}) for i in range(3)]
    base = snapshots.averaged(steps, "mean of the last 3")
    report = judged(rules(), base, snapshot("candidate", {"gsm8k": changed(answers(), 60)}))
    assert report.exit_code == 3
    assert report.anchors[0].averaged == 3
    assert finding(report).delta == pytest.approx(-57 / N)
    assert judged(rules(), base, steps[-1]).exit_code == 0


# families


def test_holm_counts_what_blocks_and_nothing_else():
    base = {f"t{i}": answers(100) for i in range(40)}
    worse = {t: changed(s, 7) for t, s in base.items()}
    sides = snapshot("baseline main", base), snapshot("candidate", worse)
    alone = judged(rules(defaults=Rule(tier="track"), tasks={"t0": BLOCK}), *sides)
    assert (alone.tests, alone.exit_code) == (1, 3)
    assert finding(alone, "t0").p_adjusted == finding(alone, "t0").p == 0.5**7
    assert finding(alone, "t1").p_adjusted == pytest.approx(39 * 0.5**7)
    together = judged(rules(), *sides)
    assert (together.tests, together.exit_code) == (40, 0)
    assert finding(together, "t0").p_adjusted == pytest.approx(40 * 0.5**7)


def test_a_second_anchor_is_a_second_test_of_the_family():
    base, other = pair(7, n=100)
    again = replace(base, name="another", run_id="another")
    assert judged(rules(), base, other).exit_code == 3
    report = judged(rules(), [base, again], other)
    assert (report.tests, report.exit_code) == (2, 0)


@pytest.mark.parametrize(
    ("states", "code"),
    [
        (("regressed", "missing", "inconclusive, not proven"), 3),
        (("missing", "inconclusive, not proven"), 5),
        (("infra", "inconclusive, not proven"), 5),
        (("inconclusive, not proven", "held"), 4),
        (("held", "improved"), 0),
    ],
)
def test_the_worst_names_the_exit_code(states, code):
    config = rules(
        tasks={s: ROWS[s][0] for s in states},
        verdicts={"inconclusive": "fail", "not_comparable": "fail", "missing": "fail"},
    )
    sides = [snapshot(f"side {i}", {s: m for s in states for m in ROWS[s][1][i].tasks.values()}) for i in (0, 1)]
    report = judged(*with_steady(config, *sides))
    assert report.exit_code == code
    assert next(f.effect for f in report.findings if f.name != STEADY) == ("pass" if not code else "fail")


def test_a_composite_of_a_part_of_its_tasks_is_missing_and_of_all_is_judged():
    mean = Mean(name="core", baselines={"a": 0.0, "b": 0.25}, kin={"a": "a", "b": "b"})
    config = rules(defaults=Rule(tier="track"), composites={"core": prove(0.02)})
    base = snapshot("baseline main", {"a": answers(), "b": answers()})
    worse = snapshot("candidate", {"a": changed(answers(), 60), "b": changed(answers(), 60)})
    report = judged(config, base, worse, means=[mean])
    assert report.exit_code == 3
    assert finding(report, "core").delta == pytest.approx(-60 / N * (1 + 1 / 0.75) / 2)
    assert judged(config, base, base, means=[mean]).exit_code == 0
    part = replace(worse, tasks={"a": worse.tasks["a"]})
    report = judged(config, base, part, means=[mean])
    assert (report.exit_code, finding(report, "core").state) == (5, "missing")
    assert finding(report, "core").reason.endswith("b")


def test_a_proven_violation_blocks_whatever_the_second_key_says():
    rule = prove(0.01, min_effect=0.25)
    report = judged(rules(defaults=rule), *pair(N // 5))
    assert report.exit_code == 3
    assert "at least 1.0 points" in finding(report).reason


def test_a_waived_regression_is_named_in_the_verdict():
    report = judged(*with_steady(rules(waivers=(WAIVER,)), *pair(40)))
    assert report.exit_code == 0
    assert "regressed on gsm8k, which is waived" in report.sentence
    assert not report.promote
