"""The weight of the KL at steps for which the released code's formula gives a round number."""

from __future__ import annotations

import pytest

from bench.declarations import load_catalog
from bench.objectives.schedules import Constant, Linear
from bench.parts import build
from bench.plan import resolve


@pytest.mark.parametrize(
    ("start", "ceiling", "step", "weight"),
    [
        (2000, 1.0, 1, 0.0),
        (2000, 1.0, 2000, 0.0),
        (2000, 1.0, 2001, 1 / 40_000),
        (2000, 1.0, 30_000, 0.70),
        (2000, 1.0, 38_000, 0.90),
        (2000, 1.0, 41_999, 39_999 / 40_000),
        (2000, 1.0, 42_000, 1.0),
        (2000, 1.0, 60_000, 1.0),
        (1000, 1.0, 1001, 1 / 40_000),
        (1000, 1.0, 41_000, 1.0),
        # The ceiling moves the end of the ramp, not its slope.
        (2000, 0.8, 33_999, 31_999 / 40_000),
        (2000, 0.8, 34_000, 0.8),
        (2000, 0.8, 42_000, 0.8),
        (2000, 1.2, 42_000, 1.0),
        (2000, 1.2, 49_999, 47_999 / 40_000),
        (2000, 1.2, 50_000, 1.2),
        (2000, 1.2, 60_000, 1.2),
    ],
)
def test_linear(start: int, ceiling: float, step: int, weight: float) -> None:
    found = Linear(start=start, length=40_000, ceiling=ceiling)(step)
    assert found == pytest.approx(weight, rel=1e-12, abs=0)


def test_constant() -> None:
    assert [Constant(ceiling=0.3)(step) for step in (1, 10_000)] == [0.3, 0.3]


@pytest.mark.parametrize(("corpus", "start"), [("ptb", 2000), ("yelp13", 1000), ("yahoo", 1000)])
@pytest.mark.parametrize(
    ("system", "ceiling"), [("vae", 1.0), ("beta-0.8-vae", 0.8), ("coupled-beta-1.2-vae", 1.2)]
)
def test_the_declared_schedules_are_those_of_the_released_code(
    corpus: str, start: int, system: str, ceiling: float
) -> None:
    schedule = build(
        "schedule", *resolve(load_catalog(), "paper", "coupled-vae", corpus, system, 0).schedule.pair()
    )
    assert (schedule.start, schedule.length, schedule.ceiling) == (start, 40_000, ceiling)
