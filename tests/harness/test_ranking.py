"""Ranks: resamples that are paired whatever the order of rows, intervals that hold, shares and noise."""

import math

import numpy as np
import pytest
from scipy import stats

from assay.harness import ranking
from assay.harness.comparing import difference
from assay.harness.ranking import (
    DRAWS,
    checkpoint_noise,
    composite_stderr,
    ranks,
    resampled,
    simulated,
    variance_shares,
)
from assay.harness.stats import interval


def answers(seed, n=400, right=0.6):
    return (np.random.default_rng(seed).random(n) < right).astype(float)


def ids(n=400, file="arc.jsonl"):
    return [f"{file}/{i}" for i in range(n)]


def test_resamples_centre_on_the_score_and_scatter_as_its_standard_error():
    values = answers(1)
    found = resampled(values, ids())
    assert (found.shape, found.dtype) == ((DRAWS,), np.float32)
    assert found.mean() == pytest.approx(values.mean(), abs=4 * stats.sem(values) / math.sqrt(DRAWS))
    assert found.std() == pytest.approx(stats.sem(values), rel=0.1)


def test_the_order_of_rows_does_not_matter():
    rng = np.random.default_rng(2)
    values, docs = rng.random(300), ids(300)
    groups, clusters = [f"g{i % 7}" for i in range(300)], [f"p{i // 3}" if i % 4 else "" for i in range(300)]
    order = rng.permutation(300)
    for kwargs in ({}, {"groups": groups}, {"clusters": clusters}, {"groups": groups, "clusters": clusters}):
        shuffled = {k: [v[i] for i in order] for k, v in kwargs.items()}
        again = resampled(values[order], [docs[i] for i in order], **shuffled)
        assert np.array_equal(resampled(values, docs, **kwargs), again)


def test_draws_of_two_runs_over_the_same_items_are_paired():
    base = answers(3)
    other = base.copy()
    other[:20] = 1 - other[:20]
    docs, order = ids(), np.random.default_rng(3).permutation(400)
    apart = resampled(other[order], [docs[i] for i in order]) - resampled(base, docs)
    assert apart.std() == pytest.approx(difference(base, other).stderr, rel=0.1)
    assert apart.std() < 0.4 * math.hypot(stats.sem(base), stats.sem(other))


def test_tasks_over_the_same_items_are_resampled_together_and_others_are_not():
    values = answers(4)
    ten_shots, no_shots = resampled(values, ids()), resampled(1 - values, ids())
    assert ten_shots + no_shots == pytest.approx(np.ones(DRAWS), abs=1e-6)
    elsewhere = resampled(values, ids(file="piqa.jsonl"))
    assert abs(np.corrcoef(ten_shots, elsewhere)[0, 1]) < 0.15


def test_what_a_draw_takes_does_not_depend_on_the_scores():
    base, other = answers(5), answers(6)
    assert resampled(base, ids()) + resampled(other, ids()) == pytest.approx(resampled(base + other, ids()), abs=1e-5)


def test_categories_are_resampled_within_and_weigh_alike():
    groups = ["small"] * 20 + ["large"] * 380
    values = np.r_[np.ones(20), np.zeros(380)]
    assert resampled(values, ids(), groups=groups) == pytest.approx(np.full(DRAWS, 0.5))
    values = answers(7)
    found = resampled(values, ids(), groups=groups)
    wanted = interval({"small": values[:20], "large": values[20:]}, {"small": [""] * 20, "large": [""] * 380})
    assert found.mean() == pytest.approx((values[:20].mean() + values[20:].mean()) / 2, abs=0.01)
    assert found.std() == pytest.approx(wanted.stderr, rel=0.1)


def test_clusters_are_resampled_whole():
    rng = np.random.default_rng(8)
    values = np.repeat(answers(8, 80), 5)
    clusters = [f"passage {i // 5}" for i in range(400)]
    found = resampled(values, ids(), clusters=clusters)
    assert found.std() == pytest.approx(interval({"": values}, {"": clusters}).stderr, rel=0.1)
    assert found.std() > 2 * resampled(values, ids()).std()
    uneven = [f"p{g}" for g in rng.integers(0, 60, 400)]
    assert np.ptp(resampled(np.full(400, 0.7), ids(), clusters=uneven)) < 1e-6, "a ratio of sums"


def test_items_without_a_cluster_are_drawn_one_by_one():
    values = answers(9)
    assert np.array_equal(resampled(values, ids(), clusters=[""] * 400), resampled(values, ids()))


def test_what_is_kept_stays_within_its_budget_and_changes_nothing(monkeypatch):
    kept = ranking._Kept()
    monkeypatch.setattr(ranking, "_KEPT", kept)
    monkeypatch.setattr(ranking, "CACHED", 250 * DRAWS)
    first = resampled(answers(10, 100), ids(100, "a"))
    for file in "bcd":
        resampled(answers(10, 100), ids(100, file))
    assert len(kept._known) == 2
    resampled(answers(10, 1000), ids(1000, "too large to keep"))
    assert not kept._known
    assert np.array_equal(resampled(answers(10, 100), ids(100, "a")), first)


@pytest.mark.parametrize(
    ("values", "docs", "said"),
    [([], [], "nothing"), ([1.0, 0.0], ["a", "a"], "twice"), ([1.0], ["a", "b"], "argument")],
)
def test_what_cannot_be_resampled_is_refused(values, docs, said):
    with pytest.raises(ValueError, match=said):
        resampled(values, docs)


def test_one_item_resamples_to_itself():
    assert np.array_equal(resampled([0.25], ["a"]), np.full(DRAWS, 0.25, dtype=np.float32))


def test_simulated_draws_are_normal_repeatable_and_paired_with_no_others():
    found = simulated(0.4, 0.02, "run a core")
    assert (found.shape, found.dtype) == ((DRAWS,), np.float32)
    assert (found.mean(), found.std()) == (pytest.approx(0.4, abs=0.003), pytest.approx(0.02, rel=0.1))
    assert np.array_equal(found, simulated(0.4, 0.02, "run a core"))
    assert abs(np.corrcoef(found, simulated(0.4, 0.02, "run b core"))[0, 1]) < 0.15


def ranked(*scores):
    return ranks(np.array([s.mean() for s in scores]), np.stack([resampled(s, ids(len(s))) for s in scores]))


def test_runs_far_apart_have_one_rank_each():
    found = ranked(answers(11, 2000, 0.5), answers(12, 2000, 0.8), answers(13, 2000, 0.2))
    assert [(r.low, r.high, r.tied) for r in found] == [(2, 2, False), (1, 1, True), (3, 3, False)]
    assert found[0].resolution > 1
    assert found[1].resolution > 1
    assert found[2].resolution is None


def test_identical_runs_are_tied():
    values = answers(14)
    found = ranked(values, values, answers(15, right=0.1))
    assert [(r.low, r.high, r.tied) for r in found] == [(1, 2, True), (1, 2, True), (3, 3, False)]
    assert found[0].resolution == 0.0


def test_a_small_gap_on_many_items_ranks_by_its_pairs_not_by_the_spread_of_each():
    base = answers(16, 2000)
    better = base.copy()
    better[np.flatnonzero(base == 0)[:20]] = 1.0
    found = ranked(base, better)
    assert [(r.low, r.high, r.tied) for r in found] == [(2, 2, False), (1, 1, True)]
    alone = [simulated(v.mean(), stats.sem(v), name) for v, name in ((base, "a"), (better, "b"))]
    unpaired = ranks(np.array([base.mean(), better.mean()]), np.stack(alone))
    assert [(r.low, r.high, r.tied) for r in unpaired] == [(1, 2, True), (1, 2, True)]


def test_resolution_is_items_over_those_needed():
    base = answers(17, 1000)
    other = base.copy()
    flips = np.random.default_rng(17).choice(1000, 100, replace=False)
    other[flips] = 1 - other[flips]
    values = np.array([base.mean(), other.mean()])
    found = ranks(values, np.stack([resampled(base, ids(1000)), resampled(other, ids(1000))]))
    z = stats.norm.ppf(0.975) + stats.norm.ppf(0.8)
    wanted = (np.ptp(values) / (z * difference(base, other).stderr)) ** 2
    assert found[int(values.argmax())].resolution == pytest.approx(wanted, rel=0.2)
    assert found[int(values.argmin())].resolution is None


def test_runs_that_tie_in_a_resample_share_its_ranks():
    found = ranks(np.array([0.5, 0.4, 0.3]), np.full((3, DRAWS), 0.4))
    assert [(r.low, r.high, r.tied) for r in found] == [(1, 3, True)] * 3
    assert [r.resolution for r in found] == [math.inf, math.inf, None]


def test_the_interval_holds_the_rank_of_the_value_itself():
    values = np.r_[0.51, np.full(99, 0.5)]
    draws = np.stack([simulated(v, 0.05, str(i)) for i, v in enumerate(values)])
    for place, rank in zip(stats.rankdata(-values, method="min"), ranks(values, draws), strict=True):
        assert 1 <= rank.low <= place <= rank.high <= 100


def test_the_order_of_runs_changes_nothing():
    rng = np.random.default_rng(18)
    values, draws = rng.random(12), rng.random((12, DRAWS))
    order = rng.permutation(12)
    found, again = ranks(values, draws), ranks(values[order], draws[order])
    assert again == [found[i] for i in order]


def test_rank_intervals_hold_the_true_rank():
    rng, tries, truth = np.random.default_rng(19), 60, np.array([0.50, 0.53, 0.56, 0.62, 0.70])
    missed = 0
    for t in range(tries):
        hard = rng.random(300)
        scores = [(0.7 * hard + 0.3 * rng.random(300) < stats.uniform.ppf(p)).astype(float) for p in truth]
        docs = ids(300, f"{t}")
        found = ranks(np.array([s.mean() for s in scores]), np.stack([resampled(s, docs) for s in scores]))
        missed += sum(not r.low <= 5 - i <= r.high for i, r in enumerate(found))
    assert missed / (5 * tries) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / tries)


def test_no_runs_have_no_ranks_and_one_run_is_first():
    assert ranks(np.array([]), np.empty((0, DRAWS))) == []
    (only,) = ranks(np.array([0.5]), np.full((1, DRAWS), 0.5))
    assert (only.low, only.high, only.tied, only.resolution) == (1, 1, True, None)


def test_a_run_without_a_value_cannot_be_ranked():
    with pytest.raises(ValueError, match="finite"):
        ranks(np.array([0.5, np.nan]), np.zeros((2, DRAWS)))
    with pytest.raises(ValueError, match="finite"):
        ranks(np.array([0.5, 0.4]), np.full((2, DRAWS), np.nan))
    with pytest.raises(ValueError, match="row of"):
        ranks(np.array([0.5, 0.4]), np.zeros((3, DRAWS)))


def test_shares_of_variance_follow_squared_errors_and_sum_to_one():
    found = variance_shares({"a": 0.03, "b": 0.01}, {"a": 0.0, "b": 0.5}, {})
    assert found == pytest.approx({"a": 9 / 13, "b": 4 / 13})


def test_tasks_over_one_file_share_the_variance_of_their_sum():
    errors, baselines = {"ten": 0.02, "none": 0.01, "copa": 0.04}, dict.fromkeys(("ten", "none", "copa"), 0.0)
    kin = {"ten": "hellaswag.jsonl", "none": "hellaswag.jsonl", "copa": "copa.jsonl"}
    found = variance_shares(errors, baselines, kin)
    assert found == pytest.approx({"ten": 6 / 25, "none": 3 / 25, "copa": 16 / 25})
    assert sum(found.values()) == pytest.approx(1)
    assert composite_stderr(errors, baselines, kin) == pytest.approx(0.05 / 3)


def test_shares_without_errors_are_equal():
    assert variance_shares({"a": 0.0, "b": 0.0}, {"a": 0.0, "b": 0.0}, {}) == {"a": 0.5, "b": 0.5}
    assert variance_shares({}, {}, {}) == {}


def test_a_baseline_of_one_is_refused():
    with pytest.raises(ValueError, match="baseline of a"):
        variance_shares({"a": 0.1}, {"a": 1.0}, {})


def test_checkpoint_noise_is_the_scatter_about_the_trend():
    rng = np.random.default_rng(20)
    x = np.arange(0, 200_000, 1000.0)
    found = checkpoint_noise(x, 0.2 + 2e-6 * x + rng.normal(0, 0.01, 200))
    assert found.points == 30
    assert found.sd == pytest.approx(0.01, rel=0.4)
    many = checkpoint_noise(x, 0.2 + 2e-6 * x + rng.normal(0, 0.01, 200), window=200)
    assert (many.sd, many.slope) == (pytest.approx(0.01, rel=0.15), pytest.approx(2e-6, rel=0.1))


def test_a_steady_climb_is_no_noise():
    found = checkpoint_noise(range(10), [0.1 * i for i in range(10)])
    assert (found.sd, found.slope) == (pytest.approx(0, abs=1e-12), pytest.approx(0.1))


def test_noise_is_a_sample_standard_deviation():
    level = [0.3, 0.1, 0.3, 0.2, 0.3, 0.1, 0.3]
    found = checkpoint_noise(range(7), level)
    assert (found.sd, found.slope, found.points) == (pytest.approx(np.std(level, ddof=1)), 0.0, 7)


def test_one_crashed_checkpoint_is_no_noise():
    level = [0.90, 0.91, 0.89, 0.90, 0.25, 0.91, 0.90, 0.89, 0.90, 0.91]
    found = checkpoint_noise(range(10), level)
    assert found.sd < 0.02
    assert found.points == 10


def test_only_the_last_checkpoints_count_in_whatever_order_they_come():
    rng = np.random.default_rng(21)
    y = np.r_[rng.normal(0, 5, 30), rng.normal(0, 0.01, 30)]
    order = rng.permutation(60)
    found = checkpoint_noise(np.arange(60)[order], y[order])
    assert found == checkpoint_noise(np.arange(60), y)
    assert found.sd < 0.05


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ([1, 2, 3, 4], [0.1, 0.2, 0.1, 0.2]),
        ([1, 2, 3, 4, 5], [0.1, 0.2, 0.3, 0.1, math.nan]),
        ([7] * 6, [0.1] * 6),
        ([], []),
    ],
)
def test_too_few_points_say_nothing_about_noise(x, y):
    assert checkpoint_noise(x, y) is None
