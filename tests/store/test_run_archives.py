"""Archives that hold more than files of runs."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from bench.base.errors import BenchError
from bench.catalog.catalog import load_catalog
from bench.planning.resolve import find_run
from bench.store.run_archives import FIRST, unpack


@pytest.mark.parametrize("name", ["../above.json", "/tmp/above-of-a-test.json", "link"])
@pytest.mark.parametrize("old", [False, True])
def test_nothing_is_written_outside(
    name: str, old: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by Pythons that have no filter of their own (before 3.11.4)."""
    if old:
        monkeypatch.delattr(tarfile, "data_filter", raising=False)
    file = tmp_path / "runs.tar.gz"
    with tarfile.open(file, "w:gz") as tar:
        for one, content in ((FIRST, b"[]"), (name, b"{}")):
            member = tarfile.TarInfo(one)
            member.size = len(content)
            if one == "link":
                member.type, member.linkname, member.size = tarfile.SYMTYPE, "/etc/passwd", 0
            tar.addfile(member, io.BytesIO(content))
    if name.startswith("/") and not old:
        pytest.skip("Python itself makes an absolute path one below the folder")
    with pytest.raises(BenchError, match="not an archive of runs"):
        unpack(file, tmp_path / "results", lambda run: find_run(load_catalog(), run))
    assert not (tmp_path / "above.json").exists()


@pytest.mark.parametrize("old", [False, True])
def test_an_archive_without_runs_is_read(old: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if old:
        monkeypatch.delattr(tarfile, "data_filter", raising=False)
    file = tmp_path / "runs.tar.gz"
    with tarfile.open(file, "w:gz") as tar:
        member = tarfile.TarInfo(FIRST)
        member.size = 2
        tar.addfile(member, io.BytesIO(b"[]"))
    assert unpack(file, tmp_path / "results", lambda run: find_run(load_catalog(), run)) == []
