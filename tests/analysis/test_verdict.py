"""The verdict rule, case by case."""

from __future__ import annotations

import math
from typing import Any

import pytest

from bench.analysis.spread import Spread
from bench.analysis.verdict import (
    GROUPS,
    MEANINGS,
    MOST_SEEDS,
    UNKNOWN_SPREAD,
    Evidence,
    Margin,
    half_width,
    judge,
)
from bench.base.files import read_json
from bench.report.estimators import VERDICTS
from benchmarks.verdicts import MARGIN, shares

# Three seeds 9.9, 10.0, 10.1: s 0.1, two degrees of freedom, t(0.95, 2) = 2.919986; one decimal is printed.
SEEDS = [9.9, 10.0, 10.1]
HALF = 2.919985580353724 * math.sqrt(0.01 * (1 + 1 / 3) + 0.01 / 12)
COMMON = Spread(0.01, 20.0, 8, 20)
ONE = 1.7247182429207863 * math.sqrt(0.01 * 2 + 0.01 / 12)  # one run with the common spread, t(0.95, 20)


def evidence(**fields: Any) -> Evidence:
    given: dict[str, Any] = {"values": SEEDS, "reported": 10.0, "decimals": 1, "better": "lower"}
    return Evidence(**given | {"margin": Margin(0.5, "made up")} | fields)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({}, "reproduced"),
        ({"reported": 10.5 - HALF - 0.001}, "reproduced"),
        ({"reported": 10.5 - HALF + 0.001}, "undecided"),
        ({"reported": 10.5 + HALF - 0.001}, "undecided"),
        ({"reported": 10.5 + HALF + 0.001}, "better"),
        ({"reported": 9.0}, "worse"),
        ({"reported": 11.0, "better": "higher"}, "worse"),
        ({"reported": 9.0, "better": "higher"}, "better"),
        ({"reported": 9.0, "better": None}, "different"),
        ({"margin": None}, "undecided"),
        ({"margin": Margin(0.3, "narrow")}, "undecided"),  # equal, but the interval is wider than the margin
        ({"values": [10.0]}, "undecided"),  # nothing is known of the spread, however well it agrees
        ({"values": [12.0]}, "undecided"),
        ({"values": [10.0], "spread": COMMON}, "reproduced"),
        ({"values": [10.5 - ONE + 0.001], "spread": COMMON}, "undecided"),
        ({"values": [12.0], "spread": COMMON}, "worse"),
        ({"reported": None}, "not printed"),
        ({"incomparable": "tier quick"}, "not comparable"),
        ({"incomparable": "tier quick", "reported": None}, "not comparable"),
        ({"values": []}, "not run"),
        ({"values": [], "absent": ("failed", "boom"), "incomparable": "tier quick"}, "failed"),
        ({"values": [], "absent": ("not measured", "no kl")}, "not measured"),
    ],
)
def test_verdict(fields: dict[str, Any], word: str) -> None:
    found = judge(evidence(**fields))
    assert found.word == word
    assert found.word in MEANINGS


def test_more_noise_never_makes_a_number_reproduced() -> None:
    quiet, noisy = evidence(), evidence(values=[9.0, 10.0, 11.0])
    assert (judge(quiet).word, judge(noisy).word) == ("reproduced", "undecided")


def test_the_reason_gives_difference_half_width_and_whose_spread_it_is() -> None:
    reason = judge(evidence(reported=10.2)).reason
    assert reason.startswith(f"-0.200 ± {HALF:.3f}, 3 seeds")
    single = judge(evidence(values=[10.1], spread=COMMON))
    assert f"+0.100 ± {ONE:.3f}, one run, judged by the spread of 8 other systems" in single.reason


def test_an_undecided_cell_says_how_many_more_seeds_would_decide() -> None:
    found = judge(evidence(reported=10.5 - HALF + 0.001))
    assert found.seeds_needed is not None
    enough = Spread(0.01, 2 + found.seeds_needed, 1, 2)
    assert 0.5 - HALF + 0.001 + half_width(evidence(), Spread(0.01, 2, 1, 2), 3) > 0.5
    assert abs(10.0 - (10.5 - HALF + 0.001)) + half_width(evidence(), enough, 3 + found.seeds_needed) <= 0.5
    assert f"{found.seeds_needed} more seed" in found.reason


def test_where_the_print_is_too_uncertain_no_number_of_seeds_is_promised() -> None:
    found = judge(evidence(margin=Margin(0.1, "narrow")))
    assert found.seeds_needed is None
    assert f"{MOST_SEEDS} more seeds would not" in found.reason


def test_a_printed_mean_over_several_runs_is_less_uncertain_than_a_single_one() -> None:
    narrow = Margin(0.25, "narrow")
    assert judge(evidence(margin=narrow)).word == "undecided"
    assert judge(evidence(margin=narrow, printed_runs=10)).word == "reproduced"


def test_a_print_that_was_rounded_more_than_once_is_less_certain() -> None:
    """The variance of an error anywhere within the slack r is r^2 / 3; without one, r is half a unit: 0.05."""
    spread = Spread(0.01, 2, 1, 2)
    plain, coarse = half_width(evidence(), spread, 3), half_width(evidence(slack=0.112), spread, 3)
    assert half_width(evidence(slack=0.05), spread, 3) == pytest.approx(plain)
    assert coarse**2 - plain**2 == pytest.approx(2.919985580353724**2 * (0.112**2 - 0.05**2) / 3)
    edge = 10.5 - HALF - 0.001
    assert [judge(evidence(reported=edge, slack=slack)).word for slack in (None, 0.112)] == [
        "reproduced",
        "undecided",
    ]


def test_runs_that_gave_one_number_decide_nothing() -> None:
    assert judge(evidence(values=[10.0, 10.0])).reason == UNKNOWN_SPREAD


@pytest.mark.parametrize(("seeds", "power"), [(1, 0.25), (3, 0.6)])
def test_the_simulated_shares_are_those_of_the_rule_and_keep_its_error(seeds: int, power: float) -> None:
    kept = read_json(VERDICTS)
    (curve,) = [c["points"] for c in kept["curves"] if c["seeds"] == seeds]
    near, edge, far = (next(p for p in curve if p["shift"] == shift) for shift in (0.0, MARGIN, 3 * MARGIN))
    error = 0.05 + 3 * math.sqrt(0.05 * 0.95 / kept["repetitions"])
    assert edge["reproduced"] <= error
    assert edge["refuted"] <= error
    assert near["reproduced"] > power
    assert near["refuted"] <= error
    assert far["refuted"] > 0.9
    again = shares(0.0, seeds, 100)
    assert again["reproduced"] == pytest.approx(near["reproduced"], abs=0.15)


def test_the_interval_is_for_one_further_run() -> None:
    found = judge(evidence())
    half = 0.1 * 4.302652729911275 * math.sqrt(4 / 3)
    assert (found.low, found.high) == pytest.approx((10 - half, 10 + half))
    assert found.interval == "prediction for one run, from 3 seeds"


def test_the_reason_of_an_absent_number_is_passed_on() -> None:
    assert judge(evidence(values=[], absent=("failed", "out of memory"))).reason == "out of memory"


def test_an_interval_ends_where_the_quantity_does() -> None:
    wide = judge(evidence(values=[0.1, 0.3], reported=0.2, limits=(0.0, 100.0)))
    assert wide.low == 0.0
    assert wide.high == pytest.approx(0.2 + 12.7062047 * math.sqrt(0.02) * math.sqrt(1.5))
    assert wide.interval == "prediction for one run, from 2 seeds; cut at 0, its limit"
    both = judge(evidence(values=[2.0, 98.0], reported=50.0, limits=(0.0, 100.0)))
    assert (both.low, both.high) == (0.0, 100.0)
    assert both.interval.endswith("cut at 0 and 100, its limit")
    impossible = judge(evidence(values=[-1.0, 2.0], limits=(0.0, None)))
    assert impossible.low == -1.0  # a number of ours that cannot be is not hidden


def test_every_verdict_is_counted_once_but_that_without_a_print() -> None:
    counted = [word for words in GROUPS.values() for word in words]
    assert sorted(counted) == sorted(set(MEANINGS) - {"not printed"})
