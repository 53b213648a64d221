"""Where a number comes from: the commit, or that it is not known."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bench.store import provenance
from bench.store.provenance import UNKNOWN


def test_the_record_names_packages_and_device() -> None:
    record = provenance.provenance(threads=2)
    assert set(record) == {"code_version", "dirty", "python", "torch", "packages", "device", "threads"}
    assert record["device"].startswith("cpu: ")
    assert record["packages"]["numpy"]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package in a repository of its own, with one commit."""
    package = tmp_path / "bench"
    package.mkdir()
    (package / "a.py").write_text("VALUE = 1\n")
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", "first"],
    ):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True, capture_output=True)
    monkeypatch.setattr(provenance, "PACKAGE", package)
    return package


def test_a_commit_and_whether_the_package_differs_from_it(checkout: Path) -> None:
    version, dirty = provenance.code_version.__wrapped__()
    assert (len(version), dirty) == (40, False)
    (checkout / "a.py").write_text("VALUE = 2\n")
    assert provenance.code_version.__wrapped__() == (version, True)


def test_the_checkout_of_another_user_has_its_commit_too(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a group shares one: git itself refuses, calling the ownership dubious."""
    mine = provenance.code_version.__wrapped__()
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git's own, for its own tests
    assert subprocess.run(["git", "-C", str(checkout), "status"], check=False).returncode != 0
    assert provenance.code_version.__wrapped__() == mine != (UNKNOWN, None)


def test_outside_a_checkout_of_its_own_it_is_unknown(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "PACKAGE", checkout.parent / "elsewhere" / "bench")
    assert provenance.code_version.__wrapped__() == (UNKNOWN, None)


@pytest.mark.parametrize("failing", ["rev-parse", "status"])
def test_where_git_fails_it_is_unknown_and_not_clean(
    failing: str, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = subprocess.run

    def fail(command: list[str], **options: object) -> object:
        if failing in command:
            raise subprocess.CalledProcessError(128, command)
        return run(command, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "run", fail)
    assert provenance.code_version.__wrapped__() == (UNKNOWN, None)


def test_without_git_it_is_unknown(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert provenance.code_version.__wrapped__() == (UNKNOWN, None)
