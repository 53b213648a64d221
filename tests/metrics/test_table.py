"""Summaries of columns by hand."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from bench.metrics.definitions import DEFINITIONS
from bench.metrics.table import Sheet, Z


def sheet(**columns: list[float]) -> Sheet:
    made = Sheet("test", np.array([1, 2, 5]))
    made.columns |= {name: np.array(values) for name, values in columns.items()}
    return made


def only(made: Sheet) -> dict[str, Any]:
    (one,) = made.measurements
    return one


def test_the_mean_of_a_column_with_its_interval() -> None:
    made = sheet(nll=[1.0, 2.0, 6.0])
    made.add_mean("nll", "importance-sampling", "nll", 100)
    one, error = only(made), math.sqrt(7 / 3)  # variance (4 + 1 + 9) / 2
    assert (one["metric"], one["estimator"], one["texts"], one["samples"]) == (
        "nll",
        "importance-sampling-100",
        3,
        100,
    )
    assert one["value"] == 3
    assert one["standard_error"] == pytest.approx(error)
    assert (one["low"], one["high"]) == (pytest.approx(3 - Z * error), pytest.approx(3 + Z * error))
    assert (one["validity"], one["better"], one["main"]) == ("consistent", "lower", True)


def test_a_mean_of_squares_and_of_the_texts_that_were_measured() -> None:
    made = sheet(norm=[1.0, math.nan, 3.0])
    made.add_mean("grad_norm_rec", "squared-training-mode", "norm", power=2)
    assert (only(made)["value"], only(made)["texts"]) == (5, 2)


def test_perplexity_is_that_of_the_corpus_with_the_end_symbols_counted() -> None:
    made = sheet(nll=[4.0, 9.0, 9.0])
    made.add_perplexity("exact", "nll", None)
    one = only(made)
    rate = 22 / (2 + 3 + 6)
    assert one["value"] == pytest.approx(math.exp(rate), rel=1e-12)
    # The delta method: residuals 0, 3, -3 of a ratio, over the mean of 11/3 targets.
    error = math.sqrt(18 / 2) / (11 / 3) / math.sqrt(3)
    assert one["standard_error"] == pytest.approx(math.exp(rate) * error, rel=1e-12)
    assert math.log(one["high"]) - math.log(one["low"]) == pytest.approx(2 * Z * error, rel=1e-12)


def test_what_is_not_finite_is_null_and_parts_name_themselves() -> None:
    made = sheet()
    made.add("attribute_information", "softmax-probe", math.nan, texts=3, part="tense")
    assert only(made)["value"] is None
    assert only(made)["metric"] == "attribute_information:tense"
    assert json.loads(json.dumps(made.measurements, allow_nan=False)) == made.measurements


def test_counts_stay_counts_in_the_table_of_texts() -> None:
    frame = sheet(nll=[1.0, 2.0, 3.0]).frame()
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == {
        "index": "int64",
        "words": "int64",
        "nll": "float32",
    }


def test_one_estimator_of_each_metric_stands_for_it() -> None:
    mains: dict[str, int] = {}
    for (metric, _), definition in DEFINITIONS.items():
        mains[metric] = mains.get(metric, 0) + definition.main
    exclusive = {"nll": 2, "ppl": 2}  # exact for language models, importance-sampled for the others
    assert {m: n for m, n in mains.items() if n != exclusive.get(m, 1)} == {"elbo": 0}
