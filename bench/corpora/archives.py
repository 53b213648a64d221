"""Zip, tar and gzip files, read in memory: nothing is unpacked, so no member can be written anywhere."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from bench.base.errors import BenchError

_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    OSError,
    NotImplementedError,  # a compression that zipfile does not know
    RuntimeError,  # an encrypted member
)


def read_archive(path: Path, wanted: Callable[[str], bool] = lambda name: True) -> dict[str, bytes]:
    """Bytes of the regular files of a zip or (compressed) tar whose name is ``wanted``, in archive order.

    Raises :class:`BenchError` for a damaged archive, and for one in which any member is named by an
    absolute path or through ``..``, or is a link that leads out of the archive: no honest source has them.
    """
    try:
        return _read_zip(path, wanted) if zipfile.is_zipfile(path) else _read_tar(path, wanted)
    except _DAMAGE as error:
        raise BenchError(
            f"damaged or unknown archive: {error or type(error).__name__}",
            where=path,
            allowed=["zip", "tar", "tar.gz", "tar.bz2", "tar.xz"],
            remedy="delete the file and fetch it again",
        ) from error


def read_gzip(path: Path) -> bytes:
    """The bytes inside a gzip file. Raises :class:`BenchError` for a damaged one."""
    try:
        return gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise BenchError(
            f"damaged gzip file: {error or type(error).__name__}",
            where=path,
            remedy="delete the file and fetch it again",
        ) from error


def member(members: Mapping[str, bytes], filename: str, archive: Path) -> bytes:
    """The one member whose file name is ``filename``. Raises :class:`BenchError` for none or several."""
    found = [name for name in members if PurePosixPath(name).name == filename]
    if len(found) != 1:
        raise BenchError(
            f"the archive holds {len(found)} files named {filename!r} where one is expected",
            where=archive,
            allowed=sorted(members)[:20],
        )
    return members[found[0]]


def folder_members(path: Path, folder: str) -> dict[str, bytes]:
    """File name -> bytes for the files right inside ``folder``, which may lie below one top folder.

    Sorted by name. (An archive made by a hosting service puts everything below ``<repository>-<commit>``.)
    """
    depth = len(PurePosixPath(folder).parts)
    found = {}
    for name, data in read_archive(path, lambda name: f"/{folder}/" in f"/{name}").items():
        parts = PurePosixPath(name).parts
        if "/".join(parts[-depth - 1 : -1]) == folder and len(parts) - depth - 1 <= 1:
            found[parts[-1]] = data
    return dict(sorted(found.items()))


def git_tree_id(files: Mapping[str, bytes]) -> str:
    """Git's object id of a folder of plain files (no subfolders, not executable): name -> bytes."""
    body = b""
    for name in sorted(files, key=str.encode):
        blob = hashlib.sha1(f"blob {len(files[name])}\0".encode() + files[name], usedforsecurity=False)
        body += f"100644 {name}\0".encode() + blob.digest()
    return hashlib.sha1(f"tree {len(body)}\0".encode() + body, usedforsecurity=False).hexdigest()


def _read_zip(path: Path, wanted: Callable[[str], bool]) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            _refuse_escape(info.filename, path)
        names = [info.filename for info in archive.infolist() if not info.is_dir() and wanted(info.filename)]
        return {name: archive.read(name) for name in names}


def _read_tar(path: Path, wanted: Callable[[str], bool]) -> dict[str, bytes]:
    found = {}
    with tarfile.open(path, "r:*") as archive:
        for info in archive:
            _refuse_escape(info.name, path)
            if info.issym():
                _refuse_escape(info.linkname, path, below=len(PurePosixPath(info.name).parts) - 1)
            elif info.islnk():
                _refuse_escape(info.linkname, path)
            elif info.isfile() and wanted(info.name):
                handle = archive.extractfile(info)
                if handle is not None:
                    found[info.name] = handle.read()
    return found


def _refuse_escape(name: str, archive: Path, below: int = 0) -> None:
    """Raise if ``name``, seen from ``below`` folders under the root of the archive, leads out of it."""
    pure = PurePosixPath(name.replace("\\", "/"))
    depth = below
    for part in pure.parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            break
    if pure.is_absolute() or depth < 0 or (below == 0 and ".." in pure.parts):
        raise BenchError(
            f"the archive has a member that leads out of it: {name!r}",
            where=archive,
            remedy="do not use this file: it is not the published one",
        )
