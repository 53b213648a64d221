"""Fetching: what is verified, what is tried in which order, and what a failure leaves and says."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.base import environment
from bench.base.errors import BenchError
from bench.cli.doctor import check_cache
from bench.corpora import fetch as fetch_module
from bench.corpora.entry import CorpusEntry, SourceFile
from bench.corpora.fetch import fetch

Server = Any  # of conftest.py, which cannot be imported
BODY = b"hello\n"
SHA = hashlib.sha256(BODY).hexdigest()
GIT = "ce013625030ba8dba906f756967f9e9ca394464a"  # git hash-object
PROOFS: list[dict[str, Any]] = [{"sha256": SHA}, {"git_blob": GIT}, {"bytes": len(BODY)}]


def entry(**file: Any) -> CorpusEntry:
    reader = {"kind": "lines", "train": "c/a.txt", "valid": "c/a.txt", "test": "c/a.txt"}
    listed = SourceFile.model_validate({"path": "c/a.txt", **file})
    return CorpusEntry.model_validate({"name": "c", "title": "C", "files": [listed], "reader": reader})


def leftovers(cache: Path) -> list[str]:
    return sorted(p.name for p in cache.rglob("*") if p.is_file())


@pytest.mark.parametrize("proof", PROOFS)
def test_download_then_cache(server: Server, tmp_path: Path, proof: dict[str, Any]) -> None:
    url = server.serve("/a.txt", (200, BODY))
    for _ in range(2):
        paths = fetch(entry(url=url, **proof), cache=tmp_path)
        assert paths == {"c/a.txt": tmp_path / "c" / "a.txt"}
        assert paths["c/a.txt"].read_bytes() == BODY
    assert server.requests == ["/a.txt"]
    assert leftovers(tmp_path) == ["a.txt"]


@pytest.mark.parametrize(
    ("proof", "body", "said"),
    [
        ({"sha256": SHA}, b"hallo\n", [f"expected sha256 {SHA}", hashlib.sha256(b"hallo\n").hexdigest()]),
        ({"git_blob": GIT}, b"hallo\n", [f"expected git_blob {GIT}, found "]),
        ({"bytes": 6}, b"hel", ["expected 6 bytes, found 3"]),
        ({"sha256": SHA, "bytes": 6}, b"hel", ["expected 6 bytes, found 3"]),
    ],
)
def test_wrong_bytes_are_never_used(
    server: Server, tmp_path: Path, proof: dict[str, Any], body: bytes, said: list[str]
) -> None:
    with pytest.raises(BenchError) as caught:
        fetch(entry(url=server.serve("/a.txt", (200, body)), **proof), cache=tmp_path)
    for words in said:
        assert words in str(caught.value)
    assert leftovers(tmp_path) == []


def test_an_interrupted_download_is_tried_again(server: Server, tmp_path: Path) -> None:
    cut_short = (200, BODY[:3], len(BODY))
    url = server.serve("/a.txt", cut_short, (503, b""), (200, BODY))
    assert fetch(entry(url=url, sha256=SHA), cache=tmp_path)["c/a.txt"].read_bytes() == BODY
    assert len(server.requests) == 3

    url = server.serve("/b.txt", cut_short)
    with pytest.raises(BenchError, match=r"cannot get c/a\.txt"):
        fetch(entry(url=url, sha256=SHA), cache=tmp_path / "other")
    assert len(server.requests) == 3 + fetch_module.ATTEMPTS
    assert leftovers(tmp_path / "other") == []


def test_a_refusal_is_final(server: Server, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="404"):
        fetch(entry(url=f"{server.url}/a.txt", sha256=SHA), cache=tmp_path)
    assert len(server.requests) == 1


def test_a_killed_download_leaves_nothing_that_looks_finished(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(url: str, part: Path, progress: bool) -> None:
        part.write_bytes(BODY[:3])
        raise KeyboardInterrupt

    url = server.serve("/a.txt", (200, BODY))
    with monkeypatch.context() as patch:
        patch.setattr(fetch_module, "_download_once", killed)
        with pytest.raises(KeyboardInterrupt):
            fetch(entry(url=url, sha256=SHA), cache=tmp_path)
    assert leftovers(tmp_path) == []
    assert fetch(entry(url=url, sha256=SHA), cache=tmp_path)["c/a.txt"].read_bytes() == BODY


def test_a_disk_that_fills_during_a_download_is_told(server: Server, full_disk: Path) -> None:
    body = b"hello\n" * 20_000
    url = server.serve("/a.txt", (200, body))
    file = {"url": url, "sha256": hashlib.sha256(body).hexdigest()}
    with pytest.raises(BenchError, match=r"cannot write a\.txt: (No space left|File too large)"):
        fetch(entry(**file), cache=full_disk)
    assert leftovers(full_disk) == []


def test_no_network_and_no_mirror(tmp_path: Path, server: Server) -> None:
    server.stop()
    with pytest.raises(BenchError) as caught:
        fetch(entry(url=f"{server.url}/a.txt", sha256=SHA), cache=tmp_path)
    for words in ("c/a.txt", f"{server.url}/a.txt", str(tmp_path / "c" / "a.txt"), "BENCH_MIRROR"):
        assert words in str(caught.value)


def test_a_file_put_into_the_cache_by_hand(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "a.txt").write_bytes(BODY)
    assert fetch(entry(sha256=SHA), cache=tmp_path) == {"c/a.txt": tmp_path / "c" / "a.txt"}
    (tmp_path / "c" / "a.txt").write_bytes(b"hel")
    with pytest.raises(BenchError, match=f"expected sha256 {SHA}, found .* \\(3 bytes\\)"):
        fetch(entry(sha256=SHA), cache=tmp_path)


def test_a_damaged_cache_is_replaced(server: Server, tmp_path: Path) -> None:
    url = server.serve("/a.txt", (200, BODY))
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "a.txt").write_bytes(b"hallo\n")
    assert fetch(entry(url=url, sha256=SHA), cache=tmp_path)["c/a.txt"].read_bytes() == BODY
    assert (tmp_path / "c" / "a.txt.aside").read_bytes() == b"hallo\n"  # it may be somebody's


@contextlib.contextmanager
def without_privileges() -> Iterator[None]:
    """As a user who may read only what everybody may; whoever runs the tests is one already, or is root."""
    user = os.geteuid()
    os.seteuid(user or 65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.parametrize("closed", ["c", "c/a.txt"])
def test_what_another_user_keeps_to_himself_is_told_and_a_mirror_still_serves(closed: str) -> None:
    with tempfile.TemporaryDirectory() as folder:  # below folders that anyone may enter
        cache, mirror = Path(folder, "cache"), Path(folder, "mirror")
        for place in (cache, mirror):
            (place / "c").mkdir(parents=True)
            (place / "c" / "a.txt").write_bytes(BODY)
        Path(folder).chmod(0o755)
        (cache / closed).chmod(0o000)
        told = f"chmod -R g+rwX {cache / 'c'}"
        with without_privileges():
            with pytest.raises(BenchError, match=re.escape(told)):
                fetch(entry(sha256=SHA), cache=cache)
            assert fetch(entry(sha256=SHA), cache=cache, mirror=str(mirror))["c/a.txt"].is_relative_to(mirror)
            (found,) = check_cache(cache, [entry(sha256=SHA)])
        assert told in str(found.remedy)
        (cache / closed).chmod(0o755)
        assert not list(check_cache(cache, [entry(sha256=SHA)]))


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    (tmp_path / "mirror" / "c").mkdir(parents=True)
    (tmp_path / "mirror" / "c" / "a.txt").write_bytes(BODY)
    return tmp_path / "mirror"


def test_a_mirror_folder_is_used_in_place(
    server: Server, tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = entry(url=server.serve("/a.txt", (200, BODY)), sha256=SHA)
    cache = tmp_path / "cache"
    assert fetch(wanted, mirror=str(mirror), cache=cache) == {"c/a.txt": mirror / "c" / "a.txt"}
    monkeypatch.setenv("BENCH_MIRROR", str(mirror))
    monkeypatch.setenv("BENCH_CACHE", str(cache))
    assert environment.cache() == cache
    assert fetch(wanted) == {"c/a.txt": mirror / "c" / "a.txt"}
    assert server.requests == []


@pytest.mark.parametrize("damage", [b"hallo\n", None])
def test_a_mirror_that_fails_gives_way_to_the_url(
    server: Server, tmp_path: Path, mirror: Path, damage: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    (mirror / "c" / "a.txt").unlink() if damage is None else (mirror / "c" / "a.txt").write_bytes(damage)
    wanted = entry(url=server.serve("/a.txt", (200, BODY)), sha256=SHA)
    assert fetch(wanted, mirror=str(mirror), cache=tmp_path)["c/a.txt"] == tmp_path / "c" / "a.txt"
    assert ("no such file" if damage is None else "expected sha256") in caplog.text
    with pytest.raises(BenchError, match="no such file" if damage is None else "expected sha256"):
        fetch(entry(sha256=SHA), mirror=str(mirror), cache=tmp_path / "empty")


def test_an_http_mirror(server: Server, tmp_path: Path) -> None:
    server.serve("/base/c/a.txt", (200, BODY))
    fetch(entry(url=f"{server.url}/never", sha256=SHA), mirror=f"{server.url}/base/", cache=tmp_path)
    assert server.requests == ["/base/c/a.txt"]
    assert leftovers(tmp_path) == ["a.txt"]


def test_a_file_is_verified_each_time_and_no_note_decides(tmp_path: Path, mirror: Path) -> None:
    wanted, cache, path = entry(sha256=SHA), tmp_path / "cache", mirror / "c" / "a.txt"
    cache.mkdir()
    (cache / ".verified").mkdir(mode=0o000)  # of another user, from an earlier version
    for _ in range(2):
        assert fetch(wanted, mirror=str(mirror), cache=cache) == {"c/a.txt": path}
    stat = path.stat()
    path.write_bytes(b"hallo\n")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # same size, same time
    with pytest.raises(BenchError, match="expected sha256"):
        fetch(wanted, mirror=str(mirror), cache=cache)
    assert sorted(found.name for found in cache.iterdir()) == [".verified"]


def test_a_recorded_path_is_verified_when_it_is_used(server: Server, tmp_path: Path, mirror: Path) -> None:
    wanted, cache = entry(url=server.serve("/a.txt", (200, BODY)), sha256=SHA), tmp_path / "cache"
    recorded = {"c/a.txt": mirror / "c" / "a.txt"}
    assert fetch(wanted, cache=cache, recorded=recorded) == recorded
    assert server.requests == []
    for spoil in (lambda path: path.write_bytes(BODY + b"more\n"), Path.unlink):
        spoil(recorded["c/a.txt"])
        assert fetch(wanted, cache=cache, recorded=recorded) == {"c/a.txt": cache / "c" / "a.txt"}
        (cache / "c" / "a.txt").write_bytes(b"hallo\n")  # a recorded path within the cache is replaced
        again = fetch(wanted, cache=cache, recorded={"c/a.txt": cache / "c" / "a.txt"})
        assert again["c/a.txt"].read_bytes() == BODY
    assert len(server.requests) == 3


def test_a_user_without_a_home_needs_no_cache_for_corpora_of_his_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_home(*_: object) -> Path:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.delenv("BENCH_CACHE", raising=False)
    monkeypatch.setattr("platformdirs.user_cache_dir", no_home)
    (tmp_path / "mine.txt").write_bytes(BODY)
    assert fetch(entry(local=tmp_path / "mine.txt")) == {"c/a.txt": tmp_path / "mine.txt"}
    with pytest.raises(BenchError, match="no home folder") as caught:
        fetch(entry(sha256=SHA))
    assert "BENCH_CACHE" in str(caught.value.remedy)
    monkeypatch.setattr(Path, "expanduser", no_home)
    with pytest.raises(BenchError, match="no home folder is known for '~/x'"):
        environment.mirror_of("~/x")


def test_an_archive_known_by_the_git_id_of_a_folder(
    tmp_path: Path, make_tar: Callable[..., Path], git_folder: tuple[dict[str, bytes], str]
) -> None:
    dialogues, tree = git_folder
    (tmp_path / "c").mkdir()
    wanted = entry(git_tree=f"data/train:{tree}")
    inside = {f"top/data/train/{name}": data for name, data in dialogues.items()}
    make_tar(tmp_path / "c" / "a.txt", inside)
    assert fetch(wanted, cache=tmp_path)["c/a.txt"] == tmp_path / "c" / "a.txt"
    make_tar(tmp_path / "c" / "a.txt", {**inside, "top/data/train/2002.txt": b"A|one too many|%"})
    with pytest.raises(BenchError, match=f"expected git_tree data/train:{tree}, found data/train:"):
        fetch(wanted, cache=tmp_path)
    (tmp_path / "c" / "a.txt").write_bytes(b"no archive")
    with pytest.raises(BenchError, match="damaged or unknown archive"):
        fetch(wanted, cache=tmp_path)
