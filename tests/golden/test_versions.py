"""What to raise when numbers move: the parts that all systems have that moved, and no other has."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import tiny_settings
from tests.declared import RUNS
from tests.golden.golden import settings_of
from tests.golden.versions import Run, advice, candidates, parts_of, unversioned

PARTS: dict[Run, frozenset[str]] = {
    ("p", "lm"): frozenset({"decoder gru"}),
    ("p", "vae"): frozenset({"decoder gru", "posterior gaussian", "term kl"}),
    ("p", "coupled"): frozenset({"decoder gru", "posterior gaussian", "term kl", "coupling twin"}),
    ("p", "vmf"): frozenset({"decoder gru", "posterior vmf", "term kl"}),
}


@pytest.mark.parametrize(
    ("moved", "found"),
    [
        ([], []),
        (["coupled"], ["coupling twin"]),
        (["vae", "coupled"], ["posterior gaussian"]),
        (["vae", "coupled", "vmf"], ["term kl"]),
        (["lm", "vae", "coupled", "vmf"], ["decoder gru"]),
        (["vae"], []),  # every part of it is in a system that stayed
    ],
)
def test_candidates(moved: list[str], found: list[str]) -> None:
    assert candidates([("p", system) for system in moved], PARTS) == found


def test_the_parts_of_a_real_system() -> None:
    assert {"decoder gru", "term reconstruction"} <= parts_of(tiny_settings("gru-lm"))
    assert {"posterior gaussian", "coupling twin"} <= parts_of(tiny_settings("coupled-vae"))


def test_every_part_of_a_golden_system_can_be_named() -> None:
    """A part that moves all systems that have it is found, perhaps with others that the same systems have."""
    parts = {run: parts_of(settings_of(*run)) for run in RUNS}
    for part in frozenset().union(*parts.values()):
        assert part in candidates([run for run, found in parts.items() if part in found], parts)


def test_the_advice_counts_the_runs_that_become_stale() -> None:
    catalog = [tiny_settings(system, seed) for system in ("vae", "coupled-vae", "gru-lm") for seed in (0, 1)]
    text = advice({("p", "coupled"): ["training loss"]}, PARTS, catalog)
    assert "coupling twin: 2 runs of the catalog" in text
    text = advice({("p", "vae"): ["training loss", "measured nll exact"]}, PARTS, catalog)
    assert "the stage train: 6 runs of the catalog" in text
    assert "posterior gaussian: 4 runs of the catalog, if it was changed" in text
    assert "measure" not in text  # other weights have other measurements


def test_numbers_that_only_measuring_moved_train_nothing() -> None:
    text = advice({("p", "vae"): ["measured nll importance-sampling-100", "column nll"]}, PARTS, [])
    assert "measure likelihood: measured again alone" in text
    assert "stage" not in text


def test_columns_that_moved_alone_name_themselves() -> None:
    text = advice({("p", "vae"): ["column nll", "column mi_aggregate"]}, PARTS, [])
    assert "the measure that writes mi_aggregate, nll: measured again alone" in text


@pytest.mark.parametrize(
    ("moved", "change", "faults"),
    [
        (["training kl"], {}, ["a part of it, or of the stage train"]),
        (["training kl", "measured nll importance-sampling-4"], {"training": "other"}, []),
        (["measured nll importance-sampling-4", "column nll"], {}, ["the measure likelihood"]),
        (["measured nll importance-sampling-4"], {"measures": {"likelihood": 2, "flow": 1}}, []),
        (
            ["measured nll importance-sampling-4"],
            {"measures": {"likelihood": 1, "flow": 2}},
            ["the measure likelihood"],
        ),
        (["column nll"], {}, ["a measure of it"]),
        (["column nll"], {"measures": {"likelihood": 1, "flow": 2}}, []),
    ],
)
def test_numbers_that_no_version_tells_from_those_before(
    moved: list[str], change: dict[str, Any], faults: list[str]
) -> None:
    before = {"training": "one", "measures": {"likelihood": 1, "flow": 1}}
    assert unversioned(moved, before, before | change) == faults
