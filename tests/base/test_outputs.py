"""Folders of output: what is ours is renewed, whenever we are interrupted; what is not ours is left as it was."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from bench.base.errors import BenchError
from bench.base.files import sha256_file
from bench.base.outputs import BUILDING, REPORT, RESULTS, RUNS, claim, discard, renewing, set_aside

OLD = {"index.html": "old: a.html gone/c.html", "a.html": "old", "gone/c.html": "old", "same.css": "same"}
NEW = {"index.html": "new: a.html deep/b.html", "a.html": "new", "deep/b.html": "new", "same.css": "same"}


class Killed(BaseException):
    """As a signal would end us."""


def build(folder: Path, files: dict[str, str]) -> None:
    with renewing(folder, REPORT) as building:
        for name, text in files.items():
            (building / name).parent.mkdir(parents=True, exist_ok=True)
            (building / name).write_text(text)


def found(folder: Path) -> dict[str, str]:
    """What lies in a report, but for what only we look at."""
    files = (path for path in folder.rglob("*") if path.is_file() and BUILDING not in path.parts)
    names = {path.relative_to(folder).as_posix(): path for path in files}
    return {name: path.read_text() for name, path in names.items() if not name.startswith(".")}


def test_a_renewal_that_is_killed_at_any_moment_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = [(os, "replace"), (os, "fsync"), (Path, "unlink"), (Path, "mkdir"), (Path, "rmdir")]
    states = set()
    for moment in range(1_000):
        folder, left = tmp_path / str(moment), moment
        build(folder, OLD)
        (folder / "notes.txt").write_text("mine")

        def killed(*arguments: object, call: object, **options: object) -> object:
            nonlocal left
            left -= not str(arguments[0]).endswith(".lock")  # which ends with its process: here it would stay
            if left < 0:
                raise Killed
            return call(*arguments, **options)  # type: ignore[operator]

        with monkeypatch.context() as patch:
            for owner, name in calls:
                call = getattr(owner, name)
                patch.setattr(owner, name, lambda *a, call=call, **o: killed(*a, call=call, **o))
            try:
                build(folder, NEW)
            except Killed:
                pass
            else:
                break
        here = found(folder)
        states.add(here["index.html"][:3])
        assert all(name in here for name in re.findall(r"\S+\.html", here["index.html"]))
        assert here["notes.txt"] == "mine"
        build(folder, NEW)
        assert found(folder) == NEW | {"notes.txt": "mine"}
        assert not (folder / BUILDING).exists()
    assert moment > 15
    assert states == {"old", "new"}


def test_the_mark_of_a_report_is_what_sha256sum_writes(tmp_path: Path) -> None:
    build(tmp_path / "a", OLD)
    lines = (tmp_path / "a" / REPORT.mark).read_text().splitlines()
    assert lines == [f"{sha256_file(tmp_path / 'a' / name)}  {name}" for name in sorted(OLD)]


@pytest.mark.parametrize("name", ["deep", "deep/b.html"])
@pytest.mark.parametrize("kind", ["file", "folder", "link", "dangling"])
def test_what_is_in_the_way_of_a_new_file_is_told(kind: str, name: str, tmp_path: Path) -> None:
    build(tmp_path / "a", OLD)
    (tmp_path / "mine").mkdir()
    way = tmp_path / "a" / name
    way.parent.mkdir(exist_ok=True)
    if kind == "file":
        way.write_text("mine")
    elif kind == "folder":
        way.mkdir()
    else:
        way.symlink_to(tmp_path / ("mine" if kind == "link" else "nowhere"))
    if (kind, name) == ("folder", "deep"):  # free to be written to
        build(tmp_path / "a", NEW)
        return
    before = found(tmp_path / "a")
    with pytest.raises(BenchError, match=r"in the way is .*: deep/b\.html"):
        build(tmp_path / "a", NEW)
    assert found(tmp_path / "a") == before
    assert os.path.lexists(way)
    assert list((tmp_path / "mine").iterdir()) == []
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_of_another_is_not_discarded(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("mine")
    discard(tmp_path, REPORT)
    discard(tmp_path / "none", REPORT)
    assert found(tmp_path) == {"index.html": "mine"}


def test_a_folder_at_its_place_in_ours_is_ours(tmp_path: Path) -> None:
    claim(tmp_path / "results", RESULTS)
    (tmp_path / "disk" / "other").mkdir(parents=True)
    for place, kind in ((RUNS.place, RUNS), ("report", REPORT)):
        folder = tmp_path / "results" / str(place)
        folder.symlink_to(tmp_path / "disk")
        (tmp_path / "disk" / "other" / "file").touch()
        if kind is RUNS:
            assert claim(folder, kind) == tmp_path / "disk"
        else:
            with pytest.raises(BenchError, match="holds what bench did not write: other"):
                claim(folder, kind)


def test_setting_aside_never_overwrites(tmp_path: Path) -> None:
    names = []
    for content in ("a", "b", "c"):
        (tmp_path / "x").write_text(content)
        aside = set_aside(tmp_path / "x")
        assert aside is not None
        names.append(aside)
    assert [path.read_text() for path in names] == ["a", "b", "c"]
    assert set_aside(tmp_path / "x") is None
