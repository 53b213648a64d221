"""Results of an older version: told apart, with the modules that have changed since."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bench.analysis import age
from bench.analysis.age import ages, told
from bench.catalog.catalog import Catalog
from bench.planning.plan import Request, make_plan
from bench.store import provenance
from bench.store.provenance import code_hash
from bench.store.records import RunRecord, load_records

RUN = "paper/coupled-vae/ptb/vae/seed0"
STAGES = {"train": "run.json", "evaluate": "measurements.json"}


def load(results: Any, catalog: Catalog, **code: dict[str, Any]) -> RunRecord:
    """The run, with the provenance of each stage changed."""
    results.corpus()
    folder = results.run(RUN)
    for stage, file in STAGES.items():
        content = json.loads((folder / file).read_text())
        now = code_hash(stage, run=results.settings(RUN))
        content["provenance"] |= {"code_hash": now} | code.get(stage, {})
        (folder / file).write_text(json.dumps(content))
    asked = {"tier": "paper", "corpora": ("ptb",), "systems": ("vae",)}
    return load_records(results.root, make_plan(catalog, Request.model_validate(asked)).runs).runs[0]


def test_todays_code_is_not_old(results: Any, catalog: Catalog) -> None:
    run = load(results, catalog)
    assert (ages(run), told(run)) == ((), "")


def test_the_modules_that_a_run_kept_are_compared(results: Any, catalog: Catalog) -> None:
    now = code_hash("train", run=results.settings(RUN))
    kept = provenance.provenance(now)["modules"]
    assert {"bench.training.run", "bench.models.model"} <= set(kept)
    kept = {name: found for name, found in kept.items() if name != "bench.models.priors"}
    kept |= {"bench.models.model": "another", "bench.models.gone": "any"}
    run = load(results, catalog, train={"code_hash": "older", "modules": kept})
    (found,) = ages(run)
    assert (found.stage, found.done, found.modules) == (
        "train",
        "trained",
        ("bench.models.gone", "bench.models.model", "bench.models.priors"),
    )
    assert told(run).startswith("trained by older code (aaaaaaaaaaaa); changed since: bench.models.gone, ")
    assert run.state == "finished"  # an old number is a number
    assert run.measurements


def test_without_them_git_tells(results: Any, catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, list[str]]] = []

    def changed_since(commit: str, modules: tuple[str, ...]) -> list[str]:
        asked.append((commit, list(modules)))
        return ["bench.estimators.likelihood"]

    age._since.cache_clear()
    monkeypatch.setattr(age, "changed_since", changed_since)
    run = load(results, catalog, evaluate={"code_hash": "older"})
    assert told(run) == "measured by older code (aaaaaaaaaaaa); changed since: bench.estimators.likelihood"
    assert asked[0][0] == "a" * 40
    assert "bench.estimators.likelihood" in asked[0][1]
    age._since.cache_clear()


def test_a_commit_that_git_does_not_know_is_not_guessed(results: Any, catalog: Catalog) -> None:
    age._since.cache_clear()
    run = load(results, catalog, evaluate={"code_hash": "older"})
    assert told(run).endswith("; what changed since is not known")
    dirty = load(results, catalog, evaluate={"code_hash": "older", "dirty": True, "code_version": "HEAD"})
    assert ages(dirty)[0].modules is None


def test_what_git_calls_a_change_must_be_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "bench"
    package.mkdir()
    files = {"a": "VALUE = 1\n", "b": "VALUE = 1\n", "c": "VALUE = 1\n"}
    for name, text in files.items():
        (package / f"{name}.py").write_text(text)

    def git(*arguments: str) -> None:
        subprocess.run(["git", "-C", str(tmp_path), *arguments], check=True, capture_output=True)

    git("init", "-q")
    git("add", ".")
    git("-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", "first")
    (package / "a.py").write_text("# a comment\nVALUE = 1\n")
    (package / "b.py").write_text("VALUE = 2\n")
    monkeypatch.setattr(provenance, "PACKAGE", package)
    cached = (provenance.code_version, provenance._tree, provenance._executes, provenance._same_then)
    for function in cached:
        function.cache_clear()
    try:
        modules = ["bench.a", "bench.b", "bench.c"]
        assert provenance.changed_since("HEAD", modules) == ["bench.b"]
        assert provenance.changed_since("0" * 40, modules) is None
    finally:
        monkeypatch.undo()
        for function in cached:
            function.cache_clear()
