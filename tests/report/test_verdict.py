"""The verdict rule, case by case."""

from __future__ import annotations

import math
from typing import Any

import pytest

from bench.report.verdict import MEANINGS, Evidence, half_unit, judge

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
