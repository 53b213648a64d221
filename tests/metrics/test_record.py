"""Summaries of columns by hand, and what a measure hands over."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from bench.base.errors import BenchError
from bench.metrics.combine import Mean, OfCounts, Perplexity, Z
from bench.metrics.definitions import Definition, TextKind
from bench.metrics.measures import Measure, definitions
from bench.metrics.record import Record
from bench.metrics.results import Results
from bench.store.shown import ShownColumn

ESTIMATORS = ("exact", "importance-sampling")


def share(counts: np.ndarray) -> np.ndarray:
    found: np.ndarray = counts[..., 0] / counts[..., 1]
    return found


def nll(estimator: str) -> Definition:
    about = ("nats per text", "exact", "-")
    return Definition("nll", estimator, *about, better="lower", main=True, over=Mean("nll"))  # type: ignore[arg-type]


GIVES = (
    *map(nll, ESTIMATORS),
    Definition("norm", "squared", "none", "exact", "-", over=Mean("norm", 2, partial=True)),
    Definition("ppl", "exact", "none", "exact", "-", over=Perplexity("nll")),
    Definition("share", "counted", "ratio", "exact", "-", over=OfCounts(("hits", "tries"), share)),
    Definition("carried", "probe", "nats per text", "lower bound", "-"),
)


def record(**columns: list[float]) -> Record:
    measure = Measure(
        "made up", lambda context, record: None, 3, (), (), GIVES, (TextKind("notes", "Notes"),)
    )
    made = Record(measure, "test", np.array([1, 2, 5]), seed=0)
    made.columns |= {name: np.array(values) for name, values in columns.items()}
    return made


def only(made: Record) -> dict[str, Any]:
    (one,) = made.measurements
    return one


def test_the_mean_of_a_column_with_its_interval() -> None:
    made = record(nll=[1.0, 2.0, 6.0])
    made.add("nll", "importance-sampling", samples=100)
    one, error = only(made), math.sqrt(7 / 3)  # variance (4 + 1 + 9) / 2
    assert (one["metric"], one["estimator"], one["texts"], one["samples"]) == (
        "nll",
        "importance-sampling-100",
        3,
        100,
    )
    assert (one["measure"], one["version"], one["part"], one["column"]) == ("made up", 3, None, "nll")
    assert one["value"] == 3
    assert one["standard_error"] == pytest.approx(error)
    assert (one["low"], one["high"]) == (pytest.approx(3 - Z * error), pytest.approx(3 + Z * error))
    assert (one["validity"], one["better"], one["main"]) == ("exact", "lower", True)
    assert made.given() == {("nll", "importance-sampling")}


def test_a_mean_of_squares_and_of_the_texts_that_were_measured() -> None:
    made = record(norm=[1.0, math.nan, 3.0])
    made.add("norm", "squared")
    assert (only(made)["value"], only(made)["texts"]) == (5, 2)


def test_perplexity_is_that_of_the_corpus_with_the_end_symbols_counted() -> None:
    made = record(nll=[4.0, 9.0, 9.0])
    made.add("ppl", "exact")
    one = only(made)
    rate = 22 / (2 + 3 + 6)
    assert one["value"] == pytest.approx(math.exp(rate), rel=1e-12)
    # The delta method: residuals 0, 3, -3 of a ratio, over the mean of 11/3 targets.
    error = math.sqrt(18 / 2) / (11 / 3) / math.sqrt(3)
    assert one["standard_error"] == pytest.approx(math.exp(rate) * error, rel=1e-12)
    assert math.log(one["high"]) - math.log(one["low"]) == pytest.approx(2 * Z * error, rel=1e-12)


def test_a_statistic_of_counts_with_the_interval_of_resampled_texts() -> None:
    made = record(hits=[1, 2, 3], tries=[4, 4, 4])
    made.add("share", "counted")
    one = only(made)
    assert one["value"] == 6 / 12
    assert 0.25 <= one["low"] < 0.5 < one["high"] <= 0.75
    assert one["column"] is None  # no column alone gives it


def test_what_is_not_finite_is_null_and_a_part_has_a_key_of_its_own() -> None:
    made = record()
    made.add("carried", "probe", math.nan, texts=3, part="tense")
    assert only(made)["value"] is None
    assert (only(made)["metric"], only(made)["part"]) == ("carried", "tense")
    assert json.loads(json.dumps(made.measurements, allow_nan=False)) == made.measurements


def test_what_a_measure_does_not_declare_is_refused() -> None:
    with pytest.raises(BenchError, match=r"unknown estimator 'nll, by hand'"):
        record(nll=[1.0, 1.0, 1.0]).add("nll", "by hand")
    with pytest.raises(BenchError, match=r"unknown kind of texts 'note'(.|\n)*notes"):
        record().show("note", [ShownColumn(name="text", role="decoded")], [["a"]])


def test_counts_stay_counts_in_the_table_of_texts() -> None:
    made, results = record(nll=[1.0, 2.0, 3.0]), Results.empty(np.array([1, 2, 5]))
    results.add(made, {"version": 3})
    assert {name: str(kind.dtype) for name, kind in results.columns.items()} == {
        "index": "int64",
        "words": "int64",
        "nll": "float32",
    }


def test_one_estimator_of_each_metric_stands_for_it() -> None:
    mains: dict[str, int] = {}
    for (metric, _), definition in definitions().items():
        mains[metric] = mains.get(metric, 0) + definition.main
    # Exact, importance-sampled from the posterior, or from what stands in for it; minus the ELBO of a posterior with a
    # density or without one; by a dual network, or where a paper asks for it by the densities; of the one code that
    # another text has; from a proposal for a code without a density.
    exclusive = {"nll": 4, "ppl": 4, "neg_elbo": 2, "aggregate_kl": 2, "effective_samples": 2}
    assert {m: n for m, n in mains.items() if n != exclusive.get(m, 1)} == {"elbo": 0}
