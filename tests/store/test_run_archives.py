"""Archives that hold more than files of runs."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from bench.base.errors import BenchError
from bench.catalog.catalog import load_catalog
from bench.planning.resolve import find_run
from bench.store.run_archives import FIRST, Taken, unpack


def unpacked(tmp_path: Path, *more: tarfile.TarInfo) -> list[Taken]:
    """What becomes of an archive of no runs and of ``more`` empty members."""
    listed = tarfile.TarInfo(FIRST)
    listed.size = 2
    with tarfile.open(tmp_path / "runs.tar.gz", "w:gz") as tar:
        tar.addfile(listed, io.BytesIO(b"[]"))
        for member in more:
            tar.addfile(member)
    return unpack(tmp_path / "runs.tar.gz", tmp_path / "results", lambda run: find_run(load_catalog(), run))


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("name", ["../above.json", "{folder}/above.json", "runs/above.json"])
def test_nothing_is_written_but_files_below_the_folder(name: str, kind: bytes, tmp_path: Path) -> None:
    member = tarfile.TarInfo(name.format(folder=tmp_path))
    member.type, member.linkname = kind, "/etc/passwd"
    if kind == tarfile.REGTYPE and name.startswith("runs/"):
        assert unpacked(tmp_path, member) == []
        return
    with pytest.raises(BenchError, match="not an archive of runs"):
        unpacked(tmp_path, member)
    assert not (tmp_path / "above.json").exists()
