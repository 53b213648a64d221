"""The measured errors of the estimators: still those of today's code, and drawn as they were measured."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest

from bench.metrics.definitions import base
from bench.metrics.measures import definitions, metrics
from bench.report import estimators
from benchmarks import estimators as program

CURVES = estimators.measured()["curves"]


def stored(metric: str, estimator: str, label: str) -> list[dict[str, Any]]:
    (curve,) = [c for c in CURVES if (c["metric"], c["estimator"], c["label"]) == (metric, estimator, label)]
    return list(curve["points"])


@pytest.mark.parametrize(
    ("again", "count"),
    [
        (lambda: program.likelihoods(program.SAMPLES[:3]), 3),
        (lambda: program.information(program.BLOCKS[:2]), 2),
        (lambda: program.attribute(program.PROBED[:1]), 1),
    ],
)
def test_measured_again_the_file_says_the_same(again: Any, count: int) -> None:
    found = list(again())
    assert found
    for curve in found:
        kept = stored(curve["metric"], curve["estimator"], curve["label"])[:count]
        for new, old in zip(curve["points"], kept, strict=True):
            assert (new["n"], new["repetitions"]) == (old["n"], old["repetitions"])
            # The same random numbers: only float32 sums of other versions of torch may differ.
            assert new["bias"] == pytest.approx(old["bias"], abs=0.05 * old["sd"] + 1e-4)
            assert new["sd"] == pytest.approx(old["sd"], rel=0.02, abs=1e-3)


def test_each_measured_estimator_errs_as_its_definition_says() -> None:
    for curve in CURVES:
        definition = definitions()[curve["metric"], curve["estimator"]]
        last, first = curve["points"][-1], curve["points"][0]
        if definition.validity == "consistent":
            assert abs(last["bias"]) < 4 * last["error"] + 0.2 * abs(first["bias"])
            assert last["sd"] < first["sd"]
        sign = {"upper bound": 1, "lower bound": -1}.get(definition.validity, 0)
        for point in curve["points"]:
            assert sign * point["bias"] >= -4 * point["error"]


def test_one_code_costs_the_gap() -> None:
    for wider in program.WIDER:
        gap = program.LinearGaussian(2, wider).gap()
        first = stored("nll", "importance-sampling", f"gap {gap:.1f} nats")[0]
        assert (first["n"], first["bias"]) == (1, pytest.approx(gap, abs=4 * first["error"]))


def test_what_is_kept_in_the_mixture_is_bounded_by_its_size() -> None:
    for point in stored("mi", "self-included", "20 nats"):
        assert 20 + point["bias"] <= math.log(point["n"]) + 1e-6


def test_the_figure_draws_every_curve_and_its_spread() -> None:
    picture = estimators.figure("mi", "leave-one-out")
    assert picture is not None
    assert all(f">{nats} nats<" in picture.svg for nats in program.NATS)
    assert len(re.findall('id="[^"]*FillBetweenPolyCollection', picture.svg)) == len(program.NATS)
    assert estimators.figure("nll", "importance-sampling-100") is not None
    assert estimators.figure("bleu1", "precision-times-brevity") is None


def test_every_estimator_has_its_cost_and_every_metric_its_symbol() -> None:
    assert [key for key, definition in definitions().items() if not definition.cost] == []
    assert {metric for metric, _ in definitions()} == set(metrics())
    assert len({metric.symbol for metric in metrics().values()}) == len(metrics())
    assert base("importance-sampling-100") == "importance-sampling"
    assert base("squared-training-mode") == "squared-training-mode"
