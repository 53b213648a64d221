"""Numbers over those of another system: of the same seed, and under the same conditions alone."""

from __future__ import annotations

from typing import Any

import pytest

from bench.analysis.cells import by_cell
from bench.analysis.compare import Cell, compare
from bench.catalog.catalog import Catalog
from bench.store.records import Records, RunRecord
from tests.analysis.synthetic import measured, run

WHERE = {"device": "cpu: one", "threads": 1, "precision": "float32", "torch": "2.13.0"}


def timed(system: str, seconds: float, seed: int = 0, **where: Any) -> RunRecord:
    time = measured("step_time", "processor", seconds, unit="s", validity="consistent")
    found = run(system, seed, more=[time])
    found.name = f"paper/ivae/ptb/{system}/seed{seed}"
    found.run["provenance"] = WHERE | where
    return found


def cells(catalog: Catalog, *runs: RunRecord) -> dict[str, Cell]:
    found = by_cell(compare(catalog, Records(list(runs), [], [], []), "ivae"))
    here = ("table3", "ptb", "train_hours_rel")
    return {one[0].system: one[0] for one in found if (one[0].table, one[0].corpus, one[0].metric) == here}


def test_times_are_told_over_those_of_the_system_that_is_named(catalog: Catalog) -> None:
    found = cells(
        catalog,
        *(timed("vae", 0.1, 0), timed("vae", 0.2, 1)),
        *(timed("ivae", 0.15, 0), timed("ivae", 0.34, 1)),
    )
    assert found["ivae"].values == pytest.approx([1.5, 1.7])
    assert (found["vae"].measured, found["vae"].unit, found["ivae"].reported) == (1.0, "ratio", 1.4)
    assert found["ivae"].verdict == "not comparable"
    assert "another kind of machine" in found["ivae"].reason
    assert "Over that of vae" in found["ivae"].definition


@pytest.mark.parametrize("key", WHERE)
def test_no_time_is_told_over_one_of_other_conditions(key: str, catalog: Catalog) -> None:
    found = cells(catalog, timed("vae", 0.1), timed("ivae", 0.15, **dict[str, Any]({key: "another"})))
    assert (found["ivae"].measured, found["ivae"].verdict) == (None, "not measured")
    assert "with none of vae on the same device" in found["ivae"].reason


def test_no_time_is_told_without_the_other(catalog: Catalog) -> None:
    assert cells(catalog, timed("ivae", 0.15))["ivae"].measured is None
    assert cells(catalog, timed("vae", 0.1, 1), timed("ivae", 0.15, 0))["ivae"].measured is None
