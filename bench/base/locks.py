"""One process at a time on a folder: an exclusive lock that ends with its holder."""

from __future__ import annotations

import contextlib
import getpass
import os
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from filelock import lock_descriptor

from bench.base.errors import BenchError
from bench.base.files import cannot_write

NAME = ".lock"  # in the locked folder, while it is locked
POLL = 0.2  # seconds between two looks of one who waits
SIGNATURE = b"process "  # with which the file begins, once it names its holder


@contextlib.contextmanager
def locked(folder: Path, what: str, *, wait: bool = False) -> Iterator[bool]:
    """Hold an exclusive lock on ``folder`` while the body runs; the system frees it if the process dies.

    Yields whether another process held it before. Raises :class:`BenchError`, which names the holder, when one
    holds it now, unless asked to ``wait``; also when the folder cannot be written or its disk has no locks.
    """
    path, waited = folder / NAME, False
    while (handle := _locked_file(path)) is None:
        busy = f"another process is working on {what}{_holder(path)}"
        if not wait:
            remedy = "wait for it, or stop it, then run the same command again"
            raise BenchError(busy, where=folder, remedy=remedy)
        if not waited:
            print(f"{busy}: waiting for it", file=sys.stderr, flush=True)
        waited = True
        time.sleep(POLL)
    with _held(handle, path):
        yield waited


@contextlib.contextmanager
def locked_one(folders: Callable[[], Iterable[Path]], what: str) -> Iterator[Path]:
    """Hold an exclusive lock, as :func:`locked`, on the first of some folders that is free, and yield that folder.

    Waits while there is none, and asks for the ``folders`` anew at each look. Raises :class:`BenchError` for one that
    cannot be written or whose disk has no locks.
    """
    waited = False
    while True:
        for folder in folders():
            path = folder / NAME
            if (handle := _locked_file(path)) is not None:
                with _held(handle, path):
                    yield folder
                return
        if not waited:
            print(
                f"other processes are working on {what}: waiting for one to end", file=sys.stderr, flush=True
            )
        waited = True
        time.sleep(POLL)


@contextlib.contextmanager
def _held(handle: int, path: Path) -> Iterator[None]:
    """The body, in which the lock is held; closing the file frees it, whatever happens here."""
    with os.fdopen(handle):
        try:
            yield
        finally:
            if _is_at(handle, path):
                with contextlib.suppress(OSError):  # that of another user may not be removed
                    path.unlink()  # while it is ours: whoever waits sees that it is gone


def is_lock(path: Path) -> bool:
    """Whether the file is a lock, held or left behind: empty, or with the name of its holder."""
    return path.name == NAME and path.read_bytes()[: len(SIGNATURE)] in (b"", SIGNATURE)


def _locked_file(path: Path) -> int | None:
    """The descriptor of the lock file, locked; None if another process has it."""
    while True:
        handle = _opened(path)
        try:
            if not lock_descriptor(handle, blocking=False):
                os.close(handle)
                return None
        except OSError as error:
            os.close(handle)
            what = f"files cannot be locked on this disk: {error.strerror}"
            raise BenchError(what, where=path.parent, remedy="use a folder on another disk") from error
        if _is_at(handle, path):
            _sign(handle)
            return handle
        os.close(handle)  # the file that was opened has been removed since: it locks nothing now


def _opened(path: Path) -> int:
    """The descriptor of the lock file, which any user may lock."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except PermissionError:  # the file of another user: it can be locked as long as it can be read
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        with contextlib.suppress(PermissionError):
            os.fchmod(handle, 0o666)  # whatever the umask
        return handle
    except OSError as error:
        raise cannot_write(path, error) from error


def _sign(handle: int) -> None:
    """Write who holds the lock into its file, for the message of others."""
    with contextlib.suppress(OSError):  # a full disk, the file of another user
        text = f"{os.getpid()} of {_user()} on {socket.gethostname()}"
        os.ftruncate(handle, 0)
        os.pwrite(handle, SIGNATURE + text.encode(), 0)


def _user() -> str:
    """The name of the user, else the number: in a container the system may know no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def _holder(path: Path) -> str:
    """Who holds the lock, in brackets; nothing where it is not known."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")[:200]
    except OSError:
        return ""
    return f" ({text})" if text.isprintable() and text else ""


def _is_at(handle: int, path: Path) -> bool:
    """Whether ``path`` still is the open file, and not another of that name or none."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
