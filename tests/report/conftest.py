"""A report that several tests read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.catalog.catalog import Catalog
from bench.planning.plan import Plan, Request, make_plan
from bench.report.site import build_report
from tests.made_up import EXACT, TEXTS, Results


@pytest.fixture(scope="session")
def index(
    results_at: Callable[[Path], Results],
    catalog: Catalog,
    plan: Plan,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The report of a finished demo, beside one published run."""
    results = results_at(tmp_path_factory.mktemp("site") / "results")
    folder = results.corpus(corpus="generated-clear", exact=EXACT)
    (folder / "test.txt").write_text("".join(f"<b>text</b> {i}\n" for i in range(TEXTS)), encoding="utf-8")
    for name in plan.runs:
        results.run(name)
    results.run(
        "paper/coupled-vae/ptb/vae/seed0", origin="published/runs", versions={"posterior gaussian": 2}
    )
    return build_report(results.root, results.root / "report", catalog, plan)


@pytest.fixture
def one(catalog: Catalog) -> Plan:
    """A plan of a single run, of a system that needs few figures."""
    return make_plan(catalog, Request.model_validate({"tier": "demo", "systems": ("dae",)}))
