"""The verdict rule, case by case."""

from __future__ import annotations

import math
from typing import Any

import pytest

from bench.analysis.verdict import GROUPS, MEANINGS, Evidence, half_unit, judge

# Three seeds 9.9, 10.0, 10.1: mean 10, s 0.1, t(0.975, 2) 4.302653, half width 0.1 t sqrt(4/3) = 0.496828.
SEEDS = [9.9, 10.0, 10.1]
HALF = 0.1 * 4.302652729911275 * math.sqrt(4 / 3)


def evidence(**fields: Any) -> Evidence:
    given: dict[str, Any] = {"values": SEEDS, "reported": 10.0, "decimals": 1, "better": "lower"}
    return Evidence(**given | fields)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({}, "reproduced"),
        ({"reported": 10.54}, "reproduced"),  # 10.4968 + 0.05: inside thanks to the rounding of the print
        ({"reported": 10.54, "decimals": 2}, "better"),  # printed to two decimals it is outside
        ({"reported": 9.4}, "worse"),
        ({"reported": 10.6}, "better"),
        ({"reported": 10.6, "better": "higher"}, "worse"),
        ({"reported": 9.4, "better": "higher"}, "better"),
        ({"reported": 9.4, "better": None}, "different"),
        ({"values": [10.04]}, "reproduced"),
        ({"values": [10.05]}, "reproduced"),  # exactly half a unit
        ({"values": [10.06]}, "undecided"),
        ({"values": [10.06], "over_texts": (9.0, 11.0)}, "undecided, close"),
        ({"values": [12.0], "over_texts": (11.0, 13.0)}, "undecided, far"),
        ({"values": [11.04], "over_texts": (10.05, 12.0)}, "undecided, close"),  # the edge, by rounding
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


def test_the_interval_is_for_one_further_run() -> None:
    found = judge(evidence())
    assert (found.low, found.high) == pytest.approx((10 - HALF, 10 + HALF))
    assert found.interval == "prediction for one run, from 3 seeds"


def test_the_reason_of_an_absent_number_is_passed_on() -> None:
    assert judge(evidence(values=[], absent=("failed", "out of memory"))).reason == "out of memory"


def test_two_decimals_allow_half_a_hundredth() -> None:
    assert half_unit(2) == pytest.approx(0.005)


def test_the_noise_floor_widens_both_ends() -> None:
    outside = evidence(reported=10.6, decimals=2)
    assert judge(outside).word == "better"
    assert judge(evidence(reported=10.6, decimals=2, noise=0.2)).word == "reproduced"
    assert judge(evidence(values=[10.3], noise=0.3)).word == "reproduced"
    assert "noise floor" in judge(evidence(values=[10.3], noise=0.3)).reason
    assert judge(evidence(values=[10.3], noise=0.2)).word == "undecided"


def test_an_interval_ends_where_the_quantity_does() -> None:
    wide = judge(evidence(values=[0.1, 0.3], reported=0.2, limits=(0.0, 100.0)))
    assert wide.low == 0.0
    assert wide.high == pytest.approx(0.2 + 12.7062047 * math.sqrt(0.02) * math.sqrt(1.5))
    assert wide.interval == "prediction for one run, from 2 seeds; cut at 0, its limit"
    both = judge(evidence(values=[2.0, 98.0], reported=50.0, limits=(0.0, 100.0)))
    assert (both.low, both.high) == (0.0, 100.0)
    assert both.interval.endswith("cut at 0 and 100, its limit")
    inside = judge(evidence(limits=(0.0, None)))
    assert inside.low == pytest.approx(10 - HALF)
    assert inside.interval == "prediction for one run, from 3 seeds"
    impossible = judge(evidence(values=[-1.0, 2.0], limits=(0.0, None)))
    assert impossible.low == -1.0  # a number of ours that cannot be is not hidden


def test_every_verdict_is_counted_once_but_that_without_a_print() -> None:
    counted = [word for words in GROUPS.values() for word in words]
    assert sorted(counted) == sorted(set(MEANINGS) - {"not printed"})
