"""Five hundred runs: no page grows beyond what a browser opens at once."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from bench.declarations import Catalog
from bench.plan import Request, make_plan, resolve
from bench.report import pages
from bench.report.pages import Material
from bench.report.records import Records
from bench.report.site import Site

from .synthetic import run

LIMIT = 3 * 2**20
SEEDS, CORPORA = 5, ("ptb", "yelp", "yahoo", "ptb-lite", "generated-small")


def test_no_page_of_500_runs_is_over_3_mib(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan(catalog, Request.model_validate({"tier": "paper", "corpora": ("ptb",)}))
    print(len(plan.runs), list(catalog.corpora))
    assert 0
