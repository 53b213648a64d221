"""Targets of the workflow, without Snakemake."""

from __future__ import annotations

from typing import Any

from bench.catalog.catalog import load_catalog
from bench.planning.plan import Request, make_plan, request_of
from bench.planning.targets import targets


def test_targets_keep_the_tier_and_narrow_the_rest() -> None:
    catalog = load_catalog()
    found = targets(catalog, Request(tier="paper", seeds=(0, 1), systems=("vae",), corpora=("ptb",)))
    assert found["all"].systems == ("vae",)
    assert found["demo"] == Request(tier="demo", seeds=(0, 1))
    assert found["demo-full"] == Request(tier="demo", seeds=(0, 1), every_system=True)
    assert found["coupled-vae"] == Request(tier="paper", seeds=(0, 1), corpora=("ptb",))
    paper = catalog.paper("coupled-vae")
    assert {f"coupled-vae_{table.id}" for table in paper.tables} < set(found)
    table = next(table for table in paper.tables if table.id == "table1")
    systems = {run.system for run in make_plan(catalog, found["coupled-vae_table1"]).runs.values()}
    assert systems == {row.system for row in table.rows if not catalog.missing("coupled-vae", row.system)}


def test_a_table_is_planned_on_its_own_corpora_unless_the_tier_or_the_user_says_others() -> None:
    catalog = load_catalog()
    table = next(table for table in catalog.paper("coupled-vae").tables if table.id == "table4")
    for request, corpora in (
        (Request(tier="paper"), table.corpora),
        (Request(tier="demo"), ("generated-clear", "generated-pairs")),
        (Request(tier="paper", corpora=("yahoo",)), ("yahoo",)),
    ):
        assert targets(catalog, request)["coupled-vae_table4"].corpora == corpora


def test_texts_figures_and_audits_have_targets_of_their_own() -> None:
    catalog = load_catalog()
    paper = catalog.paper("coupled-vae")
    found = targets(catalog, Request(tier="paper", seeds=(0, 1), systems=("dae",)))
    of_texts, on = (
        {"ptb", "yelp13", "yahoo"},
        {"matching-gradient": {"switchboard"}},
    )  # where their fields are
    for name, systems, corpora in (
        ("table7", {"vae", "coupled-vae-rq-10"}, {"ptb"}),
        ("figure2", {"dae", "vae", "coupled-vae-rq-10"}, {"yelp13"}),
        ("figure5", {"dae", "vae", "coupled-vae-rq-10"}, of_texts),
        *((f"audit-{k}", set(a.systems), on.get(k, of_texts)) for k, a in paper.audits.items()),
    ):
        runs = make_plan(catalog, found[f"coupled-vae_{name}"]).runs.values()
        assert {run.system for run in runs} == {
            s for s in systems if not catalog.missing("coupled-vae", s)
        }, name
        assert {run.corpus for run in runs} == corpora, name
        assert {run.seed for run in runs} == {0, 1}
    assert len(paper.audits) == 9
    quick = targets(catalog, Request(tier="quick"))["coupled-vae_audit-late-decay"]
    assert quick.corpora == catalog.budget("quick", "coupled-vae").corpora
    asked = targets(catalog, Request(corpora=("yahoo",)))["coupled-vae_figure2"]
    assert asked.corpora == ("yahoo",)
    assert {run.system for run in make_plan(catalog, found["coupled-vae_table9"]).runs.values()} == {
        "vae",
        "coupled-vae-rq-10",
    }


def test_papers_that_are_not_named_are_those_that_show_what_is_named() -> None:
    catalog = load_catalog()

    def papers(**values: Any) -> set[tuple[str, str]]:
        runs = make_plan(catalog, request_of(values, catalog, "a test")).runs.values()
        return {(run.paper, run.system) for run in runs}

    assert papers(systems="coupled-vae") == {("coupled-vae", "coupled-vae")}
    found = papers(
        systems="gru-lm,constant-vae", corpora="generated-tiny"
    )  # of each paper only what that paper shows
    assert found == {("coupled-vae", "gru-lm"), ("control-vae", "constant-vae")}
    assert papers(systems="gru-lm", papers="control-vae", corpora="generated-tiny") == {
        ("control-vae", "gru-lm")
    }
    assert {paper for paper, _ in papers(tier="demo")} == set(catalog.papers) - {
        "prefb",  # one is in coupled-vae's
        "emb2emb",  # its one system is an autoencoder
    }
