"""Cells whose printed estimator is no bound: like is held against like, and the valid number stands beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bench.analysis.compare import Cell, compare
from bench.catalog.catalog import Catalog
from bench.store.records import Records, RunRecord
from tests.analysis.synthetic import measured, run

ENDS = {"low": 95.0, "high": 105.0}


def scored(seed: int, at_mean: float, valid: float | None, **fields: Any) -> RunRecord:
    """A run of WAE-NF by the printed estimator and, unless None, by a valid one."""
    found = [measured("nll", "at-mean", at_mean, validity="not a bound", main=False)]
    if valid is not None:
        found.append(measured("nll", "importance-sampling", valid, validity="consistent", **ENDS, **fields))
    made = run("wae-nf", seed, more=found)
    return replace(made, name=made.name.replace("coupled-vae", "wae-rnf"))


def cells(catalog: Catalog, *runs: RunRecord) -> dict[tuple[str, str], Cell]:
    found = compare(catalog, Records(list(runs), [], [], []), "wae-rnf")
    return {(c.table, c.metric): c for c in found if (c.system, c.corpus) == ("wae-nf", "ptb")}


def test_the_printed_estimator_is_judged_and_the_valid_one_stands_beside_it(catalog: Catalog) -> None:
    printed = next(
        n.value
        for n in catalog.paper("wae-rnf").reported
        if (n.label, n.metric, n.corpus) == ("WAE-NF", "nll", "ptb")
    )
    found = cells(catalog, scored(0, printed, 101.0), scored(1, printed + 0.01, 103.0))
    cell = found["table2", "nll"]
    assert (cell.verdict, cell.validity) == ("reproduced", "not a bound")
    assert (cell.valid, cell.valid_by) == (102.0, "importance-sampling")
    assert cell.valid_low is None  # of two seeds no interval over texts
    one = cells(catalog, scored(0, printed, 101.0))["table2", "nll"]
    assert (one.valid_low, one.valid_high) == (95.0, 105.0)
    assert found["table1-before", "nll"].valid is None  # it is the valid number itself


def test_without_a_valid_estimate_nothing_stands_beside(catalog: Catalog) -> None:
    assert cells(catalog, scored(0, 92.0, None))["table2", "nll"].valid is None


def test_an_estimator_that_the_table_does_not_name_is_not_comparable(catalog: Catalog) -> None:
    """A table that names none takes the main one, which need not be the paper's."""
    made = run("vae", more=[measured("nll", "at-mean", 103.0, validity="not a bound")])
    found = compare(catalog, Records([made], [], [], []), "coupled-vae")
    (cell,) = (c for c in found if (c.table, c.label, c.corpus, c.metric) == ("table1", "VAE", "ptb", "nll"))
    assert cell.verdict == "not comparable"
    assert "nor a bound" in cell.reason
