"""Five hundred runs: no page that all of them share grows beyond what a browser opens at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.catalog.catalog import Catalog
from bench.planning.plan import Request, make_plan
from bench.report import pages, papers, reference
from bench.report.context import Material
from bench.report.site import Site
from bench.store.records import Records, RunRecord
from tests.analysis.synthetic import run

LIMIT = 3 * 2**20
CORPORA = ("ptb", "yelp13", "yahoo")
TEXTS = np.linspace(80, 120, 10)


def record(name: str, number: int) -> RunRecord:
    """Four runs of five finished; the fifth failed and left a log."""
    tier, _, corpus, system, seed = name.split("/")
    per_text = {"nll": TEXTS + number / 100, "kl": TEXTS / 10}
    made = run(system, int(seed.removeprefix("seed")), tier=tier, corpus=corpus, per_text=per_text)
    if number % 5 == 0:
        made.state, made.reason, made.run, made.measurements = "failed", "OSError: the disk is full", {}, []
        made.log_tail = "\n".join(["a line of the log, as long as such lines are, with a path in it"] * 12)
    return made


def test_no_page_of_500_runs_is_over_3_mib(catalog: Catalog, tmp_path: Path) -> None:
    request = {"tier": "paper", "corpora": CORPORA, "seeds": tuple(range(5))}
    plan = make_plan(catalog, Request.model_validate(request))
    runs = [record(name, number) for number, name in enumerate(plan.runs)]
    for made in runs:
        made.settings = plan.runs[made.name]
    assert len(runs) >= 500
    material = Material(catalog, plan, Records(runs, [], [], []), tmp_path, partial=False)
    site = Site(material, tmp_path)
    for path, template, context in (
        ("index.html", "index.html.j2", pages.index(material)),
        ("papers/coupled-vae.html", "paper.html.j2", papers.paper(material, "coupled-vae")),
        ("provenance.html", "provenance.html.j2", reference.provenance(material)),
        ("methods.html", "methods.html.j2", reference.methods(material)),
        ("compare.html", "compare.html.j2", pages.compare_runs(material) | {"shown": []}),
    ):
        site._page(path, template, context)
        assert 10_000 < (tmp_path / path).stat().st_size < LIMIT, path
