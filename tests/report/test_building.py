"""A build of a report: what it takes up, and that it is whole or absent."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest

from bench.base.errors import BenchError
from bench.base.files import write_json
from bench.base.locks import locked
from bench.base.outputs import BUILDING, REPORT, claim
from bench.catalog.catalog import Catalog
from bench.planning.plan import Plan, Request, make_plan
from bench.report.context import gather
from bench.report.site import Site, build_report


def test_an_empty_results_folder_gives_a_report(results: Any, catalog: Catalog, plan: Plan) -> None:
    index = build_report(results.root, results.root / "report", catalog, plan)
    assert "the corpus generated-clear is not prepared" in index.read_text()


def test_the_same_files_give_the_same_report(
    results: Any, catalog: Catalog, one: Plan, exact: dict[str, Any]
) -> None:
    results.corpus(corpus="generated-clear", exact=exact)
    results.run(next(iter(one.runs)))

    def build() -> dict[str, bytes]:
        folder = build_report(results.root, results.root / "report", catalog, one).parent
        return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    assert build() == build()


def test_a_later_slice_keeps_the_runs_of_an_earlier_one(results: Any, catalog: Catalog, one: Plan) -> None:
    """Those that the catalog asks for now: one of other settings is counted, and not shown."""
    asked = {"tier": "demo", "corpora": ("generated-clear",), "systems": ("vae", "coupled-vae")}
    earlier = make_plan(catalog, Request.model_validate(asked | {"papers": ("coupled-vae",)}))
    stale, current = earlier.runs
    results.corpus(corpus="generated-clear")
    for name in (*earlier.runs, *one.runs):
        results.run(name)
    changed = results.root / "runs" / stale / "run.json"
    content = json.loads(changed.read_text())
    content["settings"]["training"]["steps"] += 1
    write_json(changed, content)
    material = gather(catalog, one, results.root)
    assert {run.name for run in material.records.runs} == {*one.runs, current}
    assert material.records.unplanned == [stale]


def test_a_baseline_stands_before_its_twin(results: Any, catalog: Catalog, one: Plan) -> None:
    """Published runs are found in the order of their folders' names."""
    for system in ("coupled-vae", "vae"):
        results.run(f"paper/coupled-vae/ptb/{system}/seed0", origin="published/runs")
    material = gather(catalog, one, results.root)
    assert [group[4] for group in material.groups] == ["vae", "coupled-vae"]


def test_a_failed_build_leaves_the_old_report(
    results: Any, catalog: Catalog, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = results.root / "report"
    index = build_report(results.root, out, catalog, plan)
    before = index.read_text()

    def fail(self: Site, *arguments: Any) -> None:
        raise RuntimeError("killed")

    monkeypatch.setattr(Site, "_page", fail)
    with pytest.raises(RuntimeError, match="killed"):
        build_report(results.root, out, catalog, plan)
    assert index.read_text() == before


def test_faults_of_the_caller(results: Any, catalog: Catalog, plan: Plan) -> None:
    with pytest.raises(BenchError, match="results folder not found"):
        build_report(results.root / "none", results.root / "report", catalog, plan)


def test_two_builds_of_one_report_follow_each_other(
    results: Any, catalog: Catalog, plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    out = results.root / "report"
    with locked(claim(out, REPORT), "it"):
        build = threading.Thread(target=build_report, args=(results.root, out, catalog, plan))
        build.start()
        time.sleep(0.5)
        assert {path.name for path in out.iterdir()} == {".lock", REPORT.mark}
    build.join()
    assert (out / "index.html").exists()
    assert not (out / BUILDING).exists()
    assert "waiting for it" in capsys.readouterr().err
