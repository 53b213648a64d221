"""What is known of the spread over seeds."""

from __future__ import annotations

import math
from dataclasses import astuple

import numpy as np
import pytest

from bench.analysis.spread import CommonSpreads, Spread, common_spread, moderated, own_spread
from bench.catalog.quantities import PrintedQuantity
from bench.store.records import Records
from tests.analysis.synthetic import run


def systems(count: int, seeds: int, deviations: np.ndarray) -> list[list[float]]:
    random = np.random.default_rng(7)
    return [random.normal(100, deviation, seeds).tolist() for deviation in deviations[:count]]


def fields_of(spread: Spread | None) -> tuple[float, ...]:
    assert spread is not None
    return astuple(spread)


def test_one_run_says_nothing_of_its_spread() -> None:
    assert own_spread([1.0]) is None
    assert common_spread([[1.0], [2.0]]) is None
    assert moderated(None, None) is None


def test_systems_alike_share_one_variance_with_all_their_degrees_of_freedom() -> None:
    found = common_spread(systems(200, 8, np.full(200, 0.2)))
    assert found is not None
    assert found.deviation == pytest.approx(0.2, rel=0.15)
    assert found.systems == 200
    assert 20 < found.freedom <= 400  # never more than were measured


def test_systems_unlike_leave_each_its_own() -> None:
    unlike = common_spread(systems(400, 6, np.geomspace(0.01, 10, 400)))
    assert unlike is not None
    assert unlike.freedom < 1.5
    own = Spread(4.0, 5, 1, 5)
    both = moderated(own, unlike)
    assert both is not None
    assert both.variance > 0.75 * 4.0


def test_a_draw_of_variances_is_recovered() -> None:
    """Inverse chi-squared variances with 8 degrees of freedom around 0.04 (Smyth 2004, equation 3)."""
    random = np.random.default_rng(3)
    variances = 0.04 * 8 / random.chisquare(8, 4000)
    found = common_spread([random.normal(0, math.sqrt(v), 4).tolist() for v in variances])
    assert found is not None
    assert found.variance == pytest.approx(0.04, rel=0.05)
    assert found.freedom == pytest.approx(8, rel=0.15)


def test_runs_without_any_spread_are_left_out_and_one_system_keeps_its_own_degrees() -> None:
    found = common_spread([[0.0, 0.0], [1.0, 1.2, 1.4]])
    assert found is not None
    assert fields_of(found) == pytest.approx((0.04, 2, 1, 2))
    assert moderated(own_spread([5.0, 7.0]), found) == own_spread([5.0, 7.0])
    assert moderated(None, found) == found


def test_runs_that_gave_one_number_do_not_show_that_there_is_no_spread() -> None:
    same = own_spread([3.0, 3.0])
    assert moderated(same, None) is None
    assert moderated(same, common_spread([[3.0, 3.0]])) is None
    other = common_spread([[1.0, 1.2]])
    assert moderated(same, other) == other


def test_no_spread_has_more_degrees_of_freedom_than_were_measured() -> None:
    pairs = [[0.0, 0.2], [1.0, 1.2], [2.0, 2.2]]
    common = common_spread(pairs)
    assert common is not None
    found = moderated(own_spread(pairs[0]), common)
    assert found is not None
    assert found.freedom == common.freedom == 3
    assert found.variance == pytest.approx(0.02)


def test_a_column_is_one_quantity_of_one_source_and_corpus() -> None:
    runs = [run("vae", seed, values={"nll": 100 + 0.2 * seed, "kl": 5.0}) for seed in (0, 1)]
    runs += [run("gru-lm", values={"nll": 200.0})]  # one run: no witness
    runs += [run("vae", seed, corpus="yelp13", values={"nll": 100 + 9.0 * seed}) for seed in (0, 1)]
    runs += [run("vae", seed, tier="quick", values={"nll": 100 + 9.0 * seed}) for seed in (0, 1)]
    spreads = CommonSpreads(Records(runs, [], [], []))
    nll = PrintedQuantity(metric="nll", decimals=1)
    place = runs[0].group[:4]
    assert fields_of(spreads.of(place, nll)) == pytest.approx((0.02, 1, 1, 1))
    assert spreads.of(place, PrintedQuantity(metric="kl", decimals=1)) is None
    assert fields_of(spreads.of(runs[3].group[:4], nll)) == pytest.approx((40.5, 1, 1, 1))
