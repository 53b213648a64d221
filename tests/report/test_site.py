"""The pages of a site: self-contained, linked, escaped."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pandas

from bench.base.files import write_json
from bench.catalog.catalog import Catalog
from bench.planning.plan import Plan, Request, make_plan
from bench.report import pages, papers, reference
from bench.report.context import Material
from bench.report.site import Site, build_report
from bench.store.records import load_records
from tests.made_up import EXACT

VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}


class Page(HTMLParser):
    """Collects what the tests look at, and that tags are closed in order."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: Counter[str] = Counter()
        self.tags: Counter[str] = Counter()
        self.targets: set[str] = set()
        self.open: list[str] = []
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        for name, value in attrs:
            if name in ("href", "src") and value and not value.startswith("#"):
                self.links.append(value)
            if name == "id" and value:
                self.ids[value] += 1
            if name in ("popovertarget", "aria-labelledby") and value:
                self.targets.add(value)
            assert not name.startswith("on")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_pages_are_whole_and_links_lead_somewhere(index: Path) -> None:
    found = {path: Page(path) for path in index.parent.rglob("*.html")}
    names = {path.relative_to(index.parent).as_posix() for path in found}
    assert {
        "index.html",
        "papers/coupled-vae.html",
        "systems/demo-coupled-vae-generated-clear-vae.html",
        "systems/published-paper-coupled-vae-ptb-vae.html",
        "corpora/coupled-vae-generated-clear.html",
        "methods.html",
        "provenance.html",
        "compare.html",
        "systems.html",
        "corpora.html",
        "papers/coupled-vae/table1.html",
        "papers/coupled-vae/demo-coupled-vae-generated-clear.html",
    } <= names
    for path, page in found.items():
        assert page.open == [], path
        assert max(page.ids.values()) == 1, path
        assert page.targets <= set(page.ids), path
        for link in page.links:
            parts = urlsplit(link)
            assert not parts.scheme, (path, link)
            target = Path(os.path.normpath(path.parent / unquote(parts.path)))
            assert target.exists(), (path, link)
            assert target.is_relative_to(index.parent), (path, link)  # the folder can be sent
            if target.name == "compare.html":  # its fragment names runs
                for choice in parse_qs(parts.fragment).values():
                    assert (target.parent / "compare" / f"{choice[0]}.js").exists(), (path, link)
            elif parts.fragment and target in found:
                assert unquote(parts.fragment) in found[target].ids, (path, link)
    css = (index.parent / "assets" / "style.css").read_text()
    assert "url(" not in css
    assert "@import" not in css


def test_the_demo_shows_its_own_numbers(index: Path) -> None:
    papers = index.parent / "papers" / "coupled-vae"
    own = (papers / "demo-coupled-vae-generated-clear.html").read_text()
    for expected in ("True entropy 90.000", "13.50", "The grammar itself", "0.610"):
        assert expected in own
    assert "Published measurement" in (papers / "table1.html").read_text()
    assert (index.parent / "tables" / "demo-coupled-vae-generated-clear-table1.csv").exists()
    figures = {path.name for path in (index.parent / "figures").iterdir()}
    stem = "demo-coupled-vae-generated-clear"
    assert {f"{stem}-coupled-vae-sigma.svg", f"{stem}-figure2-more-weighted-kl.svg"} <= figures
    panels = ("reconstruction-gradient", "regulariser-gradient", "signal-sensitivity")
    assert {f"{stem}-figure2-{panel}.svg" for panel in panels} <= figures


def test_claims_audits_figures_and_texts_have_their_places(index: Path, catalog: Catalog) -> None:
    folder = index.parent
    declared = catalog.paper("coupled-vae")
    paper = Page(folder / "papers" / "coupled-vae.html")
    figures, texts = (
        Page(folder / "papers" / "coupled-vae" / f"{part}.html") for part in ("figures", "texts")
    )
    assert {"figure2", "figure5"} <= set(figures.ids)
    assert {"texts-table7", "texts-table9"} <= set(texts.ids)
    claims = Page(folder / "papers" / "coupled-vae" / "claims.html")
    assert set(declared.claims) <= set(claims.ids)
    assert "one seed only; leans" in claims.text
    for key, audit in declared.audits.items():
        page = Page(folder / "papers" / "coupled-vae" / f"audit-{key}.html")
        assert f"papers/coupled-vae/audit-{key}.html" in " ".join(paper.links)
        ran = {"dae", "vae", "coupled-vae"}.issuperset(audit.systems)
        assert (f"coupled-vae_audit-{key} --config tier=paper seeds=0,1,2" in page.text) == (not ran)
        assert audit.title in page.text
    assert "step {{ 3 }}" in texts.text  # a text of an interpolation
    assert "Coupled-VAE, RQ, λm 10" in figures.text + texts.text
    assert "not run on Yelp" in figures.text
    ledger = csv_rows(folder / "tables" / "coupled-vae-claims.csv")
    assert {row["claim"] for row in ledger} == set(declared.claims)
    sources = {(row["origin"], row["tier"]) for row in ledger}
    assert sources == {("own", "demo"), ("published", "paper"), ("", "")}  # of the last kind: not run at all
    differences = csv_rows(folder / "tables" / "coupled-vae-audit-embedding-updates-differences.csv")
    row = next(r for r in differences if (r["tier"], r["metric"]) == ("demo", "nll"))
    assert float(row["low"]) < float(row["difference"]) < float(row["high"])


def test_the_overview_counts_every_printed_cell(index: Path) -> None:
    page = Page(index)
    row = re.search(r'papers/coupled-vae.html">Coupled-VAE</a></th>(.*?)</tr>', page.text, re.DOTALL)
    assert row is not None
    printed, measured, *by_verdict = map(int, re.findall(r'<td class="num">(\d+)</td>', row[1]))
    assert printed == 630
    assert sum(by_verdict) == printed
    cells = json.loads((index.parent / "tables" / "coupled-vae-table1.json").read_text())
    assert 0 < measured < printed
    assert any(c["measured"] is not None and c["origin"] == "published" for c in cells)
    assert "1 run was trained or measured by another version" in page.text
    assert "no run was made twice" in page.text


def test_each_run_tells_where_it_comes_from_and_its_one_command(index: Path, plan: Plan) -> None:
    folder = index.parent / "provenance"
    listed = Page(index.parent / "provenance.html")
    names = [("own", name) for name in plan.runs] + [("published", "paper/coupled-vae/ptb/vae/seed0")]
    assert {f"{origin}-{name}" for origin, name in names} <= set(listed.ids)
    for origin, name in names:
        group = name.rpartition("/")[0].replace("/", "-")
        page = Page(folder / f"{'published-' if origin == 'published' else ''}{group}.html")
        assert f"{origin}-{name}" in page.ids
        assert f"git checkout {'a' * 40} &amp;&amp; \\\n" in page.text
        older = "rained with version 2 of posterior gaussian, now 1"
        assert (older in page.text) == (origin == "published")
        assert "900 MB at the peak" in page.text
        assert "Energy" in page.text


def test_no_command_promises_what_a_finished_run_does_not_have(index: Path) -> None:
    folder = index.parent / "papers" / "coupled-vae"
    cells = [cell for page in folder.glob("*.html") for cell in page.read_text().split("<div popover")[1:]]
    unmeasured = [cell for cell in cells if "</span> not measured</span>" in cell.split("<dl")[0]]
    assert unmeasured
    assert not any("--forcerun" in cell for cell in unmeasured)
    assert any("--forcerun" in cell for cell in cells)


def test_what_stands_first_and_who_made_it(results: Any, catalog: Catalog) -> None:
    """A corpus that is not prepared here has its published card; printed tables come before others' own numbers."""
    plan = make_plan(
        catalog, Request.model_validate({"tier": "quick", "corpora": ("ptb",), "systems": ("vae",)})
    )
    shutil.copytree(results.corpus(), results.root / "published" / "corpora" / "coupled-vae" / "ptb")
    shutil.rmtree(results.root / "corpora")
    for corpus in ("ptb", "yahoo-lite"):
        folder = results.run(f"quick/coupled-vae/{corpus}/vae/seed0", origin="published/runs")
    measured = json.loads((folder / "measurements.json").read_text())
    measured["provenance"]["code_version"] = "b" * 40
    write_json(folder / "measurements.json", measured)
    material = Material(catalog, plan, load_records(results.root, plan.runs), results.root, partial=False)
    assert material.corpora["coupled-vae", "ptb"].fault == ""
    assert pages.index(material)["ran_published"]["versions"] == ["a" * 40, "b" * 40]
    shown = papers.paper(material, "coupled-vae")
    assert shown["elsewhere"]
    addresses = [address for address, _ in shown["sections"]]
    other = next(i for i, address in enumerate(addresses) if "yahoo-lite" in address)
    assert addresses.index("papers/coupled-vae/table1.html") < other


def test_own_and_published_runs_of_a_corpus_are_told_apart(results: Any, catalog: Catalog) -> None:
    asked = {"tier": "quick", "corpora": ("yahoo-lite",), "systems": ("vae",)}
    plan = make_plan(catalog, Request.model_validate(asked))
    results.run("quick/coupled-vae/yahoo-lite/vae/seed0", origin="published/runs")
    material = Material(catalog, plan, load_records(results.root, plan.runs), results.root, partial=False)
    site = Site(material, results.root / "site")
    site._page("papers/coupled-vae.html", "paper.html.j2", papers.paper(material, "coupled-vae"))
    page = Page(results.root / "site" / "papers" / "coupled-vae.html")
    assert re.findall(r">Measured on .* \((.*)\)<", page.text) == ["quick", "quick, published"]
    (own, _) = papers.paper(material, "coupled-vae")["elsewhere"]
    assert own["views"] == []


def test_methods_and_statistics_have_their_pages(index: Path) -> None:
    methods = Page(index.parent / "methods.html")
    assert "<i>r</i> / √3" in methods.text
    assert "the share of verdicts by the true difference" in methods.text
    assert {"noise", "nll-importance-sampling-100", "attribute_information:tense-classifier"} <= set(
        methods.ids
    )
    assert (index.parent / "figures" / "estimator-nll-importance-sampling.svg").exists()
    assert "Not known in this report" in methods.text
    statistics = Page(index.parent / "papers" / "coupled-vae" / "statistics.html")
    assert "tier demo" in statistics.text
    assert "Nothing to aggregate" in statistics.text


def test_a_generated_corpus_shows_who_is_how_far_from_the_entropy(index: Path) -> None:
    page = Page(index.parent / "corpora" / "coupled-vae-generated-clear.html")
    row = re.search(r"Coupled-VAE</a></th><td[^>]*>([\d.]+)</td><td[^>]*>\[([\d., ]+)\]", page.text)
    assert row is not None
    assert row.groups() == ("13.000", "11.600, 14.400")  # NLL 103.0 above 90.0, as the measurement gives it
    picture = (index.parent / "figures" / "demo-coupled-vae-generated-clear-above-entropy.svg").read_text()
    assert picture.index(">Coupled-VAE<") < picture.index(">VAE<")  # the nearest first
    assert '3</td><td class="num">1.50</td>' in page.text  # duplicates of 200 texts


def test_a_generated_corpus_shows_the_noise_floor(results: Any, catalog: Catalog) -> None:
    plan = make_plan(catalog, Request.model_validate({"tier": "demo", "systems": ("gru-lm", "vae")}))
    results.corpus(corpus="generated-clear", exact=EXACT)
    for name in plan.runs:
        results.run(name)
    folder = results.run("demo/coupled-vae/generated-clear/vae/seed0", origin="published/runs", shift=0.2)
    run = json.loads((folder / "run.json").read_text())
    run["provenance"] |= {"started": "2026-02-02T10:00:00Z", "device": "cuda: made-up card"}
    write_json(folder / "run.json", run)
    material = Material(catalog, plan, load_records(results.root, plan.runs), results.root, partial=False)
    contexts = [context for _, context in reference.corpora(material)]
    own = next(found for context in contexts for found in context["above"] if found["setting"][0] == "own")
    assert "how far repeated runs differ" in own["figure"].caption
    site = Site(material, results.root / "site")
    site._page("methods.html", "methods.html.j2", reference.methods(material))
    text = (results.root / "site" / "methods.html").read_text()
    assert "two kinds of device: cpu: made-up processor and cuda: made-up card" in text


def csv_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as handle:
        return list(csv.DictReader(handle))


def test_texts_are_data(results: Any, catalog: Catalog, one: Plan) -> None:
    hostile = "</td><script>alert(1)</script><img src=x onerror=alert(2)>&amp;{{ 7 * 7 }}"
    name = next(iter(one.runs))
    results.corpus(corpus="generated-clear")
    texts = {
        "samples": [hostile],
        "reconstructions": [{"index": 0, "input": hostile, "center": hostile, "outputs": [hostile]}],
        "interpolations": [{"from": hostile, "to": hostile, "steps": [hostile] * 7}],
        "traversals": [
            {"from": hostile, "dimension": 0, "step": 1.0, "shifts": [0.0, 1.0], "steps": [hostile] * 2}
        ],
    }
    write_json(results.run(name, files={"model.safetensors": "w"}) / "texts.json", texts)
    results.run("paper/coupled-vae/ptb/dae/seed0", origin="published/runs", state="diverged", reason=hostile)
    index = build_report(results.root, results.root / "report", catalog, one)
    found = {path.name: Page(path) for path in index.parent.rglob("*.html")}
    assert {name: page.tags["script"] for name, page in found.items()} == dict.fromkeys(found, 1) | {
        "compare.html": 2
    }
    assert not any(page.tags["img"] for page in found.values())
    system = (index.parent / "systems" / "demo-coupled-vae-generated-clear-dae.html").read_text()
    assert system.count("&lt;/td&gt;&lt;script&gt;alert(1)&lt;/script&gt;") == 1 + 3 + 2 + 7 + 3
    assert system.count("&amp;amp;{{ 7 * 7 }}") == 1 + 3 + 2 + 7 + 3


def test_failures_are_shown_with_the_command(
    results: Any, catalog: Catalog, plan: Plan, exact: dict[str, Any]
) -> None:
    dae, vae, _ = plan.runs
    results.corpus(corpus="generated-clear", exact=exact)
    results.run(dae)
    (results.root / "runs" / dae / "measurements.json").write_text("{")
    results.status(vae, state="failed", reason="OSError: <disk> is full")
    results.log(vae, "last <line>")
    index = build_report(results.root, results.root / "report-partial", catalog, plan, partial=True)
    text = re.sub(r"\s+", " ", index.read_text())
    assert "Partial report." in text
    assert "3 planned: 1 damaged, 1 failed, 1 not run" in text
    assert "OSError: &lt;disk&gt; is full" in text
    assert "last &lt;line&gt;" in text
    assert f"python -m bench train {vae} --corpora" in text
    assert "measurements.json: damaged JSON file" in text
    own = index.parent / "papers" / "coupled-vae" / "demo-coupled-vae-generated-clear.html"
    detail = own.read_text()
    detail = detail[detail.index("-table1-1-generated-clear-nll-title") :]  # of the VAE, whose run failed
    detail = detail[: detail.index("</td>")]
    for part in (
        "0 of 1",
        "OSError: &lt;disk&gt; is full",
        "last &lt;line&gt;",
        f"python -m bench train {vae} ",
    ):
        assert part in detail


def test_a_damaged_run_never_loses_the_report(results: Any, catalog: Catalog, one: Plan) -> None:
    published = "published/runs"
    results.corpus(corpus="generated-clear")
    results.run(next(iter(one.runs)))
    damages: dict[str, dict[str, Any]] = {
        "vae": {"cost": "dear"},
        "wae": {"provenance": ["a"]},
        "dae": {"files": ["a"]},
        "coupled-vae": {"steps": "many"},
        "gru-lm": {"settings": ["a"]},
        "wae-nf": {"files": {"model.safetensors": "w"}},
        "cnn-vae": {"files": {"model.safetensors": "w"}},
    }
    folders = {
        system: results.run(f"paper/coupled-vae/ptb/{system}/seed0", origin=published, **damage)
        for system, damage in damages.items()
    }
    write_json(folders["wae-nf"] / "texts.json", {"samples": [1], "interpolations": "none"})
    pandas.DataFrame({"nll": [1.0]}).to_parquet(folders["cnn-vae"] / "sentences.parquet")
    (folders["vae"].parent / "seedabc").mkdir()
    shutil.copytree(folders["cnn-vae"], results.root / published / "paper/another/ptb/vae/seed0")
    index = build_report(results.root, results.root / "report", catalog, one)
    text = re.sub(r"<[^>]+>", "", index.read_text())
    for told in (
        "vae/seed0: run.json: not as expected: cost",
        "wae/seed0: run.json: not as expected: provenance",
        "dae/seed0: run.json: not as expected: files",
        "coupled-vae/seed0: run.json: not as expected: steps",
        "gru-lm/seed0: run.json: settings that this version does not know",
        "wae-nf/seed0: texts.json: not as expected: samples.0",
        "cnn-vae/seed0: sentences.parquet: without the column index",
        "seedabc: no run is named so",
        "knows no paper another",
    ):
        assert told in text
    assert (index.parent / "systems" / "published-paper-coupled-vae-ptb-cnn-vae.html").exists()
