"""Numbers of older versions: a published run keeps them and says so, one's own is made again."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from bench.analysis.age import told
from bench.catalog.catalog import Catalog
from bench.metrics.measures import measures
from bench.planning.plan import Request, make_plan
from bench.store.records import RunRecord, load_records
from tests.conftest import raise_version

RUN = "paper/coupled-vae/ptb/vae/seed0"


@pytest.fixture
def both(results: Any) -> Any:
    """The same run, one's own and published."""
    results.corpus()
    results.run(RUN)
    results.run(RUN, origin="published/runs")
    return results


def load(results: Any, catalog: Catalog) -> list[RunRecord]:
    asked = {"tier": "paper", "corpora": ("ptb",), "systems": ("vae",)}
    return load_records(results.root, make_plan(catalog, Request.model_validate(asked)).runs).runs


def test_todays_versions_are_not_old(both: Any, catalog: Catalog) -> None:
    assert [(run.state, told(run)) for run in load(both, catalog)] == [("finished", "")] * 2


def test_a_raised_part(both: Any, catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    raise_version(monkeypatch, "prior", "uniform-sphere")  # which the run does not have
    assert [run.state for run in load(both, catalog)] == ["finished"] * 2
    raise_version(monkeypatch, "posterior", "gaussian")
    own, published = load(both, catalog)
    assert own.state == "stale"
    assert own.reason == "the run was trained by other versions (posterior gaussian 1, now 2): run it again"
    assert published.state == "finished"
    assert published.measurements
    assert told(published) == "trained with version 1 of posterior gaussian, now 2"


def test_a_raised_measure(both: Any, catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    today = measures()["likelihood"]
    monkeypatch.setitem(measures(), "likelihood", replace(today, version=today.version + 1))
    for run in load(both, catalog):
        assert run.state == "finished"
        versions = f"version {today.version} of likelihood, now {today.version + 1}"
        assert told(run) == f"measured with {versions} ({today.changed})"


def test_a_version_that_a_record_has_and_today_has_not(both: Any, catalog: Catalog) -> None:
    path = both.root / "published" / "runs" / RUN / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"versions": {"train": 3}}))
    assert told(load(both, catalog)[1]) == "trained with version 3 of train, now 1"
