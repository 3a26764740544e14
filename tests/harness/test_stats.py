"""Intervals: the method each case gets, and that it covers what it says."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from assay.harness.stats import interval


def plain(values):
    return interval({"": values}, {"": [""] * len(values)})


def test_binary_scores_get_wilson_as_scipy_has_it():
    found = plain([1.0] * 30 + [0.0] * 70)
    wanted = scipy_stats.binomtest(30, 100).proportion_ci(0.95, method="wilson")
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high))
    assert found.method == "wilson"


def test_a_perfect_score_still_has_width():
    found = plain([1.0] * 32)
    assert found.high == pytest.approx(1.0)
    assert found.low < 0.9


def test_fractional_scores_get_student():
    values = [0.1, 0.4, 0.35, 0.8]
    found = plain(values)
    wanted = scipy_stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high, found.method) == (pytest.approx(wanted.low), pytest.approx(wanted.high), "t")


def test_clustered_scores_are_wider_than_naive():
    rng = np.random.default_rng(1)
    values = np.repeat(rng.integers(0, 2, 60), 8).astype(float)
    clusters = [str(i // 8) for i in range(len(values))]
    found = interval({"": list(values)}, {"": clusters})
    assert found.method == "cluster-robust t"
    assert found.stderr > 2 * plain(list(values)).stderr


def test_few_clusters_cost_degrees_of_freedom():
    def of(n):
        return interval({"": [float(i // 8 % 2) for i in range(8 * n)]}, {"": [str(i // 8) for i in range(8 * n)]})

    for n in (10, 200):
        t = (of(n).high - of(n).low) / (2 * of(n).stderr)
        assert t == pytest.approx(scipy_stats.t.ppf(0.975, n - 1))


def test_the_interval_of_few_clusters_covers_nearly_as_often_as_it_says():
    rng, hits = np.random.default_rng(5), 0
    for _ in range(400):
        chance, sizes = rng.beta(4.5, 4.5, 20), rng.integers(3, 16, 20)
        ids = np.repeat(np.arange(20), sizes)
        found = interval({"": list((rng.random(len(ids)) < chance[ids]).astype(float))}, {"": list(map(str, ids))})
        hits += found.low <= 0.5 <= found.high
    assert hits >= 0.92 * 400


def test_categories_weigh_alike_in_the_interval():
    groups = {"small": [1.0] * 5 + [0.0] * 5, "large": [1.0] * 500 + [0.0] * 500}
    found = interval(groups, {g: [""] * len(v) for g, v in groups.items()})
    assert found.stderr == pytest.approx(0.5 * (0.25 / 10 + 0.25 / 1000) ** 0.5)
    assert found.high - found.low > plain(groups["large"]).high - plain(groups["large"]).low


@pytest.mark.parametrize(("n", "p"), [(32, 0.1), (100, 0.5), (300, 0.9)])
def test_wilson_covers_about_95_percent(n, p):
    rng = np.random.default_rng(3)
    hits = 0
    for k in rng.binomial(n, p, 400):
        found = plain([1.0] * k + [0.0] * (n - k))
        hits += found.low <= p <= found.high
    assert 0.91 <= hits / 400 <= 0.99


def test_one_cluster_has_no_interval():
    assert interval({"": [1.0, 0.0]}, {"": ["a", "a"]}) is None
