"""The hash of the code: what changes it, and what does not."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bench
from bench.base.errors import BenchError
from bench.catalog.catalog import load_catalog
from bench.planning.resolve import find_run
from bench.store import provenance
from bench.store.provenance import PACKAGE, code_hash, modules_of, modules_that_count
from tests.conftest import tiny_settings

PROBE = """
import json
from bench.catalog.catalog import load_catalog
from bench.planning.resolve import resolve
from bench.store.provenance import code_hash
catalog = load_catalog()
hashes = {}
for system in ("gru-lm", "vae"):
    run = resolve(catalog, "demo", "coupled-vae", "generated-tiny", system, 0)
    hashes |= {f"{stage} {system}": code_hash(stage, run=run) for stage in ("train", "evaluate")}
for corpus in ("ptb", "generated-tiny"):
    hashes[f"prepare {corpus}"] = code_hash("prepare", corpus=catalog.corpus(corpus))
print(json.dumps({**hashes, "report": code_hash("report")}))
"""


def probe(tree: Path) -> dict[str, str]:
    """The hashes that the package in ``tree`` computes of itself."""
    command = [sys.executable, "-c", PROBE]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tree, check=True, env={"PYTHONPATH": str(tree)}
    )
    return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package that may be edited."""
    folder = tmp_path_factory.mktemp("tree")
    shutil.copytree(PACKAGE, folder / "bench", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.mark.parametrize(
    ("file", "old", "new", "changed"),
    [
        ("base/seeds.py", "\n\n\ndef", "\n\n\n# a comment\n\n\ndef", []),
        ("base/seeds.py", '"""A 63-bit seed', '"""Another docstring. A 63-bit seed', []),
        ("base/errors.py", "n=1", "n=2", []),
        ("base/seeds.py", ">> 1", ">> 2", ["train", "evaluate", "prepare generated-tiny", "report"]),
        ("models/new.py", "", "VALUE = 1\n", []),
        (
            "objectives/weights.py",
            "import annotations",
            "import annotations\n\nVALUE = 1",
            ["train vae", "evaluate vae"],
        ),
        (
            "corpora/readers/lines.py",
            "import annotations",
            "import annotations\n\nVALUE = 1",
            ["prepare ptb"],
        ),
        ("corpora/grammar/grammar.yaml", "", "\n# more", ["prepare generated-tiny"]),
        ("report/templates/base.html.j2", "", "\n", ["report"]),
    ],
)
def test_what_an_edit_reruns(tree: Path, file: str, old: str, new: str, changed: list[str]) -> None:
    before, path = probe(tree), tree / "bench" / file
    text = path.read_text() if path.exists() else None
    if old:
        assert text is not None
        assert old in text
    path.write_text((text or "").replace(old, new, 1) if old else (text or "") + new)
    try:
        after = probe(tree)
    finally:
        path.unlink() if text is None else path.write_text(text)
    different = {key for key in before if before[key] != after[key]}
    assert all(any(key.startswith(start) for key in different) for start in changed)
    assert all(any(key.startswith(start) for start in changed) for key in different)


def test_only_the_parts_of_a_run_count() -> None:
    vae, language_model = (code_hash("train", run=tiny_settings(name)) for name in ("vae", "gru-lm"))
    assert vae != language_model
    assert vae == code_hash("train", run=tiny_settings("vae", seed=1))
    assert len({code_hash(stage) for stage in provenance.ROOTS}) == len(provenance.ROOTS)
    with pytest.raises(BenchError, match="unknown stage 'trian'"):
        code_hash("trian")


@pytest.mark.parametrize("system", ["vae", "coupled-lagging-vae", "sa-vae"])
def test_neither_training_nor_evaluation_counts_for_the_other(system: str) -> None:
    run = find_run(load_catalog(), f"paper/coupled-vae/ptb/{system}/seed0")
    trained, measured = (set(modules_that_count(stage, run)) for stage in ("train", "evaluate"))
    assert "bench.estimators.likelihood" in trained & measured
    assert not any(name.startswith("bench.metrics") for name in trained)
    of_training = {name for name in measured if name.startswith("bench.training.")}
    procedures = {"vae": "procedures", "coupled-lagging-vae": "aggressive", "sa-vae": "semi_amortised"}
    assert of_training == {
        "bench.training.composition",
        "bench.training.procedures",
        f"bench.training.{procedures[system]}",
    }


def test_imports_are_followed_but_not_for_type_checking() -> None:
    found = modules_of(["bench.corpora.prepare"])
    assert {"bench.corpora.prepare", "bench.base.text_rules", "bench.corpora.vocabulary"} <= set(found)
    assert not any(name.startswith(("bench.models", "bench.report", "bench.base.errors")) for name in found)


def test_the_readers_of_the_catalog_are_all_known() -> None:
    for entry in load_catalog().corpora.values():
        assert code_hash("prepare", corpus=entry)


def test_a_record_says_where_it_was_made() -> None:
    record = provenance.provenance("abc", threads=2)
    assert record["code_hash"] == "abc"
    assert record["threads"] == 2
    assert record["device"].startswith("cpu: ")
    assert record["packages"].keys() >= {"numpy", "pandas"}
    assert record["python"] == ".".join(map(str, sys.version_info[:3]))


def test_the_version_is_the_commit_only_in_a_checkout_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def git(*arguments: str) -> None:
        subprocess.run(["git", "-C", str(tmp_path), *arguments], check=True, capture_output=True)

    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "a.py").write_text("")
    git("init", "-q")
    git("add", ".")
    git("-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", "first")
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path / "bench")
    version, dirty = provenance.code_version.__wrapped__()
    assert (len(version), dirty) == (40, False)
    (tmp_path / "bench" / "a.py").write_text("1")
    assert provenance.code_version.__wrapped__() == (version, True)
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path / "elsewhere" / "bench")
    assert provenance.code_version.__wrapped__() == (bench.__version__, False)
