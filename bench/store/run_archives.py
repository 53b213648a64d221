"""Runs in an archive: the small files of what one machine has measured, for the results folder of another."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bench.base.errors import BenchError
from bench.base.files import read_json, replacing, sha256_file
from bench.base.outputs import RESULTS, claim
from bench.base.settings import RunSettings
from bench.store.freshness import WEIGHTS, is_evaluation_of, is_training_of, recorded_settings
from bench.store.published import LAST, TRAINING
from bench.store.seal import TABLES as EVALUATION
from bench.store.seal import changed_since

FIRST = "runs.json"  # the names of the runs, each after that with which it begins


@dataclass(frozen=True)
class Taken:
    """What became of one run of an archive: ``kept`` is what was here already."""

    name: str
    state: Literal["taken", "kept", "refused"]
    reason: str = ""


def archive(
    results: Path,
    names: Iterable[str],
    file: Path,
    *,
    weights: bool = False,
    unfinished: Collection[str] = (),
) -> None:
    """Write the files of measured runs as ``runs/NAME/FILE`` to a compressed tar archive.

    With ``weights`` those too; of ``unfinished`` runs they are always there, since more is measured of them elsewhere.

    In the order in which they are made: extracted one after the other with the time of then, as ``tar -xzmf``
    does, none looks older to the workflow than what it was made from.
    """
    names = _begun_first(results, names)
    kinds = (*TRAINING, "run.json", *EVALUATION, "measurements.json")
    with replacing(file) as part, tarfile.open(part, "w:gz") as tar:
        listed = json.dumps(names).encode()
        entry = tarfile.TarInfo(FIRST)
        entry.size = len(listed)
        tar.addfile(entry, io.BytesIO(listed))
        for name in names:
            for kind in (*((WEIGHTS,) if weights or name in unfinished else ()), *kinds):
                source = results / "runs" / name / kind
                if source.exists():  # a run that diverged has few, one that others begin with no measurements
                    tar.add(source, f"runs/{name}/{kind}", recursive=False)


def unpack(file: Path, results: Path, find: Callable[[str], RunSettings]) -> list[Taken]:
    """Take up the runs of an archive; what became of each.

    ``find`` gives the settings that a run of a name has here. A run is refused that has others, that was made
    from other data than lie here, or whose files are not those that it wrote. Raises :class:`BenchError` for a
    file that is no such archive.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            with tarfile.open(file) as tar:
                _extract(tar, Path(folder))
            names = read_json(Path(folder) / FIRST)
        except (tarfile.TarError, EOFError, BenchError) as error:
            what = f"not an archive of runs: {error}"
            raise BenchError(what, where=file, remedy="write it again: bench pack --archive") from error
        return [_take(str(name), Path(folder), results, find) for name in names]


def _extract(tar: tarfile.TarFile, folder: Path) -> None:
    """Write the members, which have to be files below ``folder``; Python has a filter for that only since 3.11.4."""
    for member in tar:
        if not member.isfile() or not (folder / member.name).resolve().is_relative_to(folder.resolve()):
            raise tarfile.ExtractError(f"{member.name} is no file below the folder of an archive")
        tar.extract(member, folder, set_attrs=False)


def is_archive(file: Path) -> bool:
    """Whether ``file`` is an archive of runs, by the name of its first member."""
    try:
        with tarfile.open(file) as tar:
            first = tar.next()
    except (tarfile.TarError, EOFError, OSError):
        return False
    return first is not None and first.name == FIRST


def _begun_first(results: Path, names: Iterable[str]) -> list[str]:
    """``names``, each after the run with which it begins."""
    ordered: dict[str, None] = {}

    def add(name: str) -> None:
        start = recorded_settings(read_json(results / "runs" / name / "run.json")).start
        if start is not None:
            add(start)
        ordered.setdefault(name)

    for name in names:
        add(name)
    return list(ordered)


def _take(name: str, source: Path, results: Path, find: Callable[[str], RunSettings]) -> Taken:
    found, target = source / "runs" / name, results / "runs" / name
    try:
        run = find(name)
        content = read_json(found / "run.json")
        if fault := _fault(run, content, source / "runs", results):
            return Taken(name, "refused", fault)
        if (target / "run.json").exists():
            if sha256_file(target / "run.json") != sha256_file(found / "run.json"):
                return Taken(name, "kept", "another training of this run is here already")
            if all((target / kind).exists() or not (found / kind).exists() for kind in LAST):
                return Taken(name, "kept")
    except BenchError as error:
        return Taken(name, "refused", error.what)
    claim(results, RESULTS)
    for kind in (WEIGHTS, *TRAINING, *EVALUATION, *LAST):
        if (found / kind).exists():
            with replacing(target / kind) as part:
                shutil.copyfile(found / kind, part)
    return Taken(name, "taken")


def _fault(run: RunSettings, content: dict[str, Any], runs: Path, results: Path) -> str:
    """Why the run below ``runs`` is not taken; empty if it is."""
    folder = runs / run.name
    if not is_training_of(content, run, runs):
        return "it was made under other settings than these: give the same --settings"
    corpus = results / "corpora" / run.paper / run.corpus / "corpus.json"
    if corpus.exists() and read_json(corpus)["data_hash"] != content["data_hash"]:
        return "it was made from other data than are prepared here"
    for kind, digest in content["files"].items():
        path = folder / kind
        if (path.exists() or kind != WEIGHTS) and (not path.exists() or sha256_file(path) != digest):
            return f"{kind} is not the file that the run wrote"
    measured = read_json(folder / "measurements.json") if (folder / "measurements.json").exists() else None
    if measured is not None and (fault := changed_since(measured, folder)):
        return fault
    if measured is not None and not is_evaluation_of(measured, content, run):
        return "its measurements are of another training, or of other settings than these: give the same --settings"
    return ""
