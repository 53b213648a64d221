"""Files are whole or absent, whatever happens while they are written."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pandas
import pytest
import torch
from safetensors.torch import save_file

from bench.base.errors import BenchError
from bench.base.files import (
    git_blob_id,
    read_json,
    replacing,
    sha256_file,
    stable_hash,
    write_json,
    write_text,
    write_with,
)

BIG = 100_000  # numbers, more than the small disk holds


def test_a_body_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.txt"
    write_text(path, "old")

    def fail(part: Path) -> None:
        part.write_text("half")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_with(path, fail)
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_the_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with replacing(path) as part:
        part.write_text("new")
        assert not path.exists()
        assert part.parent == path.parent  # a rename must not cross disks
    assert path.read_text() == "new"


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_a_file_has_the_permissions_that_the_umask_leaves(umask: int, mode: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        write_text(tmp_path / "a.txt", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == mode


WRITERS: dict[str, Callable[[Path], object]] = {
    "text": lambda path: write_text(path, "x" * 8 * BIG),
    "json": lambda path: write_json(path, list(range(BIG))),
    "safetensors": lambda path: write_with(path, lambda p: save_file({"a": torch.zeros(BIG)}, p)),
    "parquet": lambda path: write_with(path, pandas.DataFrame({"a": torch.rand(BIG).numpy()}).to_parquet),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_full_disk_is_explained_and_leaves_nothing(kind: str, full_disk: Path) -> None:
    with pytest.raises(BenchError, match=r"cannot write a\.b: .*(No space left|File too large)") as caught:
        WRITERS[kind](full_disk / "a.b")
    assert caught.value.where == full_disk
    assert list(full_disk.iterdir()) == []


@pytest.mark.parametrize("kind", WRITERS)
def test_a_folder_that_cannot_be_written_is_explained(kind: str, read_only: Path) -> None:
    with pytest.raises(BenchError, match=r"cannot write a\.b: (Read-only file system|Permission denied)"):
        WRITERS[kind](read_only / "a.b")
    assert list(read_only.iterdir()) == []


def test_a_file_where_a_folder_should_be_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file" / "a", tmp_path / "file" / "deep" / "a"):
        with pytest.raises(BenchError, match="cannot write a"):
            write_text(path, "y")


def test_another_error_of_a_library_stays_itself(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="ours"), replacing(tmp_path / "a"):
        raise RuntimeError("ours")


def test_a_rename_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(BenchError, match=os.strerror(errno.EDQUOT)):
        write_text(tmp_path / "a", "b")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_has_no_infinities(value: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Out of range"):
        write_json(tmp_path / "a.json", {"x": value})
    assert list(tmp_path.iterdir()) == []


def test_json_is_read_back(tmp_path: Path) -> None:
    value = {"β": [1, 2.5, None, True, "ü\n"], "b": {}}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value
    assert "β" in (tmp_path / "a.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "what"), [(None, "file not found"), (b"{", "damaged JSON"), (b"\xff", "damaged JSON")]
)
def test_absent_and_damaged_json_is_explained(content: bytes | None, what: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BenchError, match=what) as caught:
        read_json(path)
    assert caught.value.where == path
    assert caught.value.remedy


def test_hashes_of_known_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    assert sha256_file(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    path.write_bytes(b"what is up, doc?")  # the example of git's own documentation
    assert git_blob_id(path) == "bd9dbf5aae1a3862dd1526723246b20206e5fc37"


def test_a_stable_hash_depends_on_the_content_alone() -> None:
    value = {"b": [1, 2.0], "a": "ü"}
    expected = hashlib.sha256(rb'{"a":"\u00fc","b":[1,2.0]}').hexdigest()
    assert stable_hash(value) == stable_hash(json.loads(json.dumps(value))) == expected[:16]
    assert stable_hash(value, 64) == expected
    assert stable_hash({"a": 1}) != stable_hash({"a": "1"})
    with pytest.raises(ValueError, match="Out of range"):
        stable_hash(float("nan"))
