"""The overview's first answer: each claim once, by the largest budget, with the steps that were made."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.analysis.numbers import metric_name
from bench.catalog.catalog import Catalog
from bench.planning.plan import Request, make_plan
from bench.report import pages
from bench.report.budgets import in_short, steps
from bench.report.context import Material
from bench.report.site import Site
from bench.store.records import Records, RunRecord
from tests.analysis.synthetic import run

SPENT = {"paper": 60000, "quick": 3000}


def made(system: str, tier: str) -> RunRecord:
    record = run(system, tier=tier, values={"nll": 100.0, "ppl": 120.0, "kl": 5.0, "mi": 4.0})
    record.run["steps"] = SPENT[tier]
    return record


def material(catalog: Catalog, folder: Path, *tiers: str) -> Material:
    plan = make_plan(catalog, Request.model_validate({"tier": "demo", "papers": ("coupled-vae",)}))
    runs = [made(system, tier) for tier in tiers for system in ("vae", "coupled-vae")]
    return Material(catalog, plan, Records(runs, [], [], []), folder, partial=False)


@pytest.mark.parametrize("tiers", [("quick",), ("quick", "paper")])
def test_a_claim_counts_once_by_its_largest_budget(
    catalog: Catalog, tmp_path: Path, tiers: tuple[str, ...]
) -> None:
    given = material(catalog, tmp_path, *tiers)
    found = in_short(given)
    judged = [claim for claim in given.claims["coupled-vae"] if claim.rulings]
    assert judged
    assert found.claims == len(catalog.paper("coupled-vae").claims)
    assert found.claims - found.untested == len(judged) == sum(n for *_, n in found.budgets)
    assert found.at_the_papers == ("paper" in tiers)
    assert found.budgets[0][:2] == (
        ("own", tiers[-1]),
        "60\u202f000 steps" if len(tiers) > 1 else "3\u202f000 steps, 5 % of a paper's own",
    )
    Site(given, tmp_path)._page("index.html", "index.html.j2", pages.index(given))
    page = (tmp_path / "index.html").read_text()
    assert ("and none at its paper" in " ".join(page.split())) == ("paper" not in tiers)


def test_steps_are_those_of_finished_runs(catalog: Catalog) -> None:
    both = [made("vae", "quick"), made("vae", "paper")]
    assert steps(both) == "3\u202f000 to 60\u202f000 steps"
    both[1].state = "failed"
    assert steps(both) == "3\u202f000 steps"
    assert not steps([])


@pytest.mark.parametrize(("value", "shown"), [(8.0, "8"), (7.5, "7.5"), (None, "\u2013")])
def test_a_count_is_whole(value: float | None, shown: str) -> None:
    assert pages._counted(value) == shown


def test_a_name_that_only_papers_use_is_the_fields() -> None:
    assert metric_name("au") == "AU"
    assert metric_name("min_len") == "min len"
