"""Archives: nothing leads out of them, damage is told, git's ids are git's."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.base.errors import BenchError
from bench.corpora.archives import folder_members, git_tree_id, member, read_archive

Make = Callable[..., Path]


def test_zip_and_tar_are_read_alike(tmp_path: Path, make_zip: Make, make_tar: Make) -> None:
    files = {"top/a.txt": b"one", "top/b.txt": b"two"}
    for path in (make_zip(tmp_path / "a.zip", files), make_tar(tmp_path / "a.tar.gz", files)):
        assert read_archive(path) == files
        assert read_archive(path, lambda name: name.endswith("b.txt")) == {"top/b.txt": b"two"}


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "a\\..\\..\\evil", "a/../b"])
def test_members_that_lead_out_are_refused(tmp_path: Path, make_zip: Make, make_tar: Make, name: str) -> None:
    for path in (make_tar(tmp_path / "a.tar.gz", {name: b"x"}), make_zip(tmp_path / "a.zip", {name: b"x"})):
        with pytest.raises(BenchError, match="leads out of it"):
            read_archive(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tar.gz", "a.zip"]


@pytest.mark.parametrize(
    ("name", "target", "kind", "refused"),
    [
        ("d/link", "../../evil", tarfile.SYMTYPE, True),
        ("link", "/etc/passwd", tarfile.SYMTYPE, True),
        ("link", "../evil", tarfile.LNKTYPE, True),
        ("link", "/etc/passwd", tarfile.LNKTYPE, True),
        ("d/link", "../a.txt", tarfile.SYMTYPE, False),  # stays inside: not read, not refused
    ],
)
def test_links(tmp_path: Path, make_tar: Make, name: str, target: str, kind: bytes, refused: bool) -> None:
    path = make_tar(tmp_path / "a.tar.gz", {"a.txt": b"x"}, (name, target, kind))
    if refused:
        with pytest.raises(BenchError, match="leads out of it"):
            read_archive(path)
    else:
        assert read_archive(path) == {"a.txt": b"x"}


def test_damaged_archives(tmp_path: Path, make_zip: Make, make_tar: Make) -> None:
    zipped = make_zip(tmp_path / "a.zip", {"a": bytes(range(256)) * 40})
    tarred = make_tar(tmp_path / "a.tar.xz", {"a": bytes(range(256)) * 40})
    damaged = bytearray(zipped.read_bytes())
    damaged[60] ^= 0xFF
    zipped.write_bytes(bytes(damaged))
    tarred.write_bytes(tarred.read_bytes()[:100])
    (tmp_path / "text").write_text("no archive")
    for path in (zipped, tarred, tmp_path / "text"):
        with pytest.raises(BenchError, match="damaged or unknown archive") as caught:
            read_archive(path)
        assert caught.value.where == path


def test_one_member_by_file_name(tmp_path: Path) -> None:
    members = {"x/a.txt": b"1", "y/a.txt": b"2", "y/b.txt": b"3"}
    assert member(members, "b.txt", tmp_path) == b"3"
    for name, count in (("a.txt", 2), ("c.txt", 0)):
        with pytest.raises(BenchError, match=f"holds {count} files named"):
            member(members, name, tmp_path)


@pytest.mark.parametrize("top", ["", "Repository-abc123/"])
def test_a_folder_and_its_git_id(
    tmp_path: Path, make_tar: Make, git_folder: tuple[dict[str, bytes], str], top: str
) -> None:
    dialogues, tree = git_folder
    inside = {f"{top}data/train/{name}": data for name, data in reversed(dialogues.items())}
    outside = {
        f"{top}data/train/deep/2002.txt": b"-",
        f"{top}other/2003.txt": b"-",
        f"{top}a/b/data/train/2": b"-",
    }
    found = folder_members(make_tar(tmp_path / "a.tar.xz", {**inside, **outside}), "data/train")
    assert found == dialogues
    assert list(found) == ["2000.txt", "2001.txt"]
    assert git_tree_id(found) == tree
    assert git_tree_id({**found, "2001.txt": b"A|Hi there!|fp\n"}) != tree
