"""The catalog: what its files may say, and what is told of every mistake in them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.base.errors import BenchError
from bench.base.own import VARIABLE
from bench.catalog import catalog as module
from bench.catalog.catalog import CATALOG, Catalog, load_catalog
from bench.catalog.claims import Claim

PAPER = "coupled-vae"
Folder = Callable[[str], Path]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """``folder(systems_yaml)``: a catalog folder of a user's own."""

    def make(systems: str) -> Path:
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "systems.yaml").write_text(systems, encoding="utf-8")
        return tmp_path / "mine"

    return make


@pytest.fixture
def edited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """``edited(file, old, new)``: the package's catalog with one change."""

    def make(file: str, old: str, new: str) -> Path:
        shutil.copytree(CATALOG, tmp_path / "catalog")
        path = tmp_path / "catalog" / file
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        monkeypatch.setattr(module, "CATALOG", tmp_path / "catalog")
        return path

    return make


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads a catalog that another one changed."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(module, "_load", module._load.__wrapped__)


def load(*folders: Path) -> Catalog:
    """The catalog with these folders of a user's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, ":".join(map(str, folders)))
        return load_catalog()


@pytest.mark.parametrize(
    ("systems", "message"),
    [
        (
            "mine: {title: M, extends: vea}",
            r"unknown system 'vea'(.|\n)*systems\.yaml: mine(.|\n)*did you mean 'vae'",
        ),
        ("mine: {title: M, couples: vea}", "unknown system 'vea'"),
        ("mine: {title: M, extends: mine}", "in a circle: mine -> mine"),
        (
            "a: {title: A, extends: b}\nb: {title: B, couples: c}\nc: {title: C, extends: a}",
            r"in a circle: a -> b -> c -> a(.|\n)*systems\.yaml: c",
        ),
        (
            "mine: {title: M, extends: vae, couples: vae}",
            r"name one of couples, extends(.|\n)*systems\.yaml: mine",
        ),
        (
            "mine: {title: M, decodr: gru}",
            r"unknown key 'decodr'(.|\n)*mine\.decodr(.|\n)*did you mean 'decoder'",
        ),
        ("mine: {extends: vae}", "mine.title is missing"),
        ("mine: {title: 3}", "mine.title is 3(.|\n)*allowed: a text"),
        ("mine:", "mine is None(.|\n)*allowed: a mapping"),
        ("My system: {title: M}", r"My system"),
        ("mine: {title: A}\nmine: {title: B}", "key 'mine' twice"),
        (
            "vae: {title: Mine}",
            r"two systems are named 'vae'(.|\n)*catalog/systems\.yaml and .*mine/systems\.yaml",
        ),
        ("- vae", "expected a mapping, found list"),
        ("mine: {title: [}", "cannot read this file"),
        ("mine: {title: T, extends: vae, latent: 8}", r"'latent' is no part of a system(.|\n)*--settings"),
    ],
)
def test_a_mistake_in_a_systems_file_is_explained(systems: str, message: str, folder: Folder) -> None:
    with pytest.raises(BenchError, match=message) as caught:
        load(folder(systems))
    assert "systems.yaml" in str(caught.value.where)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "papers/coupled-vae/tables.yaml",
            "system: coupled-vae-rq-1}",
            "system: coupled-vae-rq-2}",
            "table3(.|\n)*rq-1",
        ),
        (
            "papers/coupled-vae/tables.yaml",
            "columns: [nll, kl, ppl]",
            "columns: [nll, kl, pppl]",
            "metric 'pppl'",
        ),
        (
            "papers/coupled-vae/paper.yaml",
            "corpora: [ptb, yelp13, yahoo, switchboard]",
            "corpora: [ptp, yahoo]",
            "corpus 'ptp'",
        ),
        ("papers/coupled-vae/paper.yaml", "  yelp13:\n", "  yelp31:\n", "unknown corpus 'yelp31'"),
        (
            "papers/coupled-vae/paper.yaml",
            "  vae-as-released: {groups",
            "  vea: {groups",
            "system 'vea'",
        ),
        (
            "papers/coupled-vae/tables.yaml",
            "{label: GRU-LM, ",
            "{lable: GRU-LM, ",
            "'lable'(.|\n)*rows.0.lable(.|\n)*'label'",
        ),
        (
            "papers/coupled-vae/tables.yaml",
            "better: lower}",
            "better: less}",
            "quantities.nll.better is 'less'",
        ),
        ("papers/coupled-vae/paper.yaml", "latent: 32", "latent: 32\n  latent: 16", "key 'latent' twice"),
        (
            "papers/coupled-vae/reported.csv",
            "105.8",
            "about 106",
            r"value is 'about 106'(.|\n)*reported\.csv:2(.|\n)*a number",
        ),
        (
            "papers/coupled-vae/reported.csv",
            "105.8,nats",
            "105.8,bits",
            r"unknown unit 'bits'(.|\n)*reported.csv:2(.|\n)*allowed: (.|\n)*nats, nats per text(.|\n)*ratio",
        ),
        (
            "papers/coupled-vae/reported.csv",
            "table,corpus,",
            "tabel,corpus,",
            r"unknown column 'tabel'(.|\n)*did you mean 'table'",
        ),
        (
            "papers/coupled-vae/tiers.yaml",
            "    sa-vae: *costly",
            "    sa-vea: *costly",
            "unknown system 'sa-vea'(.|\n)*demo: by_system",
        ),
        (
            "papers/coupled-vae/tables.yaml",
            "beside: [coupled-vae]",
            "beside: [coupled-vea]",
            "figure2(.|\n)*vae",
        ),
        (
            "papers/coupled-vae/tables.yaml",
            "shows: interpolations",
            "shows: translations",
            "unknown kind of texts 'translations'(.|\n)*interpolations",
        ),
        (
            "papers/coupled-vae/audits.yaml",
            "other: vae-as-released,",
            "other: vae-as-relaesed,",
            "unknown system 'vae-as-relaesed'(.|\n)*embedding-updates(.|\n)*'vae-as-released'",
        ),
        (
            "papers/coupled-vae/audits.yaml",
            "systems: [dae, vae, coupled-vae]",
            "systems: [dea, vae, coupled-vae]",
            "unknown system 'dea'(.|\n)*audits.yaml: squared-norms",
        ),
        (
            "papers/coupled-vae/audits.yaml",
            "first: As released,",
            "first: As relased,",
            "unknown comparison 'As relased'(.|\n)*'As released'",
        ),
        (
            "papers/coupled-vae/audits.yaml",
            "estimator: cumulative}",
            "estimator: culumative}",
            "unknown estimator of bleu2 'culumative'(.|\n)*'cumulative'",
        ),
        ("papers/coupled-vae/audits.yaml", "checks: [bold-cells]", "checks: [bald-cells]", "is 'bald-cells'"),
        ("papers/coupled-vae/audits.yaml", "corpora: [ptb]", "corpora: [ptp]", "unknown corpus 'ptp'"),
        (
            "papers/coupled-vae/tables.yaml",
            "estimators: {mi: like-length}}\n",
            "estimators: {mi: like-lenght}}\n",
            "unknown estimator 'like-lenght'(.|\n)*Coupled-Lagging-VAE(.|\n)*'like-length'",
        ),
        (
            "papers/coupled-vae/tables.yaml",
            "estimators: {mi: like-length}}\n",
            "estimators: {nll: like-length}}\n",
            "unknown column 'nll'(.|\n)*Coupled-Lagging-VAE",
        ),
        (
            "papers/coupled-vae/paper.yaml",
            "yahoo-lite: {of: yahoo,",
            "yahoo-lite: {of: yahu,",
            "unknown corpus 'yahu'(.|\n)*stand_ins: yahoo-lite",
        ),
        (
            "papers/coupled-vae/paper.yaml",
            "\nyear:",
            "\ncitation: Wu et al.\nyear:",
            "citation: 'Wu et al.'(.|\n)*paper.bib",
        ),
        (
            "papers/coupled-vae/claims.yaml",
            "metrics: [ppl]",
            "metrics: [pppl]",
            "unknown metric 'pppl'(.|\n)*coupling-improves-ppl(.|\n)*'ppl'",
        ),
        (
            "papers/coupled-vae/claims.yaml",
            "table: table2",
            "table: tabel2",
            "unknown table 'tabel2'(.|\n)*claims.yaml",
        ),
        (
            "papers/coupled-vae/claims.yaml",
            "{table: table1, metrics",
            "{table: table1, pairs: [[dae, vae]], metrics",
            "name one of pairs, table",
        ),
        (
            "papers/coupled-vae/claims.yaml",
            "system: dae, curve: reconstruction-gradient, shape: grows",
            "system: dae, curve: reconstruction-gradient, shape: grwos",
            "shapes.0.shape is 'grwos'(.|\n)*grows",
        ),
        (
            "papers/coupled-vae/claims.yaml",
            "differences: {pairs: [[coupled-vae, coupled-vae-rec-0]]",
            "diferences: {pairs: [[coupled-vae, coupled-vae-rec-0]]",
            "unknown key 'diferences'(.|\n)*'differences'",
        ),
        (
            "papers/coupled-vae/claims.yaml",
            "first: [coupled-vae-unmatched, coupled-vae]",
            "first: [coupled-vae-unmached, coupled-vae]",
            "unknown system 'coupled-vae-unmached'",
        ),
        (
            "papers/coupled-vae/claims.yaml",
            "  corpora: [yelp13, yahoo]",
            "  corpora: [yelp, yahoo]",
            "unknown corpus 'yelp'(.|\n)*coupling-improves-bleu",
        ),
        ("tiers.yaml", "scale: 0.05", "scale: 5", "tiers.quick.scale is 5(.|\n)*less than or equal to 1"),
        ("tiers.yaml", "scale: 0.05", "scael: 0.05", "unknown key 'scael'(.|\n)*'scale'"),
    ],
)
def test_a_mistake_in_the_package_is_explained(
    file: str, old: str, new: str, message: str, edited: Callable[..., Path]
) -> None:
    path = edited(file, old, new)
    with pytest.raises(BenchError, match=message) as caught:
        load_catalog()
    assert str(path.parent) in str(caught.value.where)


@pytest.mark.parametrize(
    ("noun", "name", "nearest"),
    [
        ("system", "vea", "vae"),
        ("paper", "coupled_vae", "coupled-vae"),
        ("corpus", "pbt", "ptb"),
        ("tier", "qiuck", "quick"),
    ],
)
def test_an_unknown_name_offers_the_nearest(noun: str, name: str, nearest: str) -> None:
    with pytest.raises(BenchError, match=f"unknown {noun} '{name}'(.|\n)*did you mean '{nearest}'"):
        getattr(load_catalog(), noun)(*([PAPER] if noun == "system" else []), name)


def test_a_folder_of_ones_own_is_read_from_the_variable_too(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = folder("mine: {title: M, couples: vae, coupling: twin}")
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv(VARIABLE, f"{tmp_path / 'empty'}:{mine}:{mine}")
    assert load_catalog().system(PAPER, "mine").couples == "vae"
    assert "mine" not in load().systems.known(PAPER)
    shutil.copytree(mine, tmp_path / "other")
    with pytest.raises(BenchError, match=r"two systems are named 'mine'"):
        load(mine, tmp_path / "other")


def test_a_paper_of_ones_own_has_printed_numbers_and_a_name_of_its_own(tmp_path: Path) -> None:
    paper = tmp_path / "papers" / "mine"
    shutil.copytree(CATALOG / "papers" / "coupled-vae", paper)
    assert load(tmp_path).paper("mine").title == load_catalog().paper("coupled-vae").title
    (paper / "reported.csv").unlink()
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        BenchError, match=r"without its printed numbers(.|\n)*mine/reported.csv(.|\n)*table,corpus,"
    ):
        load(tmp_path, tmp_path / "empty")  # another catalog than the one above, which is remembered
    paper.rename(paper.with_name("coupled-vae"))
    with pytest.raises(BenchError, match=r"two papers are named 'coupled-vae'"):
        load(tmp_path, tmp_path / "empty")


def test_a_folder_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CATALOG", str(tmp_path / "absent"))
    with pytest.raises(BenchError, match=r"catalog folder not found(.|\n)*absent(.|\n)*BENCH_CATALOG"):
        load_catalog()


def test_two_corpora_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "corpora").mkdir()
    shutil.copy(CATALOG / "corpora" / "ptb.yaml", tmp_path / "corpora")
    with pytest.raises(BenchError, match="two corpora are named 'ptb'"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("system", "baseline"),
    [
        ("vae", None),
        ("coupled-vae", "vae"),
        ("coupled-vae-rq-5", "vae"),
        ("coupled-beta-0.8-vae", "beta-0.8-vae"),
    ],
)
def test_the_baseline_of_a_pair_is_known_through_its_variants(system: str, baseline: str | None) -> None:
    assert load_catalog().baseline(PAPER, system) == baseline


def test_reading_the_catalog_imports_nothing_heavy() -> None:
    code = "import sys; from bench.catalog.catalog import load_catalog; load_catalog(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "pandas", "pooch", "snakemake"} & set(done.stdout.split())


def test_a_catalog_is_what_its_files_say() -> None:
    catalog: Catalog = load_catalog()
    assert catalog.system(PAPER, "coupled-vae").parts() == {
        "coupling": "twin",
        "objective": {"matching": {"weight": 0.1}, "twin_reconstruction": {"weight": 1.0}},
    }
    first = catalog.paper("coupled-vae").reported[0]
    assert (first.label, first.metric, first.value, first.bold) == ("GRU-LM", "nll", 105.8, False)


def test_a_claim_has_one_predicate_and_an_audit_is_optional(edited: Callable[..., Path]) -> None:
    about = {"where": "Section 1", "statement": "So it is."}
    trend = {"chains": [["vae", "dae"]], "metrics": ["nll"], "direction": "lower"}
    assert Claim.model_validate(about | {"trend": trend}).named()
    for predicates in (
        {},
        {"trend": trend, "sensitivity": {"metric": "nll", "more": ["vae", "dae"], "less": ["vae", "dae"]}},
    ):
        with pytest.raises(ValueError, match="name one of differences, trend, sensitivity"):
            Claim.model_validate(about | predicates)
    path = edited("papers/coupled-vae/audits.yaml", "embedding-updates:", "embedding-updates:")
    path.unlink()
    assert load_catalog().paper("coupled-vae").audits == {}


def test_the_pairs_of_a_table_are_baselines_with_a_single_twin() -> None:
    catalog = load_catalog()
    pairs = {table.id: catalog.pairs(PAPER, table) for table in catalog.paper("coupled-vae").tables}
    assert pairs["table6"] == pairs["table9"] == [("vae", "coupled-vae-rq-10")]
    assert pairs["table5"] == [("vae", "coupled-vae")]
    assert pairs["table3"] == pairs["table4"] == []  # they compare settings of one twin
    assert pairs["table1"][:2] == [("vae", "coupled-vae"), ("beta-0.8-vae", "coupled-beta-0.8-vae")]
    assert len(pairs["table1"]) == 11
    assert all(twin == f"coupled-{baseline}" for baseline, twin in pairs["table1"])
