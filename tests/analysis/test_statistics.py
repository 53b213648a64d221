"""Intervals against closed forms and against scipy's bootstrap and t-test."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bench.analysis.statistics import (
    RESAMPLES,
    difference,
    mean_interval,
    prediction_interval,
    resampled_sums,
)


def test_prediction_interval_of_two_runs() -> None:
    low, high = prediction_interval([1.0, 3.0])
    half = 12.706204736174696 * np.sqrt(2) * np.sqrt(1.5)  # t(0.975, 1), s = sqrt(2), n = 2
    assert (low, high) == pytest.approx((2 - half, 2 + half))


def test_interval_of_the_mean_is_that_of_the_t_test() -> None:
    values = [0.3, -0.1, 0.9, 0.4]
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert mean_interval(values) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("interval", [prediction_interval, mean_interval])
def test_one_run_has_no_interval_over_seeds(interval: object) -> None:
    with pytest.raises(ValueError, match="two runs"):
        interval([1.0])  # type: ignore[operator]


def test_prediction_interval_covers_a_further_run_in_95_percent() -> None:
    draws = np.random.default_rng(0).normal(size=(4000, 5))
    inside = sum(
        low <= row[4] <= high for row in draws for low, high in [prediction_interval(row[:4].tolist())]
    )
    assert inside / len(draws) == pytest.approx(0.95, abs=0.012)


def test_sums_over_resampled_texts() -> None:
    columns = np.random.default_rng(1).gamma(2, 10, (300, 2)) + 1000
    sums = resampled_sums(columns)
    assert sums.shape == (RESAMPLES, 2)
    spread = np.sqrt(300) * columns.std(axis=0)
    assert sums.mean(axis=0) == pytest.approx(columns.sum(axis=0), abs=4 * spread.max() / np.sqrt(RESAMPLES))
    assert sums.std(axis=0) == pytest.approx(spread, rel=0.05)
    ones = resampled_sums(np.ones((300, 1)))
    assert ones == pytest.approx(300.0)
    # the same texts are drawn whatever is summed: what is linear stays so in every resample
    total = resampled_sums(columns.sum(axis=1, keepdims=True))[:, 0]
    assert total == pytest.approx(sums.sum(axis=1), rel=1e-6)


def test_one_seed_agrees_with_scipy() -> None:
    change = np.random.default_rng(2).normal(0.3, 2, 300)
    found = difference(np.array([change.mean()]), resampled_sums(change[:, None]).T / 300, 300)
    expected = stats.bootstrap((change,), np.mean, method="percentile", rng=2).confidence_interval
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.02)
    assert found.mean == pytest.approx(change.mean())
    assert (found.texts, found.seeds) == (300, 1)


def test_two_seeds_reach_at_least_as_far_as_student() -> None:
    noise = resampled_sums(np.random.default_rng(3).normal(0, 1, (200, 1))).T / 200
    by_seed = np.array([0.5, 0.7, 0.9])
    draws = by_seed[:, None] + noise
    found = difference(by_seed, draws, 200)
    low, high = mean_interval(by_seed.tolist())
    assert (found.low, found.high) == pytest.approx((low, high))  # 3 seeds: t is the wider
    calm = difference(np.array([0.5, 0.5, 0.5]), 0.5 + np.repeat(noise, 3, axis=0), 200)
    assert (calm.low, calm.high) == pytest.approx(tuple(0.5 + np.quantile(noise, [0.025, 0.975])), abs=1e-9)
    assert calm.excludes_zero


def test_resampled_counts_are_whole_and_never_negative() -> None:
    columns = np.zeros((900, 2))
    columns[:3, 0] = 1.0  # of 4-grams that match, say: many resamples have none of them
    columns[:, 1] = np.random.default_rng(1).normal(size=900)
    counts, other = resampled_sums(columns).T
    assert set(counts) <= set(map(float, range(20)))
    assert 0.03 < (counts == 0).mean() < 0.07  # (1 - 3 / 900) ** 900 is 0.0495
    assert (other != np.rint(other)).any()


@pytest.mark.parametrize("lost", [np.nan, np.inf])
def test_resampled_texts_whose_number_is_not_finite_give_no_interval(lost: float) -> None:
    draws = np.full((2, RESAMPLES), 0.5)
    draws[1, 7] = lost  # as of two perplexities that both exceed what a float holds
    one = difference(np.array([0.4]), draws[1:], 60)
    assert (one.low, one.high) == (None, None)
    both = difference(np.array([0.4, 0.5]), draws, 60)
    assert (both.low, both.high) == mean_interval([0.4, 0.5])


def test_without_values_per_text_seeds_alone_give_an_interval() -> None:
    one = difference(np.array([0.4]), None)
    assert (one.low, one.high, one.texts, one.excludes_zero) == (None, None, None, False)
    two = difference(np.array([0.4, 0.5]), None)
    assert (two.low, two.high) == pytest.approx(mean_interval([0.4, 0.5]))


def test_interval_over_seeds_and_texts_covers_the_truth() -> None:
    """True difference 0; texts and seeds both move the mean. The interval may be too wide, not too narrow."""
    random, inside, worlds = np.random.default_rng(4), 0, 200
    for _ in range(worlds):
        of_texts, of_seeds = random.normal(0, 1, 60), random.normal(0, 0.2, (3, 1))
        rows = of_texts + of_seeds + random.normal(0, 0.5, (3, 60))
        draws = np.concatenate([resampled_sums(row[:, None]).T / 60 for row in rows])
        found = difference(rows.mean(axis=1), draws, 60)
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= 0 <= found.high
    assert inside / worlds >= 0.93
