"""Estimates against closed forms, scipy and brute force."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from kltransfer.report.estimate import (
    bootstrap,
    by_seed,
    estimate,
    improvement,
    interquartile_mean,
    mean_and_std,
    median,
)

NAN = float("nan")


def test_interquartile_mean_of_five_is_the_mean_of_the_middle_three() -> None:
    assert interquartile_mean(np.array([100.0, 1.0, 2.0, 6.0, -50.0])) == pytest.approx(3.0)


@pytest.mark.parametrize("count", range(1, 13))
def test_interquartile_mean_is_scipys_trimmed_mean(count: int) -> None:
    values = np.random.default_rng(count).normal(size=(4, count))
    expected = stats.trim_mean(values, 0.25, axis=-1)
    np.testing.assert_allclose(interquartile_mean(values), expected)


def test_interquartile_mean_leaves_out_what_is_not_known() -> None:
    values = np.array([[3.0, NAN, 1.0, 2.0, NAN, 9.0], [NAN] * 6])
    np.testing.assert_allclose(interquartile_mean(values), [2.5, NAN])


def test_mean_and_std_are_those_computed_by_hand() -> None:
    sample = np.array([[[1.0, 3.0], [5.0, NAN]], [[4.0, NAN], [NAN, NAN]], [[NAN, NAN], [NAN, NAN]]])
    mean, std, count = mean_and_std(sample)
    np.testing.assert_allclose(mean, [3.0, 4.0, NAN])
    np.testing.assert_allclose(std, [2.0, NAN, NAN])  # sqrt((4 + 0 + 4) / (3 - 1))
    np.testing.assert_array_equal(count, [3, 1, 0])


def test_runs_are_arranged_by_seed_with_gaps_for_missing_ones() -> None:
    values = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
    arranged = by_seed(values, [7, 3, 7])
    np.testing.assert_array_equal(arranged, [[[1.0, 3.0], [2.0, NAN]], [[10.0, 30.0], [20.0, NAN]]])


def test_probability_of_improvement_is_the_mann_whitney_statistic() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = rng.integers(0, 6, size=7).astype(float), rng.integers(0, 6, size=5).astype(float)
    expected = stats.mannwhitneyu(ours, theirs).statistic / 35
    assert improvement(ours, theirs) == pytest.approx(expected)
    assert improvement(theirs, ours) == pytest.approx(1 - expected)
    assert improvement(np.append(ours, NAN), theirs) == pytest.approx(expected)


@pytest.mark.parametrize(("runs", "share"), [(3, 0.2), (5, 0.095)])
def test_chance_leaves_one_half_out_of_an_interval_as_often_as_the_page_says(runs: int, share: float) -> None:
    """Where two methods do not differ, all orders of their runs are equally likely."""
    orders = list(itertools.combinations(range(2 * runs), runs))
    seeds, decided = list(range(runs)), 0
    for ours in orders:
        theirs = [rank for rank in range(2 * runs) if rank not in ours]
        found = estimate(improvement, (ours, seeds), (theirs, seeds))
        decided += not found.low <= 0.5 <= found.high
    assert decided / len(orders) == pytest.approx(share, abs=0.001)


@pytest.mark.parametrize("spread", [0.0, 3.0])
def test_chance_leaves_one_half_out_of_a_paired_interval_about_as_often_as_the_page_says(
    spread: float,
) -> None:
    """Two transfers of each of five sources, which differ by `spread` times what transfers of one do."""
    rng, decided, trials = np.random.default_rng(0), 0, 200
    seeds = [source for source in range(5) for _ in range(2)]
    for _ in range(trials):
        sources = np.repeat(spread * rng.normal(size=5), 2)
        ours, theirs = (list(sources + rng.normal(size=10)) for _ in range(2))
        found = estimate(improvement, (ours, seeds), (theirs, seeds), paired=True)
        decided += not found.low <= 0.5 <= found.high
    assert decided / trials == pytest.approx(0.13, abs=0.05)


def test_the_bootstrap_interval_is_scipys_when_seeds_have_one_run() -> None:
    values = np.random.default_rng(1).normal(size=6)
    ours = bootstrap(median, values[None, :, None])
    scipys = stats.bootstrap(
        (values,), np.median, n_resamples=2000, method="percentile", rng=0, vectorized=True
    ).confidence_interval
    assert float(ours.value[0]) == pytest.approx(np.median(values))
    assert (float(ours.low[0]), float(ours.high[0])) == pytest.approx((scipys.low, scipys.high))


def test_the_bootstrap_interval_agrees_with_all_resamples_of_three_seeds() -> None:
    values = np.array([0.0, 10.0, 50.0])
    means = [np.mean(drawn) for drawn in itertools.product(values, repeat=3)]
    low, high = np.percentile(means, [2.5, 97.5], method="inverted_cdf")
    ours = bootstrap(lambda x: np.nanmean(x, axis=-1), values[None, :, None])
    assert float(ours.low[0]) == pytest.approx(low, abs=1.0)
    assert float(ours.high[0]) == pytest.approx(high, abs=1.0)


def test_intervals_do_not_shrink_when_seeds_are_transferred_more_often() -> None:
    values = np.random.default_rng(2).normal(size=5)
    once = bootstrap(interquartile_mean, values[None, :, None])
    many = bootstrap(lambda x: np.nanmean(x, axis=-1), np.repeat(values[None, :, None], 4, axis=2))
    mean_once = bootstrap(lambda x: np.nanmean(x, axis=-1), values[None, :, None])
    assert float(many.high[0] - many.low[0]) == pytest.approx(float(mean_once.high[0] - mean_once.low[0]))
    assert float(once.high[0]) > float(once.low[0])


def test_the_paired_interval_agrees_with_all_resamples_of_three_seeds() -> None:
    ours, theirs = np.array([0.0, 10.0, 50.0]), np.array([5.0, 9.0, 20.0])

    def gap(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.asarray(np.nanmean(x, axis=-1) - np.nanmean(y, axis=-1))

    gaps = [np.mean((ours - theirs)[list(drawn)]) for drawn in itertools.product(range(3), repeat=3)]
    low, high = np.percentile(gaps, [2.5, 97.5], method="inverted_cdf")
    found = bootstrap(gap, ours[None, :, None], theirs[None, :, None], paired=True)
    assert float(found.low[0]) == pytest.approx(low, abs=0.5)
    assert float(found.high[0]) == pytest.approx(high, abs=0.5)


def test_samples_with_numbers_of_other_seeds_are_not_paired() -> None:
    ours, theirs = ([1.0, 5.0, 3.0, NAN], [0, 1, 2, 3]), ([2.0, 4.0, NAN, 6.0], [0, 1, 2, 3])
    assert estimate(improvement, ours, theirs, paired=True) == estimate(improvement, ours, theirs)


def test_one_seed_gives_an_estimate_without_an_interval() -> None:
    ours = bootstrap(median, np.array([[[4.0, 6.0]]]))
    assert float(ours.value[0]) == 5.0
    assert np.isnan([ours.low[0], ours.high[0]]).all()


def test_seeds_that_agree_give_an_interval_of_no_width() -> None:
    ours = bootstrap(interquartile_mean, np.full((1, 5, 1), 7.0))
    assert [float(number[0]) for number in ours] == [7.0, 7.0, 7.0]


def test_the_same_runs_give_the_same_interval() -> None:
    sample = np.random.default_rng(3).normal(size=(2, 5, 2))
    first, second = bootstrap(interquartile_mean, sample), bootstrap(interquartile_mean, sample)
    np.testing.assert_array_equal(first.low, second.low)


def test_a_median_that_is_half_way_to_infinity_is_infinite() -> None:
    assert estimate(median, ([1.0, math.inf], [0, 1])).value == math.inf
    assert estimate(median, ([1.0, 3.0, math.inf], [0, 1, 2])).value == 3.0


def test_runs_without_a_number_are_left_out_of_an_estimate() -> None:
    found = estimate(median, ([1.0, NAN, 3.0, 5.0], [0, 1, 2, 3]))
    assert found == estimate(median, ([1.0, 3.0, 5.0], [0, 2, 3]))
    assert math.isnan(estimate(median, ([NAN], [0])).value)
