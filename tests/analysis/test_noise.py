"""Which runs repeat each other, how far apart they lie, and that the verdicts know."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.analysis.compare import compare
from bench.analysis.noise import NoiseFloors, noise_of
from bench.catalog.catalog import Catalog
from bench.planning.plan import Request, make_plan
from bench.store.records import Records, load_records

RUN = "paper/coupled-vae/ptb/vae/seed0"
PLACE = ("paper", "coupled-vae", "ptb")


def records(results: Any, catalog: Catalog) -> Records:
    asked = {"tier": "paper", "corpora": ("ptb",), "systems": ("vae",)}
    return load_records(results.root, make_plan(catalog, Request.model_validate(asked)).runs)


def elsewhere(folder: Path, device: str = "cuda: made-up card", **fields: Any) -> None:
    """Say that a run was made at another time on another device."""
    run = json.loads((folder / "run.json").read_text())
    run["provenance"] |= {"started": "2026-02-01T10:00:00Z", "device": device} | fields
    (folder / "run.json").write_text(json.dumps(run))


def repeated(results: Any, catalog: Catalog, **fields: Any) -> NoiseFloors:
    results.corpus()
    results.run(RUN)
    elsewhere(results.run(RUN, origin="published/runs", shift=-0.3), **fields)
    return noise_of(records(results, catalog))


def test_two_devices_give_a_floor(results: Any, catalog: Catalog) -> None:
    noise = repeated(results, catalog)
    floor = noise.of(PLACE, "nll", "importance-sampling-100")
    assert floor is not None
    assert floor.value == pytest.approx(0.3)
    assert (floor.pairs, floor.kinds) == (1, ("two kinds of device",))
    assert noise.repeats[0].differences["nll", "importance-sampling-100"] == pytest.approx(-0.3)
    assert noise.of(PLACE, "nll", "exact") is None
    assert noise.of(("quick", *PLACE[1:]), "nll", "importance-sampling-100") is None


def test_one_device_is_told_apart_from_two(results: Any, catalog: Catalog) -> None:
    noise = repeated(results, catalog, device="cpu: made-up processor")
    assert [repeat.kind for repeat in noise.repeats] == ["one device"]


def test_a_copy_of_a_run_is_no_repetition(results: Any, catalog: Catalog) -> None:
    results.corpus()
    for origin in ("runs", "published/runs"):
        results.run(RUN, origin=origin)
    noise = noise_of(records(results, catalog))
    assert noise.unlike == ((RUN, "the published run is a copy of yours"),)
    assert not noise.floors


def test_other_versions_are_no_repetition(results: Any, catalog: Catalog) -> None:
    results.corpus()
    results.run(RUN)
    elsewhere(results.run(RUN, origin="published/runs", versions={"posterior gaussian": 2}))
    noise = noise_of(records(results, catalog))
    assert noise.unlike == ((RUN, "they were trained with different versions"),)


def test_the_floor_is_shown_and_changes_no_verdict(results: Any, catalog: Catalog) -> None:
    results.corpus()
    results.run(RUN, shift=0.25)  # NLL 103.75, printed 103.6
    found = records(results, catalog)
    assert verdict(catalog, found) == ("undecided", None)
    elsewhere(results.run(RUN, origin="published/runs", shift=0.05))
    word, noise = verdict(catalog, records(results, catalog))
    assert word == "undecided"
    assert noise == pytest.approx(0.2)


def verdict(catalog: Catalog, found: Records) -> tuple[str, float | None]:
    where = {"table": "table1", "label": "VAE", "corpus": "ptb", "metric": "nll", "origin": "own"}
    cells = compare(catalog, found, "coupled-vae")
    cell = next(c for c in cells if all(getattr(c, k) == v for k, v in where.items()))
    return cell.verdict, cell.noise
