"""Fetch the files of a corpus, from the cache, a mirror or their public URL, and verify every one of them.

A file is used only after its sha256 (else git blob id, git tree id, size) was checked, each time anew: nobody's note
of an earlier check decides. A download goes to a temporary name and is renamed after the check, so that nothing
partial ever looks finished.
"""

from __future__ import annotations

import importlib.util
import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pooch
import requests

from bench.base import environment
from bench.base.errors import BenchError
from bench.base.files import git_blob_id, replacing, sha256_file
from bench.base.outputs import set_aside
from bench.corpora.archives import folder_members, git_tree_id
from bench.corpora.entry import CorpusEntry, SourceFile

ATTEMPTS = 3
BACK_OFF = 2.0  # seconds before the second attempt; doubled before each further one
TIMEOUT = 30  # seconds without an answer

_log = logging.getLogger(__name__)


class _FetchError(Exception):
    """One source did not give the file; the next may. (Not an OSError, which would mean our own disk.)"""


def fetch(
    entry: CorpusEntry,
    *,
    mirror: str | None = None,
    cache: Path | None = None,
    progress: bool = True,
    recorded: Mapping[str, Path] | None = None,
) -> dict[str, Path]:
    """Verified local paths of all files of ``entry``, by their ``path`` in the catalog.

    Each file is taken from where an earlier call has ``recorded`` it, else from ``cache`` (default
    :func:`bench.base.environment.cache`), else from ``mirror`` (a folder or an http(s) base URL that holds
    ``<mirror>/<path>``; default the variable ``BENCH_MIRROR``; files of a folder are used where they are), else
    downloaded. Raises :class:`BenchError` naming the file, every source that was tried with its fault, and where the
    file could be put by hand.
    """
    mirror = environment.given_mirror(mirror) if mirror else environment.mirror()
    if all(file.local is not None for file in entry.files):
        cache = Path()  # nothing is looked for there: no user needs one
    cache = environment.cache() if cache is None else Path(cache)
    known = recorded or {}
    return {
        file.path: fetch_file(file, mirror, cache, progress, known.get(file.path)) for file in entry.files
    }


def fetch_file(
    file: SourceFile, mirror: str | None, cache: Path, progress: bool, recorded: Path | None = None
) -> Path:
    """The verified local path of one file; see :func:`fetch`."""
    if file.local is not None:
        if not file.local.is_file():
            remedy = "correct the path in the corpus entry (it is relative to the YAML file)"
            raise BenchError("file of a corpus not found", where=file.local, remedy=remedy)
        return file.local
    faults = []
    for place, attempt in _sources(file, mirror, cache, progress, recorded):
        try:
            path = attempt()
        except _FetchError as error:
            faults.append(f"{place}: {error}")
            continue
        except BenchError as error:  # the cache cannot be written: why it was not used says more
            raise BenchError(
                "\n  ".join([error.what, *faults]), where=error.where, remedy=error.remedy
            ) from error
        for fault in faults:
            _log.warning("%s: %s", file.path, fault)
        return path
    raise BenchError(
        f"cannot get {file.path}\n  " + "\n  ".join(faults),
        where=file.url or "no public URL is known",
        remedy=(
            f"put the file at {cache / file.path} by hand, or set BENCH_MIRROR to a folder or base URL that "
            f"holds {file.path}, or try again with a network"
        ),
    )


def _sources(
    file: SourceFile, mirror: str | None, cache: Path, progress: bool, recorded: Path | None
) -> Iterator[tuple[str, Callable[[], Path]]]:
    """(name, function that returns a verified path or raises ``_FetchError``) in the order of trial."""
    target = cache / file.path
    if recorded is not None and recorded != target:
        yield f"recorded {recorded}", lambda: _checked(file, recorded)
    if kept_from_us(target) or target.exists():
        yield f"cache {target}", lambda: _checked(file, target)
    if mirror is not None and "://" in mirror:
        url = f"{mirror}/{file.path}"
        yield f"mirror {url}", lambda: _download(url, file, target, progress)
    elif mirror is not None:
        there = Path(mirror).absolute() / file.path
        yield f"mirror {there}", lambda: _checked(file, there)
    if file.url is not None:
        public = file.url
        yield public, lambda: _download(public, file, target, progress)


def kept_from_us(path: Path) -> bool:
    """Whether another user made a file so that we may not read it, or its folder so that we may not look into it."""
    try:
        with open(path, "rb"):
            return False
    except PermissionError:
        return True
    except OSError:
        return False


def _checked(file: SourceFile, path: Path) -> Path:
    """``path`` itself if it is the right file."""
    try:
        verify(file, path)
    except OSError as error:
        raise _FetchError(_unreadable(path, error)) from error
    return path


def _unreadable(path: Path, error: OSError) -> str:
    """Why a file cannot be read; of one that another user keeps to himself, also what that user can do."""
    said = (error.strerror or str(error)).lower()
    if not isinstance(error, PermissionError):
        return said
    return f"{said}; whoever put it there gives it to others: chmod -R g+rwX {path.parent}"


def identity(file: SourceFile) -> tuple[str, str | int]:
    """The strongest thing that is known of the file: (kind, value)."""
    for kind in ("sha256", "git_blob", "git_tree", "bytes"):
        value = getattr(file, kind)
        if value is not None:
            return kind, value
    raise BenchError(f"nothing is known that could verify {file.path}", where=file.path)


def verify(file: SourceFile, path: Path) -> None:
    """Raise ``_FetchError`` with the expected and the found value unless ``path`` is the file described."""
    size = path.stat().st_size
    if file.bytes is not None and size != file.bytes:
        raise _FetchError(f"expected {file.bytes} bytes, found {size}")
    kind, expected = identity(file)
    if kind == "bytes":
        return
    try:
        found = _fingerprint(kind, str(expected), path)
    except BenchError as error:  # an archive that cannot be opened
        raise _FetchError(error.what) from error
    if found != expected:
        raise _FetchError(f"expected {kind} {expected}, found {found} ({size} bytes)")


def _fingerprint(kind: str, expected: str, path: Path) -> str:
    if kind == "git_tree":
        folder = expected.partition(":")[0]
        return f"{folder}:{git_tree_id(folder_members(path, folder))}"
    return sha256_file(path) if kind == "sha256" else git_blob_id(path)


def _download(url: str, file: SourceFile, target: Path, progress: bool) -> Path:
    """Download to a temporary name, verify, rename; try again, later and later, while that may help."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with replacing(target) as part:
                _download_once(url, part, progress)
                verify(file, part)
                if aside := set_aside(target):  # it is not the right file, and may be somebody's
                    _log.warning("%s is another file: it is %s now", target, aside.name)
            return target
        except _FetchError as error:
            refused = isinstance(error.__cause__, requests.HTTPError) and not _may_recover(error.__cause__)
            if refused or attempt == ATTEMPTS:
                raise
            _log.info("%s: %s; attempt %d of %d follows", url, error, attempt + 1, ATTEMPTS)
            time.sleep(BACK_OFF * 2 ** (attempt - 1))
    raise AssertionError("the loop returns or raises")


def _download_once(url: str, part: Path, progress: bool) -> None:
    bar = progress and sys.stderr.isatty() and importlib.util.find_spec("tqdm") is not None
    try:
        pooch.HTTPDownloader(progressbar=bar, timeout=TIMEOUT)(url, str(part), None)
    except requests.RequestException as error:
        raise _FetchError(str(error)) from error


def _may_recover(error: requests.HTTPError) -> bool:
    """Whether a server that refused may answer later: overloaded or in trouble, not "no such file"."""
    status = 0 if error.response is None else error.response.status_code
    return status == 429 or status >= 500
