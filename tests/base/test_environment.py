"""Variables of the environment: read in one place, checked, and listed in the documentation."""

from __future__ import annotations

import getpass
import os
import re
from pathlib import Path

import pytest

from bench.base import environment
from bench.base.errors import BenchError
from bench.cli.main import main

ROOT = Path(__file__).parents[2]
WORD = r"BENCH_[A-Z_]*[A-Z]"


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("", " "):
        for name in environment.VARIABLES:
            monkeypatch.setenv(name, value)
        assert (environment.mirror(), environment.catalog_folders()) == (None, ())
        assert environment.cache().name == "latent-text-bench"
        assert (environment.checkpoint_seconds(), environment.graphs()) == (60.0, True)


def test_what_is_set_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    for name, value in {
        "BENCH_MIRROR": " https://host/files ",
        "BENCH_CACHE": "~/cache",
        "BENCH_CATALOG": ":a::/b c:",
        "BENCH_CHECKPOINT_SECONDS": "0.5",
        "BENCH_GRAPHS": "0",
    }.items():
        monkeypatch.setenv(name, value)
    assert environment.mirror() == "https://host/files"
    assert environment.cache() == Path("/home/me/cache")
    assert environment.catalog_folders() == (Path("a"), Path("/b c"))
    assert (environment.checkpoint_seconds(), environment.graphs()) == (0.5, False)


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("HTTPS://host/a/", "https://host/a"),
        ("http://host//", "http://host"),
        ("file:///my%20files", "/my files"),
        (" folder ", "folder"),
        ("/a/b", "/a/b"),
    ],
)
def test_a_mirror_is_a_folder_or_an_address_however_it_is_written(
    value: str, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_MIRROR", value)
    assert environment.mirror() == environment.mirror_of(value) == meant


@pytest.mark.parametrize("value", ["ftp://host", "file://host/a"])
def test_a_mirror_of_another_scheme_is_refused(
    value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BENCH_MIRROR", value)
    assert main(["list", "tiers"]) == 2
    message = capsys.readouterr().err
    assert f"the mirror is '{value}'" in message
    assert "--mirror, the key mirror or BENCH_MIRROR" in message


def test_the_cores_that_are_allowed_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {3}, raising=False)
    assert environment.allowed_cores() == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [("BENCH_CHECKPOINT_SECONDS", value) for value in ("soon", "-1", "nan", "inf")]
    + [("BENCH_GRAPHS", "no")],
)
def test_a_wrong_value_is_one_message_of_every_command(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(BenchError, match=f"{name} is '{value}'"):
        environment.check()
    assert main(["list", "tiers"]) == 2
    message = capsys.readouterr().err
    assert f"{name} is '{value}'" in message
    assert f"unset {name}" in message


def test_a_variable_that_nothing_reads_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_MIROR", "x")
    assert "BENCH_MIROR" in environment.unknown_variables()
    assert not set(environment.VARIABLES) & set(environment.unknown_variables())


def test_one_module_reads_them_and_the_documentation_lists_them() -> None:
    for path in (ROOT / "bench").rglob("*.py"):
        if path.name != "environment.py":
            assert not re.search(rf"environ\b.*{WORD}", path.read_text(encoding="utf-8")), path
    used = {
        name
        for path in (*(ROOT / "tests").rglob("*.py"), *(ROOT / "bench").rglob("*.py"), ROOT / ".ci" / "run")
        for name in re.findall(WORD, path.read_text(encoding="utf-8"))
    }
    table = (ROOT / "docs" / "environment.md").read_text(encoding="utf-8")
    listed = set(re.findall(rf"^\| `({WORD})` \|", table, re.MULTILINE))
    assert set(environment.VARIABLES) <= listed
    assert used - listed <= {"BENCH_MIROR"}
    assert listed <= used


def _no_such_user(number: int) -> None:
    raise KeyError(f"getpwuid(): uid not found: {number}")


def test_a_user_without_a_name_is_called_by_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Snakemake asks, in a container or on a node that knows no names."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LOGNAME", "")  # put back at the end, whatever is set below
    monkeypatch.setattr("pwd.getpwuid", _no_such_user)
    environment.name_user()
    assert getpass.getuser() == str(os.getuid())
    monkeypatch.setenv("LOGNAME", "me")
    environment.name_user()
    assert getpass.getuser() == "me"
