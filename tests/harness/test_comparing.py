"""Paired differences: the test and interval each case gets, that they err as often as they say, and the edges."""

import gc
import math

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from assay.harness.comparing import detectable, difference
from assay.harness.composing import composite_difference
from assay.harness.multiplicity import benjamini_hochberg, holm

ALPHA = 0.05


def flipped(lost, gained, n):
    """Scores of two runs of which `lost` items got worse and `gained` better."""
    base = np.r_[np.ones(lost), np.zeros(gained), np.ones(n - lost - gained)]
    return base, np.r_[np.zeros(lost), np.ones(gained), np.ones(n - lost - gained)]


def at_random(rng, n, flip_rate, drop):
    """Binary scores of two runs whose true difference is `drop`."""
    kind = rng.choice(3, n, p=[(flip_rate + drop) / 2, (flip_rate - drop) / 2, 1 - flip_rate])
    return np.select([kind == 0, kind == 1], [1.0, 0.0], 1.0), np.select([kind == 0, kind == 1], [0.0, 1.0], 1.0)


def almost(rate, tries):
    """The nominal rate and three standard errors of what so many tries show."""
    return rate + 3 * math.sqrt(rate * (1 - rate) / tries)


def random_case(rng, n=120):
    values = rng.integers(0, 4, (2, n)) / 3
    clusters = [f"p{rng.integers(30)}" if rng.random() < 0.8 else "" for _ in range(n)]
    groups = [f"g{rng.choice(3, p=[0.6, 0.3, 0.1])}" for _ in range(n)]
    return values, clusters, groups


def test_binary_scores_get_exact_mcnemar_as_statsmodels_has_it():
    found = difference(*flipped(13, 5, 100))
    wanted = mcnemar([[82, 13], [5, 0]], exact=True)
    assert (found.test, found.lost, found.gained) == ("exact McNemar", 13, 5)
    assert found.p == pytest.approx(wanted.pvalue)
    assert found.p_worse == pytest.approx(stats.binomtest(13, 18, 0.5, alternative="greater").pvalue)
    assert difference(*flipped(5, 13, 100)).p_worse == pytest.approx(stats.binom.sf(4, 18, 0.5))


def test_mcnemar_is_what_sign_flips_of_binary_scores_give():
    base, other = flipped(9, 3, 14)
    for alternative, p in (("two-sided", "p"), ("less", "p_worse")):
        exact = stats.permutation_test(
            (other - base,), np.mean, permutation_type="samples", alternative=alternative, n_resamples=2**14
        )
        assert getattr(difference(base, other), p) == pytest.approx(exact.pvalue)


@pytest.mark.parametrize("arrange", ["fractional", "grouped", "clustered"])
def test_random_sign_flips_come_near_to_all_sign_flips(arrange):
    rng = np.random.default_rng(4)
    base, other = rng.random((2, 14)) if arrange == "fractional" else flipped(8, 2, 14)
    groups = ["small"] * 5 + ["large"] * 9 if arrange == "grouped" else None
    clusters = [f"p{i // 2}" for i in range(14)] if arrange == "clustered" else None
    d = (other - base) * (np.r_[np.full(5, 1 / 10), np.full(9, 1 / 18)] if groups else 1 / 14)
    d = d.reshape(7, 2).sum(axis=1) if clusters else d
    exact = stats.permutation_test((d,), np.sum, permutation_type="samples", alternative="two-sided", n_resamples=2**14)
    found = difference(base, other, groups=groups, clusters=clusters)
    assert found.test == ("cluster sign flips" if clusters else "sign flips")
    assert found.delta == pytest.approx(exact.statistic)
    assert found.p == pytest.approx(exact.pvalue, abs=0.01)


def test_the_normal_limit_agrees_with_random_sign_flips():
    rng = np.random.default_rng(5)
    groups = [f"g{g}" for g, n in enumerate((100, 150, 400, 1500)) for _ in range(n)]
    base, other = at_random(rng, len(groups), 0.8, 0.03)
    found = difference(base, other, groups=groups)
    sizes = np.repeat([1 / 100, 1 / 150, 1 / 400, 1 / 1500], [100, 150, 400, 1500]) / 4
    d = sizes * (other - base)
    sums = rng.choice([-1.0, 1.0], (4000, len(d))) @ d
    assert found.test == "sign flips, normal limit"
    assert found.p == pytest.approx(np.mean(np.abs(sums) >= abs(d.sum())), abs=0.03)


def test_fractional_scores_get_student_as_scipy_has_it():
    rng = np.random.default_rng(6)
    base, other = rng.random((2, 60))
    found = difference(base, other)
    wanted = stats.ttest_1samp(other - base, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high))
    assert found.stderr == pytest.approx(stats.sem(other - base))
    assert found.test == "sign flips"


def test_clusters_get_cluster_robust_t_as_statsmodels_has_it():
    rng = np.random.default_rng(7)
    base = np.repeat(rng.random(50), 6)
    other = np.clip(base + np.repeat(rng.normal(0, 0.2, 50), 6), 0, 1)
    codes = np.repeat(np.arange(50), 6)
    found = difference(base, other, clusters=[f"passage {c}" for c in codes])
    fit = sm.OLS(other - base, np.ones(300)).fit(cov_type="cluster", cov_kwds={"groups": codes}, use_t=True)
    assert (found.low, found.high) == pytest.approx(tuple(fit.conf_int(0.05)[0]))
    assert found.test == "cluster sign flips"
    assert found.stderr > 2 * difference(base, other).stderr


def test_an_item_without_a_cluster_stands_alone():
    base, other = flipped(10, 3, 50)
    assert difference(base, other, clusters=[""] * 50) == difference(base, other)


def test_items_without_a_cluster_are_no_cluster_of_their_own():
    base, other = flipped(10, 3, 60)
    mixed = [f"p{i // 4}" if i % 3 else "" for i in range(60)]
    assert difference(base, other, clusters=mixed) == difference(
        base, other, clusters=[c or f"alone {i}" for i, c in enumerate(mixed)]
    )


def test_categories_weigh_alike():
    base, other = flipped(10, 0, 110)
    found = difference(base, other, groups=["small"] * 10 + ["large"] * 100)
    assert found.delta == pytest.approx(-0.5)
    assert found.low < -0.5 < found.high
    equal = difference(base, other, groups=["a", "b"] * 55)
    assert (equal.delta, equal.p, equal.mde) == pytest.approx(
        (difference(base, other).delta, difference(base, other).p, difference(base, other).mde)
    )


def test_the_standard_error_over_categories_is_that_of_the_mean_of_means():
    rng = np.random.default_rng(8)
    sizes = (100, 200, 1500)
    groups = [f"g{g}" for g, n in enumerate(sizes) for _ in range(n)]
    base, other = at_random(rng, len(groups), 0.2, 0.0)
    means = [[rng.choice([-1, 1, 0], n, p=[0.1, 0.1, 0.8]).mean() for n in sizes] for _ in range(3000)]
    assert difference(base, other, groups=groups).stderr == pytest.approx(np.std(np.mean(means, axis=1)), rel=0.1)


def test_order_of_items_changes_nothing_and_swapping_the_runs_only_the_sign():
    rng = np.random.default_rng(9)
    for _ in range(4):
        (base, other), clusters, groups = random_case(rng)
        for kwargs in ({}, {"clusters": clusters}, {"groups": groups}):
            found = difference(base, other, **kwargs)
            order = rng.permutation(len(base))
            shuffled = {k: [v[i] for i in order] for k, v in kwargs.items()}
            again = difference(base[order], other[order], **shuffled)
            swapped = difference(other, base, **kwargs)
            for name in ("delta", "stderr", "low", "high", "p", "p_worse", "mde"):
                assert getattr(again, name) == pytest.approx(getattr(found, name)), name
            assert (swapped.delta, swapped.low, swapped.high) == pytest.approx((-found.delta, -found.high, -found.low))
            assert (swapped.lost, swapped.gained, swapped.p) == (found.gained, found.lost, pytest.approx(found.p))


@pytest.mark.parametrize(
    ("n", "flip_rate", "drop"), [(32, 0.05, 0.02), (100, 0.05, 0.02), (164, 0.1, 0.05), (1140, 0.1, 0.0)]
)
def test_the_binary_interval_covers_95_percent(n, flip_rate, drop):
    rng, tries = np.random.default_rng(n), 400
    found = [difference(*at_random(rng, n, flip_rate, drop)) for _ in range(tries)]
    assert np.mean([not f.low <= -drop <= f.high for f in found]) <= almost(0.05, tries)


def test_the_plain_t_interval_would_not_cover_where_few_items_flip():
    rng, tries = np.random.default_rng(10), 4000
    d = rng.choice([-1.0, 1.0, 0.0], (tries, 32), p=[0.035, 0.015, 0.95])
    lower = d.mean(axis=1) + stats.t.ppf(0.05, 31) * d.std(axis=1, ddof=1) / math.sqrt(32)
    assert np.mean(lower <= -0.02) < 0.82
    ours = [difference(*flipped(int((x < 0).sum()), int((x > 0).sum()), 32)).low <= -0.02 for x in d[:400]]
    assert np.mean(ours) > 0.95


def test_the_interval_over_categories_covers_95_percent():
    rng, tries = np.random.default_rng(11), 400
    groups = [f"g{g}" for g, n in enumerate((60, 60, 80, 100)) for _ in range(n)]
    found = [difference(*at_random(rng, 300, 0.5, 0.05), groups=groups) for _ in range(tries)]
    assert np.mean([not f.low <= -0.05 <= f.high for f in found]) <= almost(0.05, tries)


@pytest.mark.parametrize("passages", [10, 40])
def test_the_clustered_interval_and_test_hold_their_rates(passages):
    rng, tries = np.random.default_rng(12), 100
    clusters = [f"p{i // 5}" for i in range(5 * passages)]
    found = []
    for _ in range(tries):
        shift = np.repeat(rng.normal(0, 0.1, passages), 5)
        base = rng.random(5 * passages) * 0.5 + 0.25
        found.append(difference(base, np.clip(base + shift + rng.normal(0, 0.05, len(base)), 0, 1), clusters=clusters))
    assert np.mean([not f.low <= 0 <= f.high for f in found]) <= almost(0.05, tries)
    assert np.mean([f.p <= ALPHA for f in found]) <= almost(ALPHA, tries)


@pytest.mark.parametrize("case", ["McNemar", "fractional", "grouped"])
def test_no_difference_is_called_one_no_more_often_than_said(case):
    rng, tries = np.random.default_rng(13), 150
    groups = ["a"] * 10 + ["b"] * 30 if case == "grouped" else None
    found = []
    for _ in range(tries):
        base, other = at_random(rng, 40, 0.4, 0.0)
        if case == "fractional":
            base, other = np.sort(rng.random((2, 40)) * (rng.random((2, 40)) < 0.3), axis=0)[rng.permutation(2)]
            keep = rng.random(40) < 0.5
            base, other = np.where(keep, base, other), np.where(keep, other, base)
        found.append(difference(base, other, groups=groups))
    for p in ("p", "p_worse"):
        assert np.mean([getattr(f, p) <= ALPHA for f in found]) <= almost(ALPHA, tries)
    assert np.mean([f.p <= 0.2 for f in found]) > 0.08, "the test never speaks"


@pytest.fixture
def few_objects():
    """statsmodels' Holm collects garbage on each call: here, over those made in the test alone."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("few_objects")
def test_a_family_without_differences_is_almost_never_called_different():
    rng, tries, alarms = np.random.default_rng(14), 200, 0
    for _ in range(tries):
        p = {str(n): difference(*at_random(rng, n, 0.2, 0.0)).p for n in (50, 100, 150, 200, 300, 400)}
        alarms += min(holm(p).values()) <= ALPHA
    assert alarms / tries <= almost(ALPHA, tries)


def test_no_items_have_no_difference():
    assert difference([], []) is None


@pytest.mark.parametrize("n", [1, 9])
def test_few_items_are_shown_and_not_tested(n):
    found = difference(np.ones(n), np.zeros(n))
    assert found.note == "too few items"
    assert (found.p, found.p_worse, found.mde, found.test) == (None, None, None, "")
    assert found.low < found.high


@pytest.mark.parametrize("score", [1.0, 0.0, 0.3])
@pytest.mark.parametrize("arrange", [{}, {"groups": ["a"] * 64 + ["b"] * 100}, {"clusters": ["p", "q"] * 82}])
def test_identical_answers_differ_by_nothing_but_the_interval_has_width(score, arrange):
    found = difference(np.full(164, score), np.full(164, score), **arrange)
    assert (found.p, found.p_worse, found.note, found.mde) == (1.0, 1.0, "identical answers", None)
    assert found.delta == 0
    assert found.low < -0.01
    assert found.high > 0.01


def test_a_small_category_widens_the_interval_of_identical_answers():
    found = difference(np.ones(1010), np.ones(1010), groups=["a"] * 10 + ["b"] * 1000)
    items = 4 / (1 / 10 + 1 / 1000)
    assert found.high == pytest.approx(1.96 * math.sqrt(2) / (items + 2), rel=1e-3)


@pytest.mark.parametrize(("lost", "note"), [(4, "too few flips to decide"), (5, "")])
def test_four_flips_cannot_decide(lost, note):
    found = difference(*flipped(lost, 0, 100))
    assert found.note == note
    assert (found.p_worse <= 0.05) == (lost == 5)


def test_items_that_all_move_alike_are_not_falsely_certain():
    for clusters in (None, [str(i // 5) for i in range(100)]):
        found = difference(np.full(100, 0.6), np.full(100, 0.3), clusters=clusters)
        assert found.low < found.delta - 0.01
        assert found.high > found.delta


def test_one_cluster_is_one_observation():
    rng = np.random.default_rng(15)
    found = difference(*rng.integers(0, 2, (2, 40)), clusters=["passage"] * 40)
    assert (found.note, found.p) == ("one cluster", None)
    assert found.high - found.low > 1


def test_flips_that_cancel_in_every_cluster_decide_nothing():
    base = np.array([1.0, 0.0] * 20)
    found = difference(base, 1 - base, clusters=[str(i // 2) for i in range(40)])
    assert (found.note, found.p, found.mde, found.delta) == ("too few flips to decide", 1.0, None, 0.0)
    assert found.high > 0.01


def test_the_order_in_which_draws_were_averaged_is_no_flip():
    a, b = np.full(50, 0.1 + 0.2), np.full(50, 0.3)
    assert a[0] != b[0]
    assert difference(a, b).note == "identical answers"


@pytest.mark.parametrize("bad", [float("nan"), 1.5, -0.1])
def test_a_score_that_is_none_is_refused(bad):
    with pytest.raises(ValueError, match="not a number in"):
        difference([1.0, bad], [1.0, 0.0])


def test_runs_that_were_not_joined_are_refused():
    with pytest.raises(ValueError, match="join them by item"):
        difference([1.0], [1.0, 0.0])


def test_half_a_hundred_thousand_items_are_compared_by_the_binomial():
    found = difference(*flipped(3000, 2500, 58_492))
    assert found.p == pytest.approx(stats.binomtest(2500, 5500).pvalue)


@pytest.mark.parametrize("n", [164, 1140, 14_042])
@pytest.mark.parametrize("flip_rate", [0.05, 0.1, 0.2])
def test_the_detectable_drop_is_what_its_formula_says(n, flip_rate):
    z = stats.norm.ppf(0.95) + stats.norm.ppf(0.8)
    assert detectable(flip_rate, n) == pytest.approx(z * math.sqrt(flip_rate / n), rel=0.01)
    lost = round(flip_rate * n / 2)
    found = difference(*flipped(lost, lost, n))
    assert found.mde == pytest.approx(detectable(found.flip_rate, n))


def test_a_drop_as_large_as_detectable_is_found_in_four_of_five_tries():
    rng, n, tries = np.random.default_rng(16), 1000, 400
    drop = detectable(0.1, n)
    found = np.mean([difference(*at_random(rng, n, 0.1, drop)).p_worse <= 0.05 for _ in range(tries)])
    assert 0.72 <= found <= 0.88


def test_one_item_detects_nothing():
    assert detectable(0.1, 1) == math.inf


def test_untested_tasks_do_not_count_in_a_family():
    p = {"a": 0.01, "b": None, "c": 0.04, "d": float("nan"), "e": 0.03}
    tested = [0.01, 0.04, 0.03]
    for found, wanted in (
        (holm(p), multipletests(tested, method="holm")[1]),
        (benjamini_hochberg(p), multipletests(tested, method="fdr_bh")[1]),
    ):
        assert list(found) == list(p)
        assert (found["b"], found["d"]) == (None, None)
        assert [found["a"], found["c"], found["e"]] == pytest.approx(list(wanted))


@pytest.mark.parametrize("adjust", [holm, benjamini_hochberg])
def test_a_family_of_untested_tasks_stays_untested(adjust):
    assert adjust({}) == {}
    assert adjust({"a": None, "b": float("nan")}) == {"a": None, "b": None}


def composite(pairs, baselines=None, kin=None):
    parts = {name: difference(*pair) for name, pair in pairs.items()}
    return composite_difference(parts, baselines or dict.fromkeys(parts, 0.0), kin or {})


def test_a_composite_proves_nothing_by_flips_that_prove_nothing():
    n = 1_000
    few = np.zeros(n), np.r_[np.ones(4), np.zeros(n - 4)]
    same = np.zeros(n), np.zeros(n)
    assert difference(*few).p > 0.1
    assert composite({"few": few, **{f"same {i}": same for i in range(21)}}).p > 0.1
    found = composite({"all": (np.zeros(32), np.ones(32)), "some": (np.tile([0.0, 1.0, 1.0], 20), np.ones(60))})
    assert found.shares["all"] > 0
    assert found.low < found.delta < found.high


def test_a_composite_is_the_mean_of_centred_differences():
    pairs = {"a": flipped(10, 4, 100), "b": flipped(6, 20, 200)}
    found = composite(pairs, {"a": 0.5, "b": 0.25})
    a, b = (difference(*p) for p in pairs.values())
    assert found.delta == pytest.approx((a.delta / 0.5 + b.delta / 0.75) / 2)
    assert found.stderr == pytest.approx(math.hypot(a.stderr / 0.5, b.stderr / 0.75) / 2)
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(found.delta) / found.stderr))
    assert (found.low + found.high) / 2 == pytest.approx(found.delta)
    assert sum(found.shares.values()) == pytest.approx(1)


def test_errors_of_tasks_over_one_file_are_added():
    pairs = {"ten shots": flipped(10, 4, 100), "no shots": flipped(10, 4, 100)}
    apart, akin = composite(pairs), composite(pairs, kin=dict.fromkeys(pairs, "hellaswag.jsonl"))
    assert akin.stderr == pytest.approx(math.sqrt(2) * apart.stderr)
    assert akin.stderr == pytest.approx(difference(*pairs["no shots"]).stderr)


def test_a_composite_of_identical_answers_is_not_certain():
    found = composite({"a": flipped(0, 0, 100), "b": flipped(0, 0, 300)})
    assert (found.delta, found.p) == (0.0, 1.0)
    assert found.low < -0.005
    assert found.high > 0.005


def test_a_composite_covers_95_percent():
    rng, tries, sizes = np.random.default_rng(17), 200, (32, 100, 230, 500, 1000, 1200, 2000)
    missed = 0
    for _ in range(tries):
        found = composite({str(n): at_random(rng, n, 0.1, 0.02) for n in sizes}, dict.fromkeys(map(str, sizes), 0.25))
        missed += not found.low <= -0.02 / 0.75 <= found.high
    assert missed / tries <= almost(0.05, tries)


def test_a_composite_of_nothing_and_a_baseline_of_one_are_refused():
    with pytest.raises(ValueError, match="no tasks"):
        composite({})
    with pytest.raises(ValueError, match="baseline of a"):
        composite({"a": flipped(3, 4, 20)}, {"a": 1.0})
