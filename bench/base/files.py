"""Files that are either whole or absent: write to a temporary name, rename, hash, lock."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from bench.base.errors import BenchError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it onto ``path`` if the body succeeds.

    A body that fails or is killed leaves ``path`` as it was; of a link, the file that it leads to is replaced.
    Raises :class:`BenchError` when the folder cannot be written or the disk is full.
    """
    named, path = path, Path(os.path.realpath(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        os.close(handle)
    except OSError as error:
        raise cannot_write(path, error) from error
    part = Path(name)
    try:
        yield part
        part.chmod(0o644)
        with open(part, "rb") as handle_:
            os.fsync(handle_.fileno())
        os.replace(part, os.path.realpath(named))  # where a link leads now: it may have been set aside
    except OSError as error:
        raise cannot_write(path, error) from error
    except Exception as error:
        number = re.search(r"\(os error (\d+)\)", str(error))  # libraries in Rust tell it in words only
        if number is None:
            raise
        raise cannot_write(path, OSError(int(number[1]), os.strerror(int(number[1])))) from error
    finally:
        part.unlink(missing_ok=True)


def remove_parts(folder: Path) -> None:
    """Remove the temporary files that a killed process has left; the caller holds a lock on ``folder``."""
    for part in folder.glob(".*.????????.part"):
        part.unlink(missing_ok=True)


def cannot_write(path: Path, error: OSError) -> BenchError:
    """The error for a file that cannot be written (full disk, read-only folder, quota)."""
    return BenchError(
        f"cannot write {path.name}: {error.strerror or error}",
        where=path.parent,
        remedy="free some space or choose a folder that you may write to, then run the same command again",
    )


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON (no NaN: an unmeasured number is ``null``)."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON; raises :class:`BenchError` naming the file when it is absent or damaged."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BenchError("file not found", where=path, remedy="run the step that makes it first") from error
    except (ValueError, UnicodeDecodeError) as error:
        raise BenchError(
            f"damaged JSON file: {error}", where=path, remedy="delete it and run the step that makes it again"
        ) from error


def write_with(path: Path, writer: Callable[[Path], object]) -> None:
    """Let a library write to a temporary name, then rename: ``write_with(p, frame.to_parquet)``."""
    with replacing(path) as part:
        writer(part)


def sha256_file(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def git_blob_id(path: Path) -> str:
    """Git's object id of a file: sha1 of ``blob <size>\\0`` and the bytes."""
    digest = hashlib.sha1(f"blob {Path(path).stat().st_size}\0".encode(), usedforsecurity=False)
    with open(path, "rb") as handle:
        for block in iter(lambda: handle.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def stable_hash(value: Any, length: int = 16) -> str:
    """Hex sha256 of the canonical JSON of ``value``: the same in every process and version."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


@contextlib.contextmanager
def locked(folder: Path, what: str, *, wait: bool = False) -> Iterator[bool]:
    """Hold an exclusive lock on ``folder`` while the body runs; the kernel frees it if we die.

    Yields whether another process held it before. Raises :class:`BenchError` when one holds it now, unless
    told to ``wait``.
    """
    path, waited = folder / ".lock", False
    while (handle := _locked_file(path)) is None:
        if not wait:
            raise BenchError(
                f"another process is working on {what}",
                where=folder,
                remedy="wait for it, or stop it, then run the same command again",
            )
        if not waited:
            print(f"another process is working on {what}: waiting for it", file=sys.stderr, flush=True)
        waited = True
        time.sleep(0.2)
    with handle:
        try:
            yield waited
        finally:
            if _is_at(handle, path):
                path.unlink()  # while it is ours: whoever waits sees that it is gone


def _locked_file(path: Path) -> TextIO | None:
    """The open lock file, locked; None if another process has it."""
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = open(path, "w")  # noqa: SIM115 (held as long as the lock)
        except OSError as error:
            raise cannot_write(path, error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.close()
            return None
        if _is_at(handle, path):
            return handle
        handle.close()  # the file that was opened has been removed since: by now it locks nothing


def _is_at(handle: TextIO, path: Path) -> bool:
    """Whether ``path`` still is the open file, and not another of that name or none."""
    try:
        return os.path.samestat(os.fstat(handle.fileno()), path.stat())
    except FileNotFoundError:
        return False
