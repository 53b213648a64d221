"""Intervals against closed forms and against scipy's bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bench.report.statistics import paired_difference, prediction_interval


def test_prediction_interval_of_two_runs() -> None:
    low, high = prediction_interval([1.0, 3.0])
    half = 12.706204736174696 * np.sqrt(2) * np.sqrt(1.5)  # t(0.975, 1), s = sqrt(2), n = 2
    assert (low, high) == pytest.approx((2 - half, 2 + half))


def test_one_run_predicts_nothing() -> None:
    with pytest.raises(ValueError, match="two runs"):
        prediction_interval([1.0])


def test_prediction_interval_covers_a_further_run_in_95_percent() -> None:
    draws = np.random.default_rng(0).normal(size=(4000, 5))
    inside = sum(
        low <= row[4] <= high for row in draws for low, high in [prediction_interval(row[:4].tolist())]
    )
    assert inside / len(draws) == pytest.approx(0.95, abs=0.012)


def test_one_seed_agrees_with_scipy() -> None:
    random = np.random.default_rng(1)
    baseline = random.gamma(2, 10, 300)
    twin = baseline + random.normal(0.3, 2, 300)
    found = paired_difference({0: baseline}, {0: twin}, seed=5)
    expected = stats.bootstrap((twin - baseline,), np.mean, method="percentile", rng=2).confidence_interval
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.02)
    assert found.mean == pytest.approx((twin - baseline).mean())
    assert (found.texts, found.seeds) == (300, 1)


def test_pairing_sees_a_difference_that_the_spread_of_texts_hides() -> None:
    random = np.random.default_rng(2)
    texts = random.normal(100, 40, 400)
    found = paired_difference({0: texts}, {0: texts - 0.5 + random.normal(0, 0.3, 400)}, seed=0)
    assert found.excludes_zero
    assert found.high < 0


def test_seeds_that_disagree_widen_the_interval() -> None:
    random = np.random.default_rng(3)
    texts = random.normal(100, 40, 200)
    baseline = dict.fromkeys(range(4), texts)
    twin = {
        seed: texts + shift + random.normal(0, 0.1, 200) for seed, shift in enumerate((-3.0, 3.0, -2.0, 2.2))
    }
    found = paired_difference(baseline, twin, seed=0)
    assert found.seeds == 4
    assert not found.excludes_zero
    assert found.high - found.low > 3


def test_seeds_without_a_partner() -> None:
    one, two, three = (np.full(5, value) for value in (1.0, 2.0, 3.0))
    shared = paired_difference({0: one, 1: one}, {0: two, 2: three}, seed=0)
    assert (shared.mean, shared.seeds) == (1.0, 1)
    apart = paired_difference({0: one, 1: three}, {2: three}, seed=0)
    assert (apart.mean, apart.seeds) == (1.0, 1)


def test_the_same_seed_gives_the_same_interval() -> None:
    values = np.random.default_rng(4).normal(size=50)
    zero = np.zeros(50)
    assert paired_difference({0: zero}, {0: values}, seed=9) == paired_difference(
        {0: zero}, {0: values}, seed=9
    )
