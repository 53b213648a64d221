"""One reader per format, registered by kind: verified files in, token lists out.

A reader is a function in any file of this room, or in ``readers/`` of a user's own folder, marked by the decorator.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from bench.base.errors import BenchError, unknown
from bench.base.identity import corpus_versions
from bench.base.own import import_all
from bench.base.text_rules import TEXT
from bench.base.validation import validated
from bench.corpora.entry import CorpusEntry
from bench.corpora.raw import RawCorpus

Files = Mapping[str, Path]


class ReaderOptions(BaseModel):
    """Base of the options of a reader; an unknown option is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def sources(self) -> list[str]:
        """The file paths that the options name: each must be among the files of the entry."""
        return []

    def fields(self) -> tuple[str, ...]:
        """The fields of an example, in order; the last is decoded where a protocol names no other."""
        return (TEXT,)

    def labels(self) -> tuple[str, ...]:
        """The labels of an example."""
        return ()


class Reader(NamedTuple):
    """A registered reader; ``version`` rises when it reads other texts from the same files."""

    options: type[ReaderOptions]
    function: Callable[[str, Any, Files], RawCorpus]
    version: int


_READERS: dict[str, Reader] = {}


def reader(
    kind: str, options: type[ReaderOptions], *, version: int = 1
) -> Callable[[Callable[[str, Any, Files], RawCorpus]], Any]:
    """Register ``function(name, options, files) -> RawCorpus`` as the reader of ``kind``.

    Raises :class:`BenchError` when two functions share a kind.
    """

    def register(function: Callable[[str, Any, Files], RawCorpus]) -> Any:
        if kind in _READERS:
            raise BenchError(
                f"two readers are named {kind!r}",
                where=f"{_file(_READERS[kind].function)} and {_file(function)}",
                remedy="rename one of them",
            )
        _READERS[kind] = Reader(options, function, version)
        return function

    return register


def _file(function: Callable[..., object]) -> str:
    return function.__code__.co_filename


def kinds() -> dict[str, Reader]:
    """All readers by kind."""
    for module in sorted(found.name for found in pkgutil.iter_modules(__path__)):
        importlib.import_module(f"{__name__}.{module}")
    import_all("readers")
    return _READERS


def versions_of(entry: CorpusEntry) -> dict[str, int]:
    """Versions other than 1 of what prepares a corpus: the stage and the reader."""
    return corpus_versions(entry.reader.kind, kinds()[entry.reader.kind].version)


def check_options(entry: CorpusEntry, where: object) -> ReaderOptions:
    """The validated options of the entry's reader.

    Raises :class:`BenchError` for an unknown kind or option, or a file that the entry does not list.
    """
    known = kinds()
    if entry.reader.kind not in known:
        raise unknown("reader", entry.reader.kind, known, where=f"{where}: reader.kind")
    options = validated(known[entry.reader.kind].options, entry.reader.options, where, prefix="reader")
    listed = [file.path for file in entry.files]
    for path in options.sources():
        if path not in listed:
            raise unknown("file of this corpus", path, listed, where=f"{where}: reader")
    return options


def read(entry: CorpusEntry, paths: Files) -> RawCorpus:
    """Read the corpus from its verified files. Raises :class:`BenchError` for anything malformed."""
    options = check_options(entry, entry.name)
    missing = [file.path for file in entry.files if file.path not in paths]
    if missing:
        raise BenchError(
            f"{entry.name}: no path given for {', '.join(missing)}", remedy="fetch the corpus first"
        )
    corpus = _READERS[entry.reader.kind].function(entry.name, options, paths)
    for noun, said, found in (
        ("fields", options.fields(), corpus.fields),
        ("labels", options.labels(), corpus.labels),
    ):
        if tuple(found) != said:
            raise BenchError(
                f"the reader {entry.reader.kind!r} gave other {noun} than its options declare: {list(found)}",
                where=entry.name,
                allowed=said,
                remedy=f"let the method {noun} of its options name them",
            )
    return corpus
