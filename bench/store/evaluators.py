"""Evaluators: models that measure others or lend them what they begin with, each made as a run of its own.

An evaluator is a class in any room that has parts, registered as one::

    @part("evaluator", "kneser-ney")
    class KneserNey: ...

A paper declares the evaluators that its measures need, by name, with their settings; word vectors are named in the
settings of the runs that begin with them. An evaluator is trained or loaded once for each corpus of a paper, below
``results/evaluators/PAPER/CORPUS/NAME``, with a record of its own. Its ``wiring`` is what it asks of a run.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bench.base.errors import BenchError
from bench.base.files import read_json, sha256_file, stable_hash, write_json
from bench.base.locks import locked
from bench.base.registry import build, lookup
from bench.store.provenance import provenance

if TYPE_CHECKING:
    from bench.base.settings import Part
    from bench.corpora.prepared import Prepared

RECORD = "evaluator.json"
Wiring = Mapping[str, Any]


class Evaluator(Protocol):
    """How an evaluator is made of a corpus, and read again."""

    def make(self, corpus: Prepared, folder: Path) -> Mapping[str, Any]:
        """Write the files of the evaluator into ``folder``; returns what is to be known of them, as JSON."""
        ...

    def load(self, corpus: Prepared, folder: Path) -> Any:
        """What the measures use: the evaluator, read from ``folder``."""
        ...


def evaluator_identity(declared: Part, data_hash: str, wiring: Wiring | None = None) -> str:
    """Hash of all that can change an evaluator: kind, options, version, wiring, the data of its corpus, a named text.

    Raises :class:`BenchError` where the file that its option ``text`` names cannot be read.
    """
    entry = lookup("evaluator", declared.kind)
    found: list[Any] = [declared.kind, declared.options, entry.version, data_hash]
    found += [[name, (wiring or {}).get(name)] for name in entry.wiring]
    if (text := declared.options.get("text")) is not None:
        try:
            found.append(sha256_file(Path(text)))
        except OSError as error:
            raise BenchError(f"cannot read the text of an evaluator: {error.strerror}", where=text) from error
    return stable_hash(found)


def load_evaluator(declared: Part, corpus: Prepared, folder: Path, wiring: Wiring | None = None) -> Any:
    """The evaluator in ``folder``, which is made first if it is not there, or is another one.

    Raises :class:`BenchError` if a file of it is damaged.
    """
    make_evaluator(declared, corpus, folder, wiring)
    for name, expected in read_json(folder / RECORD)["files"].items():
        if not (folder / name).exists() or sha256_file(folder / name) != expected:
            remedy = f"delete {folder / RECORD}, then run the same command again"
            raise BenchError("damaged file of an evaluator", where=folder / name, remedy=remedy)
    return _built(declared, wiring).load(corpus, folder)


def make_evaluator(
    declared: Part, corpus: Prepared, folder: Path, wiring: Wiring | None = None
) -> dict[str, Any]:
    """Make an evaluator and write its record; returns the record, of one that is there as of a new one.

    Waits for another process that makes it.
    """
    identity = evaluator_identity(declared, corpus.data_hash, wiring)
    with locked(folder, f"the evaluator {folder.name} of {corpus.name}", wait=True):
        if (found := _record(folder)).get("identity") == identity:
            return found
        (folder / RECORD).unlink(missing_ok=True)
        began, started = time.perf_counter(), datetime.now(UTC)
        facts = dict(_built(declared, wiring).make(corpus, folder))
        files = {p.name: sha256_file(p) for p in sorted(folder.iterdir()) if not p.name.startswith(".")}
        content = {
            "name": folder.name,
            "corpus": corpus.name,
            "identity": identity,
            "settings": declared.model_dump(mode="json"),
            "data_hash": corpus.data_hash,
            "facts": facts,
            "files": files,
            "seconds": time.perf_counter() - began,
            "provenance": {
                **provenance(),
                "started": started.isoformat(timespec="seconds"),
                "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            },
        }
        write_json(folder / RECORD, content)
    return content


def _built(declared: Part, wiring: Wiring | None) -> Evaluator:
    made: Evaluator = build("evaluator", *declared.pair(), wiring)
    return made


def _record(folder: Path) -> dict[str, Any]:
    """The record of an evaluator; nothing if it is absent or damaged: then it is made again."""
    try:
        content = read_json(folder / RECORD)
    except BenchError:
        return {}
    return content if isinstance(content, dict) else {}
