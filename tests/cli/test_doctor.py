"""What the doctor says of a machine that lacks something."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement
from rich.console import Console

from bench.catalog.catalog import CATALOG, load_catalog
from bench.cli import doctor
from bench.cli.doctor import Diagnosis, check, show
from bench.corpora.entries import load_entry

PTB = load_entry(CATALOG / "corpora" / "ptb.yaml")


def test_this_machine_is_ready(tmp_path: Path) -> None:
    findings = {finding.name: finding for finding in check(load_catalog(), tmp_path / "results")}
    assert {"Python", "packages", "C++ compiler", "cmake", "memory", "disk", "device"} <= set(findings)
    assert findings["packages"].status == "ok"
    assert findings["corpus generated-tiny"].status == "ok"
    assert not (tmp_path / "results").exists()  # it only looks


def test_every_fault_has_a_remedy_and_decides(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(width=200)
    assert show(
        [Diagnosis("disk", "ok", "much"), Diagnosis("memory", "warn", "1 GB", "one job at a time")], console
    )
    assert "Ready" in capsys.readouterr().out
    assert not show([Diagnosis("Python", "fail", "3.9", "make [setup]")], console)
    output = capsys.readouterr().out
    assert "Not ready: Python" in output
    assert "make [setup]" in output  # not taken for markup


@pytest.mark.parametrize(
    ("version", "status"), [((3, 11), "ok"), ((3, 12), "ok"), ((3, 10), "fail"), ((3, 13), "fail")]
)
def test_supported_pythons(version: tuple[int, int], status: str) -> None:
    assert doctor.check_python(version).status == status


def test_packages_that_are_absent_or_of_another_version_are_named() -> None:
    needed = [Requirement("pydantic>=2"), Requirement("rich<1"), Requirement("surely-absent>=1")]
    found = list(doctor.check_packages(needed))
    assert [(f.name, f.status) for f in found] == [("rich", "fail"), ("surely-absent", "fail")]
    assert found[1].found == "not installed"
    assert "'surely-absent>=1'" in str(found[1].remedy)


def test_a_variable_that_nothing_reads_is_told_with_the_nearest() -> None:
    (found,) = doctor.check_variables(["BENCH_MIROR"])
    assert (found.status, found.remedy) == ("warn", "did you mean BENCH_MIRROR?")


def _absent(name: str) -> str:
    raise importlib.metadata.PackageNotFoundError(name)


@pytest.mark.parametrize(("installed", "status"), [(_absent, "fail"), (lambda name: "0.3", "ok")])
def test_a_compiler_is_needed_until_kenlm_is_there(
    installed: Callable[[str], str], status: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert [f.status for f in doctor.check_build_tools(installed)] == [status, status]


def test_a_cluster_needs_its_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(doctor.check_cluster(lambda _: None)) == []
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (found,) = doctor.check_cluster(lambda name: f"/usr/bin/{name}")
    assert (found.status, "pip install snakemake-executor-plugin-slurm" in str(found.remedy)) == (
        "warn",
        True,
    )


@pytest.mark.parametrize(("free", "status"), [(50e9, "ok"), (2e9, "warn"), (1e8, "fail")])
def test_little_space(free: float, status: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=free))
    assert doctor.check_disk(tmp_path / "a" / "b").status == status
    assert doctor.check_memory(int(free)).status == ("ok" if free > 4e9 else "warn")


def test_results_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert doctor.check_writable(tmp_path / "results").status == "ok"
    assert doctor.check_writable(tmp_path / "file" / "results").status == "fail"


def test_where_a_corpus_comes_from(tmp_path: Path) -> None:
    cache, mirror = tmp_path / "cache", tmp_path / "mirror"
    assert "downloaded, 6.0 MB" in doctor.check_corpus(PTB, cache, None).found
    for file in PTB.files:
        for folder in (cache, mirror):
            (folder / file.path).parent.mkdir(parents=True, exist_ok=True)
            with (folder / file.path).open("wb") as handle:
                handle.truncate(file.bytes)
    assert doctor.check_corpus(PTB, tmp_path, str(mirror)).found == "at hand (mirror)"
    assert doctor.check_corpus(PTB, cache, None).found == "at hand (cache)"
    (cache / PTB.files[0].path).write_text("half")
    assert doctor.check_corpus(PTB, cache, None).status == "warn"
    nowhere = PTB.model_copy(update={"files": tuple(f.model_copy(update={"url": None}) for f in PTB.files)})
    assert "ptb/valid.txt" in doctor.check_corpus(nowhere, tmp_path, None).found


def test_mirrors(tmp_path: Path) -> None:
    catalog = load_catalog()
    assert doctor.check_mirror(str(tmp_path / "absent"), catalog).status == "fail"
    assert doctor.check_mirror(str(tmp_path), catalog).status == "warn"  # an empty one
    assert doctor.check_mirror("http://127.0.0.1:9/x", catalog).status == "fail"
