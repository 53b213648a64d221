"""Cells of the printed tables: what is shown, against what, and why not."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import replace
from typing import Any

import pandas
import pytest

from bench.analysis.cells import by_cell, of_their_own, printed_counts
from bench.analysis.claims import COLUMNS
from bench.analysis.compare import Cell, compare, measured_elsewhere
from bench.analysis.margins import margin_of
from bench.base.files import read_json, write_json
from bench.catalog.catalog import CATALOG, Catalog
from bench.catalog.quantities import PrintedQuantity
from bench.catalog.tables import PrintedRow
from bench.metrics import units
from bench.planning.plan import Request, make_plan
from bench.report.export import harmless, write_cells, write_rows
from bench.store.records import Records, load_records

PAPER = "coupled-vae"
OF_CORPUS = "the row is about the corpus, which has no such number"


def prefix(corpus: str = "ptb", tier: str = "paper") -> str:
    return f"{tier}/{PAPER}/{corpus}"


def records(results: Any, catalog: Catalog, **request: Any) -> Records:
    asked = {"tier": "paper", "corpora": ("ptb",), "systems": ("vae", "coupled-vae")} | request
    return load_records(results.root, make_plan(catalog, Request.model_validate(asked)).runs)


def cell(cells: list[Cell], **where: Any) -> Cell:
    wanted = {"table": "table1", "corpus": "ptb", "setting": ""} | where
    (found,) = (c for c in cells if all(getattr(c, key) == value for key, value in wanted.items()))
    return found


def test_every_printed_number_has_a_cell(results: Any, catalog: Catalog) -> None:
    cells = compare(catalog, records(results, catalog), PAPER)
    assert {c.verdict for c in cells if c.reported is not None} == {"not run"}
    assert {c.reason for c in cells if c.verdict != "not run"} == {OF_CORPUS}
    assert cell(cells, label="vMF-VAE", metric="nll").reported == 103.6
    assert cell(cells, label="VAE", metric="nll").reason == "seed 0 not run: the corpus ptb is not prepared"
    assert cell(cells, label="GRU-LM", metric="nll").reason == "not part of this plan"


def test_the_printed_cells_are_the_rows_of_the_file_each_once(results: Any, catalog: Catalog) -> None:
    results.corpus()
    for system in ("gru-lm", "vae", "coupled-vae"):
        results.run(f"{prefix()}/{system}/seed0")
    results.run(f"{prefix('yelp13', 'quick')}/vae/seed0", origin="published/runs")
    asked = ("gru-lm", "vae", "coupled-vae", "dae")
    cells = compare(catalog, records(results, catalog, systems=asked), PAPER)
    with (CATALOG / "papers" / PAPER / "reported.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    keys = ("table", "corpus", "label", "setting", "metric")
    names = {table.id: table.printed for table in catalog.paper(PAPER).tables}
    printed = [c[0] for c in by_cell(cells) if c[0].reported is not None]
    shown = Counter((*(names.get(getattr(c, k), getattr(c, k)) for k in keys), c.reported) for c in printed)
    assert shown == Counter((*(row[k] for k in keys), float(row["value"])) for row in rows)
    assert len(printed) == len(rows) == 630
    assert {row["table"] for row in rows} == {f"Table {n}" for n in (1, 2, 3, 4, 5, 6, 8, 9)}
    places = Counter((c.table, c.row, c.corpus, c.metric) for c in printed)
    assert set(places.values()) == {1}
    for c in printed:
        measured = c.verdict not in ("not run", "not measured", "failed")
        assert measured == (c.measured is not None)
        assert measured or c.reason
    assert sum(c.measured is not None for c in printed) > 20


def test_a_system_of_an_audit_has_no_row_in_a_printed_table(results: Any, catalog: Catalog) -> None:
    found = records(results, catalog, systems=("vae", "vae-as-released", "coupled-beta-1.4-vae"))
    systems = {c.system for c in compare(catalog, found, PAPER)}
    assert "vae-as-released" not in systems
    assert "coupled-beta-1.4-vae" in systems


def test_three_seeds_beside_the_print(results: Any, catalog: Catalog) -> None:
    results.corpus()
    for seed in (0, 1, 2):
        results.run(f"{prefix()}/vae/seed{seed}", shift=0.1 * seed)  # 103.5, 103.6, 103.7
    cells = compare(catalog, records(results, catalog, seeds=(0, 1, 2)), PAPER)
    found = cell(cells, label="VAE", metric="nll")
    assert found.measured == pytest.approx(103.6)
    assert found.difference == pytest.approx(0.0)
    assert (found.verdict, found.seeds, found.texts) == ("reproduced", [0, 1, 2], 200)
    assert found.estimator == "importance-sampling-100"
    assert found.files[1].endswith(f"{prefix()}/vae/seed1/measurements.json")
    assert found.margin == pytest.approx(0.5)
    assert found.seeds_needed is None
    assert cell(cells, label="VAE", metric="kl").estimator == "monte-carlo"


def test_a_seed_that_failed_is_told_beside_the_others(results: Any, catalog: Catalog) -> None:
    results.corpus()
    results.run(f"{prefix()}/vae/seed0")
    results.run(f"{prefix()}/vae/seed1", state="diverged", reason="NaN")
    results.run(f"{prefix()}/coupled-vae/seed0", state="diverged", reason="NaN at step 7")
    cells = compare(catalog, records(results, catalog, seeds=(0, 1)), PAPER)
    found = cell(cells, label="VAE", metric="nll")
    assert (found.seeds, found.failed_seeds, found.planned) == ([0], [1], 2)
    failed = cell(cells, label="Coupled-VAE", metric="nll")
    assert (failed.verdict, failed.reason) == ("failed", "seed 0 diverged: NaN at step 7")


def test_another_tier_is_shown_but_not_judged(results: Any, catalog: Catalog) -> None:
    results.corpus()
    results.run(f"{prefix(tier='quick')}/vae/seed0", shift=5)
    found = cell(compare(catalog, records(results, catalog, tier="quick"), PAPER), label="VAE", metric="nll")
    assert (found.verdict, found.tier) == ("not comparable", "quick")
    assert found.difference == pytest.approx(4.9)
    assert "the tier is quick" in found.reason


def test_percent_and_ratio(results: Any, catalog: Catalog) -> None:
    results.corpus()
    results.run(f"{prefix()}/vae/seed0")  # Dist-1 is measured as the ratio 0.0468
    cells = compare(catalog, records(results, catalog), PAPER)
    percent = cell(cells, table="table6", label="VAE", metric="dist1")
    ratio = cell(cells, table="table9", label="VAE", metric="dist1")
    assert percent.measured == pytest.approx(4.68)
    assert (percent.reported, percent.decimals) == (4.61, 2)
    assert ratio.measured == pytest.approx(0.0468)
    assert (ratio.reported, ratio.decimals) == (0.0461, 4)
    assert percent.verdict == "undecided"
    assert (percent.margin, ratio.margin) == pytest.approx((0.90, 0.0090))
    assert "illegible" in percent.note


def test_a_row_may_be_measured_by_another_procedure_than_the_rest(results: Any, catalog: Catalog) -> None:
    cells = compare(catalog, records(results, catalog), PAPER)
    for label, estimator in (("VAE", "leave-one-out"), ("Coupled-Lagging-VAE", "like-length")):
        assert cell(cells, table="table2", label=label, metric="mi").estimator == estimator
    assert "at most 3.47" in cell(cells, table="table2", label="Lagging-VAE", metric="mi").note
    rounding = [
        cell(cells, table="table2", label="VAE", metric=metric).rounding for metric in ("bleu1", "mi")
    ]
    assert rounding == [0.112, None]  # the released script rounds BLEU three times


def test_a_number_in_another_unit_than_the_printed_one_is_shown_and_not_judged(
    results: Any, catalog: Catalog
) -> None:
    results.corpus()
    folder = results.run(f"{prefix()}/vae/seed0", shift=0.1)  # 103.6, which Table 1 prints in nats
    path = folder / "measurements.json"
    content = read_json(path)
    for found in content["measurements"]:
        found["unit"] = "bits per text" if found["metric"] == "nll" else found["unit"]
    write_json(path, content)
    cells = compare(catalog, records(results, catalog), PAPER)
    found = cell(cells, label="VAE", metric="nll")
    assert found.verdict == "not comparable"
    assert "measured in bits per text, printed in nats per text" in found.reason
    assert found.measured == pytest.approx(103.6)
    assert found.reported == 103.6
    assert (found.unit, found.difference) == ("bits per text", None)
    other = cell(cells, label="VAE", metric="kl")
    assert other.verdict != "not comparable"
    assert other.unit == "nats per text"


def test_units_convert_both_ways_or_not_at_all() -> None:
    assert units.factor("ratio", "percent") == pytest.approx(100)
    assert units.factor("percent", "ratio") == pytest.approx(0.01)
    assert units.factor("none", "none") == 1.0
    assert units.factor("nats per text", "percent") is None
    assert units.factor("none", "percent") is None


def test_a_finished_run_without_the_measurement(results: Any, catalog: Catalog) -> None:
    results.corpus()
    results.run(f"{prefix()}/vae/seed0")
    found = cell(
        compare(catalog, records(results, catalog), PAPER), table="table2", label="VAE", metric="bleu1"
    )
    assert found.verdict == "not measured"
    assert "precision-times-brevity" in found.reason


def test_own_and_published_numbers_share_a_cell(results: Any, catalog: Catalog) -> None:
    results.corpus()
    results.run(f"{prefix()}/vae/seed0")
    results.run(f"{prefix()}/coupled-vae/seed0", state="diverged", reason="NaN")
    for system in ("vae", "coupled-vae", "beta-0.8-vae"):
        results.run(f"{prefix()}/{system}/seed0", origin="published/runs")
    cells = compare(catalog, records(results, catalog), PAPER)
    found = by_cell(c for c in cells if c.table == "table1")
    shown = {c[0].label: c for c in found if (c[0].corpus, c[0].metric) == ("ptb", "nll")}
    assert [s.origin for s in shown["VAE"]] == ["own", "published"]
    assert [s.verdict for s in shown["Coupled-VAE"]] == ["failed", "undecided"]
    assert [s.origin for s in shown["beta(0.8)-VAE"]] == ["published"]
    assert sum(printed_counts(found).values()) == 213  # the numbers of Table 1
    assert printed_counts(found)["failed"] == 3


def test_a_corpus_that_was_not_printed(results: Any, catalog: Catalog) -> None:
    results.corpus(corpus="generated-clear")
    results.run(f"{prefix('generated-clear', 'demo')}/vae/seed0")
    found = records(results, catalog, tier="demo", corpora=None, systems=("vae",))
    printed = compare(catalog, found, PAPER)
    assert {c.verdict for c in printed if c.reported is not None} == {"not run"}
    assert {c.reason for c in printed if c.verdict != "not run"} == {OF_CORPUS}
    cells = measured_elsewhere(catalog, found, PAPER, "generated-clear", ("own", "demo"))
    assert {c.system for c in cells} == {"vae"}
    excess = cell(cells, corpus="generated-clear", metric="excess_nll")
    assert excess.measured == pytest.approx(13.5)
    assert excess.reported is None
    assert "not a corpus of the printed table" in excess.reason


def test_csv_holds_every_cell_and_no_formula(results: Any, catalog: Catalog, tmp_path: Any) -> None:
    results.corpus()
    results.run(f"{prefix()}/vae/seed0")
    cells = compare(catalog, records(results, catalog), PAPER)
    cells[0] = replace(cells[0], label="=1+1", marks=["exact", "tie"])
    write_cells(cells, tmp_path / "t.csv", results.root)
    back = pandas.read_csv(tmp_path / "t.csv")
    assert len(back) == len(cells)
    assert back["label"][0] == "'=1+1"
    assert back["marks"][0] == "exact tie"
    assert f"runs/{prefix()}/vae/seed0/measurements.json" in set(back["files"])
    rows = [{"what": "=1", "by_seed": (0.1, 0.2), "files": [results.root / "a" / "b.json"], "n": None}]
    write_rows(rows, tmp_path / "r.csv", results.root)
    assert (tmp_path / "r.csv").read_text().splitlines()[1] == "'=1,0.1 0.2,a/b.json,"
    for name in ("t.csv", "r.csv"):
        assert (
            (tmp_path / name).read_bytes().startswith(b"\xef\xbb\xbf")
        )  # by which a spreadsheet knows UTF-8
    write_rows([], tmp_path / "none.csv", results.root, COLUMNS)  # a paper without claims
    assert list(pandas.read_csv(tmp_path / "none.csv").columns) == list(COLUMNS)
    assert harmless("-ln P") == "'-ln P"
    assert harmless("VAE") == "VAE"


def test_the_margin_is_declared_or_the_median_difference_of_the_printed_pairs(catalog: Catalog) -> None:
    paper = catalog.paper(PAPER)
    tables = {table.id: table for table in paper.tables}
    median = margin_of(catalog, PAPER, tables["table1"], "ptb", "nll")
    assert median is not None
    assert median.value == pytest.approx(0.5)  # of 0.5, 0.5, 0.8, 0.6, 0.3, 0.5, 0.7, 0.7, 0.5, 0.1, 0.1
    assert "11 pairs" in median.source
    assert margin_of(catalog, PAPER, tables["table3"], tables["table3"].corpora[0], "nll") is None
    nll = paper.quantities["nll"].model_copy(update={"margin": 0.2})
    declaring = paper.model_copy(update={"quantities": {**paper.quantities, "nll": nll}})
    told = catalog.model_copy(update={"papers": {**catalog.papers, PAPER: declaring}})
    declared = margin_of(told, PAPER, tables["table1"], "ptb", "nll")
    assert declared is not None
    assert (declared.value, declared.source) == (0.2, "declared by the paper's entry in the catalog")


def test_one_run_is_judged_by_the_spread_of_the_other_systems(results: Any, catalog: Catalog) -> None:
    results.corpus()
    results.run(f"{prefix()}/vae/seed0", shift=0.1)  # 103.6, as printed
    for seed in (0, 1, 2):
        results.run(f"{prefix()}/coupled-vae/seed{seed}", shift=0.1 * seed)
    asked = {"seeds": (0, 1, 2)}
    cells = compare(catalog, records(results, catalog, **asked), PAPER)
    found = cell(cells, label="VAE", metric="nll")
    assert found.verdict == "reproduced"
    assert "one run, judged by the spread of another system" in found.reason
    for seed in (1, 2):
        results.run(f"{prefix()}/coupled-vae/seed{seed}", state="diverged", reason="NaN")
    found = cell(compare(catalog, records(results, catalog, **asked), PAPER), label="VAE", metric="nll")
    assert found.verdict == "undecided"
    assert "the spread over seeds is unknown" in found.reason


def test_a_number_printed_twice_and_the_perplexity_of_an_nll_count_once(
    results: Any, catalog: Catalog
) -> None:
    results.run(f"{prefix('ptb', 'paper')}/vae/seed0")
    cells = [c for c in compare(catalog, records(results, catalog, seeds=(0,)), PAPER) if c.system == "vae"]
    table1 = [c for c in cells if c.table == "table1" and c.corpus == "ptb"]
    assert {c.metric for c in table1} == {"nll", "kl", "ppl"}
    assert of_their_own(table1) == 2
    assert of_their_own([*table1, *table1]) == 2


def test_a_row_about_the_corpus_has_its_own_quantities_and_no_others(results: Any, catalog: Catalog) -> None:
    quantity = PrintedQuantity(metric="kl", estimator="monte-carlo", decimals=1)
    row = PrintedRow(label="Corpus", system="vae", of_corpus={"nll": quantity})
    paper = catalog.paper(PAPER)
    table = paper.tables[0].model_copy(update={"rows": (row, *paper.tables[0].rows)})
    changed = paper.model_copy(update={"tables": (table, *paper.tables[1:]), "reference": None})
    other = catalog.model_copy(update={"papers": {**catalog.papers, PAPER: changed}})
    results.corpus()
    results.run(f"{prefix()}/vae/seed0")
    cells = compare(other, records(results, other), PAPER)
    of_row = {c.metric: c for c in cells if (c.table, c.label, c.corpus) == ("table1", "Corpus", "ptb")}
    assert of_row["nll"].measured == cell(cells, label="VAE", metric="kl").measured is not None
    assert (of_row["ppl"].measured, of_row["ppl"].verdict) == (None, "not measured")
    assert "about the corpus" in of_row["ppl"].reason
    assert of_their_own([of_row["nll"], cell(cells, label="VAE", metric="nll")]) == 2
    assert cell(cells, label="VAE", metric="ppl").measured is not None
    assert changed.reference_system == paper.tables[0].rows[0].system  # others are held against no corpus
    assert margin_of(other, PAPER, table, "ptb", "kl") == margin_of(
        catalog, PAPER, paper.tables[0], "ptb", "kl"
    )
