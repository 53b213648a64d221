"""Where the user tells us to write: only what is empty, or ours, is written to; nothing else is ever removed.

A folder is ours if it carries our mark, an empty hidden file that says what the folder is; if it lies at its place
in a results folder of ours; or if files in it show that an earlier version, which left no marks, made it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from bench.base.errors import BenchError
from bench.base.files import cannot_write, read_json, sha256_file, write_text
from bench.base.locks import is_lock, locked

MARK = ".latent-text-bench-"  # begins the name of a mark
BUILDING = f"{MARK}building"  # in a report: the next one, until it is whole
SUMMARY = "summary.txt"  # in a report: what it says, in a few lines
SHOWN = 5  # names in a message
Sign = tuple[str, Callable[[Any], bool]]  # the pattern of a JSON file, and what its content must be


@dataclass(frozen=True)
class FolderKind:
    """What a folder of ours is; ``place``: where it lies in a results folder; ``signs``: of earlier versions."""

    name: str
    said: str
    place: str | None
    signs: tuple[Sign, ...]

    @property
    def mark(self) -> str:
        """The name of the file that marks such a folder."""
        return f"{MARK}{self.name}"


def _with(*keys: str) -> Callable[[Any], bool]:
    return lambda content: isinstance(content, dict) and content.keys() >= set(keys)


def is_listing(content: Any) -> bool:
    """Whether it is what ``bench fetch`` writes: absolute paths by names of the form CORPUS/FILE."""
    return isinstance(content, dict) and all(
        "/" in name and isinstance(path, str) and Path(path).is_absolute() for name, path in content.items()
    )


def _below(folder: str, kind: FolderKind) -> tuple[Sign, ...]:
    return tuple((f"{folder}/{pattern}", fits) for pattern, fits in kind.signs)


_MADE = _with("identity", "data_hash")
_RUN = "*/*/*/*/seed*"
REPORT = FolderKind(
    "report", "a report", None, (("data/dictionary.json", _with("measurements.parquet", "cells.parquet")),)
)
CORPUS = FolderKind(
    "corpus", "a prepared corpus", "corpora/*/*", (("corpus.json", _with("data_hash", "sizes", "rules")),)
)
RUNS = FolderKind(
    "runs", "a folder of runs", "runs", ((f"{_RUN}/run.json", _MADE), (f"{_RUN}/measurements.json", _MADE))
)
EVALUATORS = FolderKind(
    "evaluators", "a folder of evaluators", "evaluators", (("*/*/*/evaluator.json", _MADE),)
)
STATE = FolderKind(
    "state", "a folder of resumable states", "state", (("*/status.json", _with("name", "state")),)
)
RESULTS = FolderKind(
    "results",
    "a results folder",
    None,
    (
        *_below("published/runs", RUNS),
        *(sign for kind in (RUNS, CORPUS, STATE) for sign in _below(str(kind.place), kind)),
        ("sources/*.json", is_listing),
    ),
)
TRACKED = FolderKind("tracked", "a folder of a tracker", None, ())
KINDS = (REPORT, CORPUS, RUNS, EVALUATORS, STATE, RESULTS, TRACKED)


def claim(folder: Path, kind: FolderKind) -> Path:
    """The folder to write into, without links, made where it is absent, and marked.

    Raises :class:`BenchError` for a file, for a folder that holds what is not ours, for one of another kind, and
    for one that cannot be written.
    """
    named, folder = folder, Path(os.path.realpath(folder))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not _is_ours(folder, named.absolute(), kind):
            _refuse(folder, kind, named)
            (folder / kind.mark).touch()
    except FileExistsError as error:
        what = f"there is a file where {kind.said} is to be written"
        raise BenchError(what, where=named, remedy="name another folder, or move the file away") from error
    except OSError as error:
        raise cannot_write(folder, error) from error
    return folder


def require_ours(folder: Path, kind: FolderKind) -> None:
    """Raise :class:`BenchError` for a folder with content that :func:`claim` would refuse; nothing is made."""
    place = Path(os.path.realpath(folder))
    if place.is_dir() and not _is_ours(place, folder.absolute(), kind):
        _refuse(place, kind, folder)


def claim_file(path: Path, said: str, ours: Callable[[Path], bool]) -> None:
    """Raise :class:`BenchError` where there is something at ``path`` that is neither empty nor ``ours``."""
    if not path.exists():
        return
    if not path.is_file() or (path.stat().st_size > 0 and not ours(path)):
        what = f"there is something that bench did not write where {said} is to be written"
        raise BenchError(what, where=path, remedy="name another file, or move it away")


def is_json(fits: Callable[[Any], bool]) -> Callable[[Path], bool]:
    """A check of files: whether one is JSON whose content passes ``fits``."""

    def check(path: Path) -> bool:
        try:
            return fits(read_json(path))
        except (BenchError, OSError):
            return False

    return check


def set_aside(path: Path) -> Path | None:
    """Rename what is at ``path`` to a free name beside it; the new name, None where there was nothing."""
    if not path.exists():
        return None
    names = (path.with_name(f"{path.name}.aside{number or ''}") for number in range(1_000))
    aside = next(name for name in names if not os.path.lexists(name))
    path.rename(aside)
    return aside


def _is_ours(folder: Path, named: Path, kind: FolderKind) -> bool:
    """Whether it carries the mark of ``kind``, or was ``named`` as lying at its place in a results folder of ours."""
    if (folder / kind.mark).is_file():
        return True
    depth = 0 if kind.place is None else len(PurePosixPath(kind.place).parts)
    if not 0 < depth <= len(named.parents):
        return False
    results = named.parents[depth - 1]
    return (results / RESULTS.mark).is_file() and named.relative_to(results).match(str(kind.place))


def _refuse(folder: Path, kind: FolderKind, named: Path) -> None:
    """Raise :class:`BenchError` unless the folder is empty or of ``kind``, made by an earlier version."""
    remedy = "name an empty folder or a new one"
    for other in KINDS:
        if other is not kind and (folder / other.mark).exists():
            raise BenchError(f"this folder is {other.said}, not {kind.said}", where=named, remedy=remedy)
    found = sorted(path.name for path in folder.iterdir() if _holds_something(path))
    if found and not _is_signed(folder, kind):
        what = f"this folder holds what bench did not write: {_listed(found)}"
        raise BenchError(what, where=named, remedy=remedy)


def _is_signed(folder: Path, kind: FolderKind) -> bool:
    return any(is_json(fits)(path) for pattern, fits in kind.signs for path in folder.glob(pattern))


def _holds_something(path: Path) -> bool:
    """Whether it is anything but a lock or a folder that holds nothing else."""
    if path.is_dir() and not path.is_symlink():
        return any(_holds_something(inner) for inner in path.iterdir())
    return path.is_symlink() or not is_lock(path)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


# A report is many files that are renewed together. Its mark lists those that we wrote, as `sha256sum` does; whatever
# else lies in the folder is not ours, and stays.

Written = set[tuple[str, str]]  # path below the folder, sha256; a path twice while it is being replaced


def check(folder: Path, kind: FolderKind) -> None:
    """Raise :class:`BenchError` where :func:`renewing` would, as far as can be known before it has its files."""
    target = claim(folder, kind)
    with locked(target, f"{kind.said} in {folder}", wait=True):
        written = _written(target / kind.mark)
        _check_free(target, {path for path, _ in written}, written)


@contextlib.contextmanager
def renewing(folder: Path, kind: FolderKind) -> Iterator[Path]:
    """Yield an empty folder; once the body is through, its files take the place of those that we wrote before.

    If the body fails or is killed, ``folder`` stays as it was. After a kill while files are put in place, each is
    the old or the new one, and the next call goes on. Waits for another process that renews the same folder.
    Raises :class:`BenchError` where :func:`claim` does, and for a file in the way that is not as we wrote it.
    """
    target = claim(folder, kind)
    with locked(target, f"{kind.said} in {folder}", wait=True):
        before, building = _written(target / kind.mark), target / BUILDING
        unlisted = not before and _is_signed(target, kind)  # an earlier version made it
        _check_free(target, {path for path, _ in before}, before)
        shutil.rmtree(building, ignore_errors=True)
        try:
            building.mkdir()
            yield building
            files = sorted(
                path.relative_to(building).as_posix() for path in building.rglob("*") if path.is_file()
            )
            after = {(path, sha256_file(building / path)) for path in files}
            if unlisted:
                before = {(path, sha256_file(target / path)) for path in files if _is_plain(target, path)}
            _check_free(target, set(files), before | after)
            _put_in_place(building, target, target / kind.mark, before, after)
        except OSError as error:
            raise cannot_write(folder, error) from error
        shutil.rmtree(building)


def discard(folder: Path, kind: FolderKind) -> None:
    """Remove the files that we wrote into ``folder``, and the folders that this leaves empty."""
    target = Path(os.path.realpath(folder))
    if not (target / kind.mark).is_file():
        return
    with locked(target, f"{kind.said} in {folder}", wait=True):
        _remove(target, _written(target / kind.mark))
        shutil.rmtree(target / BUILDING, ignore_errors=True)
        (target / kind.mark).unlink()
    with contextlib.suppress(OSError):  # it holds what is not ours
        target.rmdir()


def _put_in_place(building: Path, target: Path, mark: Path, before: Written, after: Written) -> None:
    """At every moment each page leads to pages that are there, and every file of ours is listed."""
    _write(mark, before | after)
    paths = {path for path, _ in after}
    for path in sorted(paths, key=lambda path: (path == "index.html", path)):
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        os.replace(building / path, target / path)
    _remove(target, {(path, digest) for path, digest in before if path not in paths})
    _write(mark, after)


def _check_free(target: Path, paths: set[str], written: Written) -> None:
    """Raise :class:`BenchError` unless each path is free, or holds a file that was ``written``."""
    wrong = sorted(path for path in paths if _is_in_the_way(target, path, written))
    if wrong:
        raise BenchError(
            f"in the way is what bench did not write, or what was changed since: {_listed(wrong)}",
            where=target,
            remedy="move it away, or name another folder",
        )


def _is_in_the_way(target: Path, path: str, written: Written) -> bool:
    if _is_plain(target, path):
        return (path, sha256_file(target / path)) not in written
    folders = [target / folder for folder in PurePosixPath(path).parents[:-1]]
    linked = os.path.realpath(target / path) != str(target / path)
    return linked or (target / path).exists() or any(f.exists() and not f.is_dir() for f in folders)


def _is_plain(target: Path, path: str) -> bool:
    """Whether it is a file, without links on the way to it."""
    return (target / path).is_file() and os.path.realpath(target / path) == str(target / path)


def _remove(target: Path, written: Written) -> None:
    """Remove files that still are as they were written, and the folders that this leaves empty."""
    for path, digest in written:
        if _is_plain(target, path) and sha256_file(target / path) == digest:
            (target / path).unlink()
            for folder in PurePosixPath(path).parents[:-1]:
                with contextlib.suppress(OSError):  # it holds other files
                    (target / folder).rmdir()


def _written(mark: Path) -> Written:
    lines = mark.read_text(encoding="utf-8").splitlines()
    return {(path, digest) for digest, _, path in (line.partition("  ") for line in lines)}


def _write(mark: Path, written: Written) -> None:
    write_text(mark, "".join(f"{digest}  {path}\n" for path, digest in sorted(written)))
