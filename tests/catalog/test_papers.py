"""Papers of a user's own: systems by paper, pairs, reference, tiers; and systems that are checked at every tier."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.base.errors import BenchError
from bench.base.own import VARIABLE
from bench.catalog.catalog import Catalog, load_catalog
from bench.catalog.papers import read_paper
from bench.planning.plan import Request, make_plan
from bench.planning.resolve import check_tiers, find_run, resolve
from bench.planning.targets import targets

WRITTEN = "table,corpus,label,setting,metric,value,unit,bold,note\n"
PROTOCOL = load_catalog().paper("coupled-vae").protocol | {"latent": 4, "embedding": 8}


def paper(**changes: Any) -> dict[str, Any]:
    head = {"title": "T", "short": "S", "authors": "", "year": 2020, "venue": "V", "corpora": ["ptb"]}
    return head | {"protocol": PROTOCOL} | changes


def tables(*systems: str, **changes: Any) -> dict[str, Any]:
    rows = [{"label": system, "system": system} for system in systems]
    table = {"id": "table1", "printed": "Table 1", "title": "T", "corpora": ["ptb"], "columns": ["nll"]}
    quantities = {"nll": {"metric": "nll", "estimator": None, "decimals": 1}}
    return {"quantities": quantities, "tables": [{**table, "rows": rows}]} | changes


Write = Callable[..., Catalog]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """``write({"papers/a/paper.yaml": content, ...})``: the catalog with a user's folder of these files."""

    def make(files: dict[str, Any]) -> Catalog:
        for name, content in files.items():
            path = tmp_path / "mine" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(
                content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8"
            )
        monkeypatch.setenv(VARIABLE, str(tmp_path / "mine"))
        return load_catalog()

    return make


def of(name: str, *systems: str, own: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """The files of a paper."""
    folder = f"papers/{name}"
    files: dict[str, Any] = {f"{folder}/paper.yaml": paper(), f"{folder}/reported.csv": WRITTEN}
    files[f"{folder}/tables.yaml"] = tables(*systems, **changes)
    return files | ({f"{folder}/systems.yaml": own} if own else {})


def test_two_papers_may_call_different_systems_the_same(write: Write) -> None:
    own = {"wae": {"title": "WAE of a", "extends": "vae"}}
    other = {"wae": {"title": "WAE of b", "extends": "coupled-vae/wae"}}
    catalog = write(of("a", "vae", "wae", own=own) | of("b", "wae", own=other))
    assert catalog.title("a", "wae") == "WAE of a"
    assert catalog.title("b", "wae") == "WAE of b"
    assert catalog.ancestry("b", "wae") == [("shared", "vae"), ("coupled-vae", "wae"), ("b", "wae")]
    runs = make_plan(catalog, Request(tier="paper", papers=("a", "b"))).runs
    assert list(runs) == ["paper/a/ptb/vae/seed0", "paper/a/ptb/wae/seed0", "paper/b/ptb/wae/seed0"]
    assert catalog.title("coupled-vae", "wae") == "WAE"
    assert catalog.find_system("a", "cnn-vae") is None


def test_a_papers_own_system_stands_in_place_of_a_shared_one(write: Write) -> None:
    own = {"vae": {"title": "Their VAE", "extends": "shared/vae"}, "b-vae": {"title": "B", "extends": "vae"}}
    catalog = write(of("a", "vae", "b-vae", own=own))
    assert catalog.ancestry("a", "b-vae") == [("shared", "vae"), ("a", "vae"), ("a", "b-vae")]
    assert catalog.title("coupled-vae", "vae") == "VAE"


def test_exceptions_of_a_paper_hold_for_its_systems_and_those_that_build_on_them(write: Write) -> None:
    own = {"vae": {"title": "Their VAE", "extends": "shared/vae"}, "b-vae": {"title": "B", "extends": "vae"}}
    files = of("a", "vae", "b-vae", own=own)
    files["papers/a/paper.yaml"] = paper(by_system={"vae": {"latent": 5}})
    files["papers/a/tiers.yaml"] = {"quick": {"scale": 0.5, "by_system": {"b-vae": {"embedding": 7}}}}
    catalog = write(files)
    found = {name: resolve(catalog, "quick", "a", "ptb", name, 0) for name in ("vae", "b-vae")}
    assert [(run.latent, run.embedding) for run in found.values()] == [(5, 8), (5, 7)]
    assert found["vae"].training.steps == 30_000
    assert resolve(catalog, "quick", "coupled-vae", "ptb", "vae", 0).training.steps == 3_000


def test_a_folder_with_systems_alone_adds_them_to_a_paper(write: Write) -> None:
    catalog = write({"papers/coupled-vae/systems.yaml": {"mine": {"title": "M", "extends": "cycann-vae"}}})
    assert catalog.ancestry("coupled-vae", "mine")[0] == ("shared", "vae")
    assert find_run(catalog, "demo/coupled-vae/generated-clear/mine/seed0").system == "mine"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"papers/b/systems.yaml": {"x": {"title": "X"}}}, "unknown paper 'b'(.|\n)*papers/b"),
        ({"papers/b/notes.txt": ""}, r"a paper without paper\.yaml(.|\n)*papers/b"),
        (of("shared", "vae"), "no paper can be named 'shared'"),
        (of("a", "wae"), r"unknown system 'wae'(.|\n)*tables\.yaml: table1"),
        (
            of("a", "x", own={"x": {"title": "X", "extends": "wae"}}),
            "unknown system 'wae'(.|\n)*a/systems.yaml: x(.|\n)*write coupled-vae/wae",
        ),
        (
            of("a", "x", own={"x": {"title": "X", "extends": "coupled-vae/wea"}}),
            "unknown system 'coupled-vae/wea'(.|\n)*did you mean 'coupled-vae/wae'",
        ),
        (of("a", "x", own={"x": {"title": "X", "extends": "a/b/c"}}), "x.extends is 'a/b/c'"),
        (of("a", "vae", reference="vea"), "unknown system 'vea'(.|\n)*tables.yaml: reference"),
        (of("a", "vae", "dae", pairs=[["vae", "dea"]]), "unknown system 'dea'(.|\n)*tables.yaml: pairs"),
        (
            of("a", "vae") | {"papers/a/tiers.yaml": {"demo": {"tables": ["table2"]}}},
            "unknown table 'table2'(.|\n)*tiers.yaml: demo",
        ),
        (
            of("a", "vae") | {"papers/a/tiers.yaml": {"dmo": {}}},
            "unknown tier 'dmo'(.|\n)*did you mean 'demo'",
        ),
        (
            of("a", "vae") | {"papers/a/tiers.yaml": {"demo": {"by_system": {"dea": {}}}}},
            "unknown system 'dea'(.|\n)*tiers.yaml: demo: by_system",
        ),
        (
            of("a", "vae") | {"papers/a/tiers.yaml": {"demo": {"corpora": ["pbt"]}}},
            "unknown corpus 'pbt'(.|\n)*tiers.yaml: demo",
        ),
        (of("a", "vae", tables=[]), r"tables is \[\](.|\n)*tables.yaml"),
    ],
)
def test_a_mistake_in_a_paper_is_explained(files: dict[str, Any], message: str, write: Write) -> None:
    with pytest.raises(BenchError, match=message):
        write(files)


def test_pairs_are_declared_or_else_coupled_twins(write: Write) -> None:
    own = {"coupled-vae": {"title": "C", "couples": "vae", "coupling": "twin"}}
    rows = ("vae", "dae", "gru-lm", "coupled-vae")
    catalog = write(
        of("a", *rows, own=own) | of("b", *rows, own=own, pairs=[["dae", "vae"], ["gru-lm", "vae"]])
    )
    (table,) = catalog.paper("a").tables
    assert catalog.pairs("a", table) == [("vae", "coupled-vae")]
    assert catalog.pairs("b", table) == [("dae", "vae"), ("gru-lm", "vae")]
    own_pairs = table.model_copy(update={"pairs": (("gru-lm", "dae"),)})
    assert catalog.pairs("b", own_pairs) == [("gru-lm", "dae")]
    one_row = table.model_copy(update={"rows": table.rows[:2]})
    assert catalog.pairs("b", one_row) == [("dae", "vae")]
    assert catalog.compared("b") == [("dae", "vae"), ("gru-lm", "vae"), ("vae", "coupled-vae")]


def test_the_reference_is_named_or_else_the_first_row(write: Write) -> None:
    catalog = write(of("a", "vae", "dae") | of("b", "vae", "dae", reference="dae"))
    assert [catalog.paper(name).reference_system for name in "ab"] == ["vae", "dae"]


def test_the_tables_of_a_request_are_those_of_each_paper_that_has_them(write: Write) -> None:
    files = of("a", "vae") | of("b", "dae")
    renamed = tables("dae")
    renamed["tables"][0]["id"] = "table2"
    files["papers/b/tables.yaml"] = renamed
    catalog = write(files)

    def systems(**asked: Any) -> list[str]:
        plan = make_plan(catalog, Request(tier="paper", papers=("a", "b"), **asked))
        return [name.removeprefix("paper/") for name in plan.runs]

    assert systems(tables="table2") == ["b/ptb/dae/seed0"]
    assert systems(tables="table1,table2") == ["a/ptb/vae/seed0", "b/ptb/dae/seed0"]
    with pytest.raises(BenchError, match=r"unknown table 'table3'(.|\n)*papers a, b"):
        systems(tables="table3")
    assert {"a_table1", "b_table2"} < set(targets(catalog, Request(tier="paper")))


def test_a_table_has_quantities_of_its_own(write: Write) -> None:
    files = of("a", "vae")
    files["papers/a/tables.yaml"]["tables"][0]["quantities"] = {
        "nll": {"metric": "nll", "estimator": "importance-sampling", "decimals": 2}
    }
    paper = write(files).paper("a")
    quantity = paper.quantity(paper.tables[0], "nll")
    assert quantity is not None
    assert (quantity.estimator, quantity.decimals, paper.quantities["nll"].decimals) == (
        "importance-sampling",
        2,
        1,
    )
    assert paper.quantity(paper.tables[0], "kl") is None


def test_the_bibtex_entry_of_a_paper_is_a_file_of_its_folder(write: Write) -> None:
    entry = "@misc{a2020,\n  title = {{T}},\n}\n"
    catalog = write(of("a", "vae") | {"papers/a/paper.bib": entry} | of("b", "vae"))
    assert (catalog.paper("a").bibtex, catalog.paper("b").bibtex) == (entry, "")
    folder = Path(os.environ[VARIABLE]) / "papers" / "a"
    (folder / "paper.bib").write_bytes(b"\xe9")
    with pytest.raises(BenchError, match=r"cannot read this file(.|\n)*paper\.bib"):
        read_paper(folder)


def test_every_paper_of_the_catalog_has_one_whole_entry_in_ascii() -> None:
    keys = []
    for name, found in load_catalog().papers.items():
        keys += re.findall(r"^@[a-z]+\{([a-z0-9]+),$", found.bibtex, re.MULTILINE)
        assert found.bibtex.isascii(), name
        assert found.bibtex.count("@") == 1, name
        assert found.bibtex.count("{") == found.bibtex.count("}"), name
        words = re.sub(r"^  (url|doi) = .*$", "", found.bibtex, flags=re.MULTILINE)
        assert not re.search(r"(?<!\\)[&%_#$]", words), name
        assert f"title = {{{{{found.title}}}}}," in found.bibtex, name
        assert f"year = {{{found.year}}}," in found.bibtex, name
    assert len(set(keys)) == len(load_catalog().papers)


def test_a_system_is_checked_in_every_tier_and_told_what_its_relatives_have(write: Write) -> None:
    """What a tier supplies is missing in the others, and is told before anything is trained in that tier."""
    own = {"mine": {"title": "M", "extends": "cycann-vae", "decoder": {"kind": "cnn"}}}
    catalog = write({"papers/coupled-vae/systems.yaml": own})
    assert resolve(
        catalog, "demo", "coupled-vae", "generated-clear", "mine", 0, {"decoder": {"dilations": [1]}}
    )
    with pytest.raises(BenchError) as caught:
        check_tiers(catalog, "coupled-vae", "mine")
    assert "is missing" in str(caught.value)
    assert "cnn-vae has" in str(caught.value)
    with pytest.raises(BenchError, match=r"run (demo|quick)/coupled-vae"):
        find_run(catalog, "demo/coupled-vae/generated-tiny/mine/seed0", {"decoder": {"dilations": [1]}})


def test_a_part_of_another_kind_keeps_the_options_that_both_kinds_have(write: Write) -> None:
    own = {"mine": {"title": "M", "extends": "cycann-vae", "encoder": "lstm"}}
    catalog = write({"papers/coupled-vae/systems.yaml": own})
    check_tiers(catalog, "coupled-vae", "mine")
    for tier, corpus in (("demo", "generated-clear"), ("paper", "ptb")):
        gru, lstm = (
            resolve(catalog, tier, "coupled-vae", corpus, s, 0).encoder for s in ("cycann-vae", "mine")
        )
        assert (gru.kind, lstm.kind) == ("gru", "lstm")
        assert gru.options.items() <= lstm.options.items()
