"""The workflow run for real, on the tiny generated corpus: a failure, its repair, a result, nothing to do."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bench.base.files import read_json, write_json
from bench.store.seal import sealed
from tests.conftest import TINY, tiny_settings
from tests.workflow.asked import config

SYSTEMS = ("gru-lm", "vae")
RESULTS = "my results"  # the working directory, the package and the results all lie below names with blanks


def asked(*systems: str, **settings: Any) -> list[str]:
    """The option that asks for these systems, in that results folder."""
    return [*config(*systems, **settings), f"results={RESULTS}"]


@dataclass(frozen=True)
class Story:
    """A first call in which one of two systems fails, and a second one that makes good."""

    folder: Path
    first: subprocess.CompletedProcess[str]
    after_first: set[str]
    partial_pages: str
    second: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def story(snakemake: Any, own_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The module that only the VAE uses is broken in the first call, and mended in the second."""
    folder = tmp_path_factory.mktemp("a workflow")
    module = own_tree / "bench" / "models" / "posteriors.py"
    source = module.read_text()
    module.write_text(f"{source}\n\nraise RuntimeError('broken on purpose')\n")
    first = snakemake(folder, *asked(*SYSTEMS), tree=own_tree)
    finished = {path.parent.parent.name for path in folder.rglob("measurements.json")}
    pages = "".join(page.read_text() for page in (folder / RESULTS / "report-partial").rglob("*.html"))
    module.write_text(source)
    return Story(folder, first, finished, pages, snakemake(folder, *asked(*SYSTEMS), tree=own_tree))


@pytest.fixture(scope="module")
def complete(story: Story) -> Path:
    """A working directory in which the two systems are trained, measured and reported."""
    assert story.second.returncode == 0, story.second.stdout + story.second.stderr
    return story.folder


def run_folder(folder: Path, system: str) -> Path:
    return folder / RESULTS / "runs" / tiny_settings(system).name


def test_a_failing_run_stops_no_other(story: Story) -> None:
    assert story.first.returncode == 1
    assert "broken on purpose" in story.first.stdout + story.first.stderr  # its log is shown
    assert story.after_first == {"gru-lm"}


def test_a_failure_leaves_a_partial_report_that_names_it(story: Story) -> None:
    assert tiny_settings("vae").name in story.partial_pages
    assert "broken on purpose" in story.partial_pages


def test_the_next_call_tries_exactly_what_failed(story: Story, counts: Any, complete: Path) -> None:
    assert counts(story.second) == {"train": 1, "evaluate": 1, "report": 1, "all": 1}
    assert not (complete / RESULTS / "report-partial").exists()


def test_every_arrow_leaves_its_files(complete: Path) -> None:
    for system in SYSTEMS:
        run, measured = (
            read_json(run_folder(complete, system) / f) for f in ("run.json", "measurements.json")
        )
        assert run["identity"] == measured["identity"] == tiny_settings(system).identity
        assert run["state"] == measured["state"] == "finished"
        assert {m["metric"] for m in measured["measurements"]} >= {"nll", "ppl"}
    index = (complete / RESULTS / "report" / "index.html").read_text()
    assert "vae" in index.lower()
    assert not list((complete / RESULTS / "state").rglob("*.safetensors"))  # no training is left unfinished


def test_nothing_is_written_beside_the_results(complete: Path) -> None:
    """As a redirection to a path that is not quoted would."""
    assert {path.name for path in complete.iterdir()} == {RESULTS, ".snakemake"}


def test_a_second_call_has_nothing_to_do(complete: Path, own_tree: Path, snakemake: Any, counts: Any) -> None:
    assert counts(snakemake(complete, *asked(*SYSTEMS), tree=own_tree)) == {}


def test_changed_code_reruns_nothing(complete: Path, own_tree: Path, snakemake: Any, counts: Any) -> None:
    """A checkout, a function that is renamed and moved, another layout, another shell command, a paper more."""
    bench, paper = own_tree / "bench", own_tree / "bench" / "catalog" / "papers" / "other"
    for path in own_tree.rglob("*.py"):
        path.write_text(path.read_text() + "# as before\n")
    changes = {
        bench / "models" / "priors.py": ("\nclass ", "\n\nclass "),
        bench / "training" / "loop.py": ("def one_step", "def a_step"),
        bench / "training" / "run.py": ("def _write(", "def _written("),
        own_tree / "workflow" / "rules" / "train.smk": ("--wait --evaluate-short", "--wait"),
    }
    before = {path: path.read_text() for path in changes}
    shutil.copytree(paper.with_name("coupled-vae"), paper)
    try:
        for path, (old, new) in changes.items():
            assert old in before[path]
            path.write_text(before[path].replace(old, new))
        slice_ = (*asked(*SYSTEMS), "papers=coupled-vae")
        assert counts(snakemake(complete, "--dry-run", *slice_, tree=own_tree)) == {}
    finally:
        shutil.rmtree(paper)
        for path, text in before.items():
            path.write_text(text)


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        (
            "models/posteriors.py",
            '@part("posterior", "gaussian", ',
            '@part("posterior", "gaussian", version=2, ',
            {"train": 1, "evaluate": 1, "report": 1, "all": 1},
        ),
        (
            "models/von_mises_fisher.py",
            '@part("posterior", "vmf", ',
            '@part("posterior", "vmf", version=2, ',
            {},
        ),
        (
            "base/identity.py",
            '"evaluate": 1',
            '"evaluate": 2',
            {"evaluate": 2, "report": 1, "all": 1},
        ),
        ("base/identity.py", '"report": 2', '"report": 3', {"report": 1, "all": 1}),
        (
            "corpora/readers/generated.py",
            "GeneratedOptions)\n",
            "GeneratedOptions, version=2)\n",
            {"prepare": 1, "train": 2, "evaluate": 2, "report": 1, "all": 1},
        ),
        (
            "metrics/diversity.py",
            '"diversity",\n',
            '"diversity",\n    version=2,\n',
            {"evaluate": 1, "report": 1, "all": 1},  # of the VAE: a language model has no prior
        ),
    ],
)
def test_a_raised_version_reruns_exactly_what_has_it(
    file: str,
    old: str,
    new: str,
    expected: dict[str, int],
    complete: Path,
    own_tree: Path,
    snakemake: Any,
    counts: Any,
) -> None:
    path = own_tree / "bench" / file
    content = path.read_text()
    assert old in content
    path.write_text(content.replace(old, new, 1))
    try:
        assert counts(snakemake(complete, "--dry-run", *asked(*SYSTEMS), tree=own_tree)) == expected
    finally:
        path.write_text(content)


def test_notes_of_snakemake_from_before_versions_are_renewed_by_touching(
    complete: Path, own_tree: Path, snakemake: Any, counts: Any, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(complete, tmp_path / "before"))
    rules = own_tree / "workflow" / "rules"
    old = {path: path.read_text() for path in rules.glob("*.smk")}
    call = asked(*SYSTEMS)
    try:
        for path, text in old.items():  # as if the source had been hashed
            path.write_text(text.replace("        identity=", "        code='a hash',\n        identity="))
        assert snakemake(folder, "--touch", *call, tree=own_tree).returncode == 0
    finally:
        for path, text in old.items():
            path.write_text(text)
    assert counts(snakemake(folder, "--dry-run", *call, tree=own_tree))["train"] == 2
    weights = {path: path.read_bytes() for path in folder.rglob("model.safetensors")}
    assert snakemake(folder, "--touch", *call, tree=own_tree).returncode == 0
    assert counts(snakemake(folder, "--dry-run", *call, tree=own_tree)) == {}
    assert weights == {path: path.read_bytes() for path in weights}


def test_a_raised_measure_keeps_what_was_measured(
    complete: Path, own_tree: Path, snakemake: Any, counts: Any, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(complete, tmp_path / "measured"))
    path = own_tree / "bench" / "metrics" / "diversity.py"
    content, file = path.read_text(), run_folder(folder, "vae") / "measurements.json"
    before = read_json(file)["measurements"]
    marked = [m | {"definition": "measured before"} for m in before]
    write_json(file, sealed(read_json(file) | {"measurements": marked}, file.parent))
    assert '    "diversity",\n' in content
    path.write_text(content.replace('    "diversity",\n', '    "diversity",\n    version=2,\n', 1))
    try:
        assert snakemake(folder, *asked(*SYSTEMS), tree=own_tree).returncode == 0
        assert counts(snakemake(folder, "--dry-run", *asked(*SYSTEMS), tree=own_tree)) == {}
    finally:
        path.write_text(content)
    after = read_json(file)["measurements"]
    again = [m["measure"] for m in after if m["definition"] != "measured before"]
    assert again == ["diversity"] * 2
    assert sorted(m["measure"] for m in after) == sorted(m["measure"] for m in before)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"evaluation": {**TINY["evaluation"], "samples": 6}}, {"evaluate": 2, "report": 1, "all": 1}),
        (
            {"objective": {"kl": {"weight": {"start": 5, "length": 30}}}},
            {"train": 1, "evaluate": 1, "report": 1, "all": 1},
        ),
        ({"training": {**TINY["training"], "steps": 41}}, {"train": 2, "evaluate": 2, "report": 1, "all": 1}),
    ],
)
def test_a_changed_setting_reruns_exactly_what_it_changes(
    changes: dict[str, Any],
    expected: dict[str, int],
    complete: Path,
    own_tree: Path,
    snakemake: Any,
    counts: Any,
) -> None:
    assert counts(snakemake(complete, "--dry-run", *asked(*SYSTEMS, **changes), tree=own_tree)) == expected


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        (
            "systems.yaml",
            "  objective: {kl: {weight: {kind: linear}}}\n",
            "  objective: {kl: {weight: {kind: linear, ceiling: 0.9}}}\n",
            {"train": 1, "evaluate": 1, "report": 1, "all": 1},
        ),
        ("systems.yaml", "  title: GRU-LM\n", "  title: A GRU\n", {"report": 1, "all": 1}),
        (
            "papers/coupled-vae/systems.yaml",
            "  objective: {kl: {weight: {ceiling: 0.8}}}\n",
            "  objective: {kl: {weight: {ceiling: 0.7}}}\n",
            {},
        ),
        ("papers/coupled-vae/reported.csv", "nll,105.8", "nll,105.7", {"report": 1, "all": 1}),
        ("corpora/generated-tiny.yaml", "title: Generated", "title: Drawn", {"report": 1, "all": 1}),
        (
            "corpora/generated-tiny.yaml",
            "reader: {kind: generated, size: tiny}",
            "reader: {kind: generated, size: tiny}\nexpect: {train: 600}",
            {"prepare": 1, "train": 2, "evaluate": 2, "report": 1, "all": 1},
        ),
        ("corpora/ptb.yaml", "expect: {train: 42068", "expect: {train: 42069", {}),
    ],
)
def test_a_changed_entry_of_the_catalog_reruns_exactly_what_depends_on_it(
    file: str,
    old: str,
    new: str,
    expected: dict[str, int],
    complete: Path,
    own_tree: Path,
    snakemake: Any,
    counts: Any,
) -> None:
    path = own_tree / "bench" / "catalog" / file
    content = path.read_text()
    assert old in content
    path.write_text(content.replace(old, new, 1))
    try:
        assert counts(snakemake(complete, "--dry-run", *asked(*SYSTEMS), tree=own_tree)) == expected
    finally:
        path.write_text(content)


def test_a_clock_that_went_backwards_reruns_nothing(
    complete: Path, own_tree: Path, snakemake: Any, counts: Any
) -> None:
    """The corpus seems to be younger than the runs that were trained on it."""
    for path in (complete / RESULTS / "corpora").rglob("*"):
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime + 3600))
    assert counts(snakemake(complete, "--dry-run", *asked(*SYSTEMS), tree=own_tree)) == {}


def test_a_corpus_of_the_user(snakemake: Any, counts: Any, tmp_path: Path) -> None:
    """Its files are read where they lie: their content decides, not the place or the time of change."""
    there = tmp_path / "there"
    corpora = there / "mine" / "corpora"
    corpora.mkdir(parents=True)
    for split in ("train", "valid", "test"):
        (corpora / f"{split}.txt").write_text("a small text\nanother text\n" * 3)
    files = ", ".join(f"{split}: {split}.txt" for split in ("train", "valid", "test"))
    (corpora / "mine.yaml").write_text(f"name: mine\ntitle: Mine\nfiles: {{{files}}}\n")
    target = "results/corpora/coupled-vae/mine/corpus.json"
    call = (there, target, "--config", "catalog=mine", "papers=coupled-vae", "corpora=mine", "systems=vae")
    done = snakemake(*call)
    assert done.returncode == 0, done.stdout + done.stderr
    assert read_json(there / target)["sizes"] == {"train": 6, "valid": 6, "test": 6}
    assert counts(snakemake(*call)) == {}
    (corpora / "test.txt").write_text("a small text\nanother text\n")
    assert counts(snakemake(*call)) == {"prepare": 1}
    os.utime(corpora / "test.txt")
    there.rename(tmp_path / "here")
    assert counts(snakemake(tmp_path / "here", *call[1:], "--dry-run")) == {}
    (tmp_path / "here" / "mine" / "corpora" / "test.txt").write_text("another text\nyet another\nand one\n")
    assert counts(snakemake(tmp_path / "here", *call[1:])) == {"prepare": 1}
    assert read_json(tmp_path / "here" / target)["sizes"]["test"] == 3
