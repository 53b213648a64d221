"""Files that are either whole or absent: write to a temporary name, rename, hash."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.base.errors import BenchError


def _umask() -> int:
    """The permissions that this process gives to nobody but the owner; they can only be read by setting them."""
    found = os.umask(0o077)
    os.umask(found)
    return found


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
        part.chmod(0o666 & ~_umask())  # a temporary file is made for its owner alone
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


def read_json(path: Path, *, absent: str = "run the step that makes it first") -> Any:
    """Read JSON; raises :class:`BenchError` naming the file when it is damaged or ``absent``, for which that helps."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BenchError("file not found", where=path, remedy=absent) from error
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
