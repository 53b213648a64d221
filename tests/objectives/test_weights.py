"""The weight of the KL at steps for which the released code's formula gives a round number."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import pytest

from bench.catalog.catalog import load_catalog
from bench.objectives.weights import Constant, Cyclical, Linear, PeakStopped, PIControlled, Sigmoid, Tanh
from bench.planning.resolve import resolve
from bench.training.composition import build_objective


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
    found = Linear(start=start, length=40_000, ceiling=ceiling)(step, dict)
    assert found == pytest.approx(weight, rel=1e-12, abs=0)


@pytest.mark.parametrize(("step", "weight"), [(1, 0.2), (5, 0.6), (9, 1.0), (10, 1.0)])
def test_linear_from_a_floor(step: int, weight: float) -> None:
    assert Linear(start=0, length=10, floor=0.1)(step, dict) == pytest.approx(weight, rel=1e-12)


@pytest.mark.parametrize(
    ("step", "weight"),
    [
        (1, 0.0),
        (1999, 0.0),
        (2000, 0.0),
        (2001, 1 / 5000),
        (4500, 0.5),
        (6999, 4999 / 5000),
        (7000, 1.0),
        (11_999, 1.0),
        (12_000, 0.0),
        (12_001, 1 / 5000),
        (32_000, 0.0),
        (36_999, 4999 / 5000),
        (37_000, 1.0),
        (41_999, 1.0),
        (42_000, 0.0),  # the last step of the cycles wraps round once more
        (42_001, 1.0),
        (60_000, 1.0),
    ],
)
def test_four_cycles_of_ten_thousand_steps(step: int, weight: float) -> None:
    found = Cyclical(start=2000, length=40_000)(step, dict)
    assert found == pytest.approx(weight, rel=1e-12, abs=0)


@pytest.mark.parametrize(
    ("options", "weights"),
    [
        # P = 10/4 = 2.5 steps: tau = 0, .4, .8, .2, .6, and once more; then the end of the last cycle
        ({"length": 10}, [0, 0, 0.8, 1, 0.4, 1, 0, 0.8, 1, 0.4, 1, 0, 1, 1]),
        ({"length": 8, "cycles": 2, "ratio": 1.0}, [0, 0, 0.25, 0.5, 0.75, 0, 0.25, 0.5, 0.75, 0, 1, 1]),
        ({"length": 4, "cycles": 1, "ceiling": 0.8}, [0, 0, 0.4, 0.8, 0.8, 0, 0.8]),
    ],
)
def test_cycles_by_hand(options: dict[str, Any], weights: list[float]) -> None:
    weight = Cyclical(start=2, **options)
    found = [weight(step, dict) for step in range(1, len(weights) + 1)]
    assert found == pytest.approx(weights, rel=1e-12, abs=0)


def test_constant() -> None:
    assert [Constant(value=0.3)(step, dict) for step in (1, 10_000)] == [0.3, 0.3]


@pytest.mark.parametrize(("corpus", "start"), [("ptb", 2000), ("yelp13", 1000), ("yahoo", 1000)])
@pytest.mark.parametrize(
    ("system", "ceiling"), [("vae", 1.0), ("beta-0.8-vae", 0.8), ("coupled-beta-1.2-vae", 1.2)]
)
def test_the_declared_weights_are_those_of_the_released_code(
    corpus: str, start: int, system: str, ceiling: float
) -> None:
    run = resolve(load_catalog(), "paper", "coupled-vae", corpus, system, 0)
    weight = build_objective(run).weights["kl"]
    assert isinstance(weight, Linear)
    assert (weight.start, weight.length, weight.ceiling) == (start, 40_000, ceiling)


def peak(**options: Any) -> PeakStopped:
    return PeakStopped(**{"length": 10, "smooth": 1, "patience": 2, "shape": "linear", **options})


def weights_of(weight: Any, divergences: Sequence[float]) -> list[float]:
    """The weights of as many steps, of which each gives one of the divergences."""
    seen: dict[str, float] = {}
    found = []
    for step, divergence in enumerate(divergences, 1):
        found.append(weight(step, seen.copy))
        seen |= {"kl": divergence, "total": 1.0}
    return found


def test_the_ramp_ends_where_the_weighted_term_has_its_peak() -> None:
    # Weighted: 0.1 * 10, 0.2 * 9, 0.3 * 7 = 2.1, 0.4 * 5 = 2.0, 0.5 * 3 = 1.5; two steps after the peak it is known.
    assert weights_of(peak(), [10, 9, 7, 5, 3, 9, 9]) == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.3, 0.3])


def test_a_term_that_only_rises_leaves_the_whole_ramp() -> None:
    found = weights_of(peak(length=4), [1, 2, 3, 4, 5, 6])
    assert found == [0.25, 0.5, 0.75, 1, 1, 1]


def test_the_curve_is_that_of_the_released_code() -> None:
    weight = peak(length=9000, shape="tanh")
    found = [weight(step, dict) for step in (1, 1000, 2000, 2300, 3000, 4500)]
    assert found == pytest.approx([0.000124, 0.000911, 0.006693, 0.012128, 0.047426, 0.5], abs=5e-7)


def test_one_that_has_stopped_asks_for_nothing() -> None:
    def refused() -> dict[str, float]:
        raise AssertionError("the device would be waited for")

    weight = peak()
    weights_of(weight, [10, 9, 7, 5, 3, 9])
    assert weight.state["stopped"]
    assert weight(7, refused) == pytest.approx(0.3)


def test_a_weight_goes_on_from_its_state() -> None:
    divergences = [10, 9, 7, 5, 3, 9, 9]
    whole = weights_of(peak(smooth=3), divergences)
    first, second = peak(smooth=3), peak(smooth=3)
    seen: dict[str, float] = {}
    found = []
    for step, divergence in enumerate(divergences, 1):
        if step == 4:
            second.state = json.loads(json.dumps(first.state))
        found.append((first if step < 4 else second)(step, seen.copy))
        seen["kl"] = divergence
    assert found == whole


@pytest.mark.parametrize(
    ("step", "weight"), [(1, 0.1), (6_796, 0.6), (12_232, 1.0), (13_590, 1.0), (13_591, 0.1)]
)
def test_cycles_from_a_floor(step: int, weight: float) -> None:
    """The released code of Fang et al. 2019: from 0.1, by 0.1 an epoch of 1,359 batches, anew after ten epochs."""
    run = resolve(load_catalog(), "paper", "ivae", "ptb", "cyc-vae", 0)
    found = build_objective(run).weights["kl"](step, lambda: {})
    assert found == pytest.approx(weight, abs=1e-4)


@pytest.mark.parametrize(
    ("stop", "step", "weight"),
    [
        (3000, 1, 0.0),
        # What the released code prints after a step is used in the next one.
        (3000, 2, 0.000124),
        (3000, 1001, 0.000911),
        (3000, 2001, 0.006693),
        (2300, 2301, 0.012128),
        (2300, 80_000, 0.012128),
        (3000, 3001, 0.047426),
        (3000, 80_000, 0.047426),
        (9000, 4501, 0.5),
    ],
)
def test_a_tanh_that_stops_at_a_fixed_step(stop: int, step: int, weight: float) -> None:
    assert Tanh(length=9000, stop=stop)(step, dict) == pytest.approx(weight, abs=5e-7)


@pytest.mark.parametrize(
    ("step", "weight"), [(1, 0.007392), (50, 0.5), (70, 0.880797), (100, 0.993307), (101, 1.0), (500, 1.0)]
)
def test_sigmoid(step: int, weight: float) -> None:
    assert Sigmoid(length=100)(step, dict) == pytest.approx(weight, abs=5e-7)


def controlled(divergences: Sequence[float], form: str, least: float = 0.0) -> list[float]:
    """Algorithm 1, line by line, with the three tests of the three sources; the first step has no KL before it."""
    integral, before_cut, weight, found = 0.0, least, least, [least]
    for kl in divergences[:-1]:
        error = 3.0 - kl
        inside = {
            "printed": least <= weight <= 1,
            "language-model": not (before_cut < least and before_cut > 1),
            "dialogue": least <= before_cut <= 1,
        }[form]
        if inside:
            integral = integral - 0.02 * error
        before_cut = 0.5 / (1 + math.exp(error)) + integral + least
        weight = max(min(before_cut, 1.0), least)
        found.append(weight)
    return found


KLS = [0.0] * 40 + [8.0, 9.0, 7.0, 5.0, 4.0, 3.0, 2.0, 1.0, 3.5] + [60.0] * 3 + [2.0] * 4


@pytest.mark.parametrize("form", ["printed", "language-model", "dialogue"])
@pytest.mark.parametrize("least", [0.0, 0.1])
def test_a_controller_is_the_printed_algorithm_with_the_test_of_its_source(form: Any, least: float) -> None:
    weight = PIControlled(target=3.0, kp=0.5, ki=0.02, least=least, form=form)
    found = weights_of(weight, KLS)
    assert found == pytest.approx(controlled(KLS, form, least), abs=1e-12)
    assert min(found) == least
    assert json.loads(json.dumps(weight.state)) == weight.state


def test_only_a_controller_with_anti_windup_answers_at_once_when_the_kl_passes_its_target() -> None:
    forms: list[Any] = ["printed", "language-model", "dialogue"]
    printed, code, dialogue = (
        weights_of(PIControlled(target=3.0, ki=0.002, form=form), KLS) for form in forms
    )
    assert printed == code
    assert (printed[41], dialogue[41] > 0) == (0.0, True)


def test_a_controller_is_not_upset_by_any_kl() -> None:
    assert weights_of(PIControlled(target=3.0), [1e6, 0.0, 1e-9, 1e6])[1] == 1.0
    assert weights_of(PIControlled(target=1e5), [0.0, 0.0])[1] == 0.0
