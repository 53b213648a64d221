"""What every reader returns: token lists per field and split, labels, attributes, and what was done to them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from sys import intern
from typing import TYPE_CHECKING, Any

from bench.base.errors import BenchError
from bench.base.text_rules import TEXT

if TYPE_CHECKING:
    import pandas

Texts = list[list[str]]

EXAMPLES = 5  # line numbers kept per treatment
_WHITE = re.compile("[\x0a-\x0d\x1c-\x1f\x85]")  # control characters that are white space, but for the tab
_CONTROL = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ufeff]")


@dataclass
class Treatment:
    """Something done to the texts of one split: what, how often, and where first (1-based line numbers)."""

    what: str
    split: str
    count: int = 0
    lines: list[int] = field(default_factory=list)

    def add(self, line: int, count: int = 1) -> None:
        """Note ``count`` occurrences on ``line``."""
        self.count += count
        if len(self.lines) < EXAMPLES:
            self.lines.append(line)


class Treatments:
    """The treatments of one corpus, in the order in which they first happened."""

    def __init__(self) -> None:
        self._by_key: dict[tuple[str, str], Treatment] = {}

    def add(self, what: str, split: str, line: int, count: int = 1) -> None:
        """Note that ``what`` happened ``count`` times on ``line`` of ``split``."""
        self._by_key.setdefault((what, split), Treatment(what, split)).add(line, count)

    def as_list(self) -> list[dict[str, Any]]:
        """One mapping {what, split, count, lines} per treatment."""
        return [vars(treatment).copy() for treatment in self._by_key.values()]


class RawCorpus:
    """A corpus as its reader gives it: examples of one or more fields, each field a text per example.

    ``fields`` holds the texts by field and split; a corpus without names for its fields has the one field
    ``text``, whose texts are ``splits``. ``labels`` holds a class per example, by label and split.
    ``attributes`` holds one frame per split, one row per example: what is known of it beside that, such as
    ``dialogue`` and ``turn``. ``exact`` holds what is known exactly of a generated corpus, ``whole`` texts as they
    were before they were cut, by split, field and index.
    """

    def __init__(
        self,
        name: str,
        splits: dict[str, Texts] | None = None,
        *,
        fields: dict[str, dict[str, Texts]] | None = None,
        labels: dict[str, dict[str, list[str]]] | None = None,
        attributes: dict[str, pandas.DataFrame] | None = None,
        exact: dict[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.fields = {TEXT: {} if splits is None else splits} if fields is None else fields
        self.labels = {} if labels is None else labels
        self.attributes = attributes
        self.exact = exact
        self.treatments = Treatments()
        self.whole: dict[str, dict[str, dict[int, str]]] = {}

    @property
    def splits(self) -> dict[str, Texts]:
        """The texts of the last field, which is the only one of most corpora."""
        return self.fields[next(reversed(self.fields))]

    def size(self, split: str) -> int:
        """The number of examples. Raises :class:`BenchError` when the fields differ in it."""
        parts: dict[str, Collection[Any]] = {n: texts.get(split, []) for n, texts in self.fields.items()}
        parts |= {name: values.get(split, []) for name, values in self.labels.items()}
        counts = {name: len(values) for name, values in parts.items()}
        if len(set(counts.values())) > 1:
            raise BenchError(
                f"{self.name}: the {split} split has fields of different numbers of texts: {counts}"
            )
        return next(iter(counts.values()))

    def keep(self, split: str, kept: list[int]) -> None:
        """Keep only the examples of ``split`` at the indices ``kept``."""
        columns: list[dict[str, list[Any]]] = [*self.fields.values(), *self.labels.values()]
        for values in columns:
            values[split] = [values[split][index] for index in kept]
        if self.attributes is not None:
            self.attributes[split] = self.attributes[split].iloc[kept].reset_index(drop=True)

    def set_columns(self, split: str, **columns: Any) -> None:
        """Add or replace attributes of ``split``, each one value per example."""
        import pandas

        self.attributes = {} if self.attributes is None else self.attributes
        frame = self.attributes.get(split, pandas.DataFrame(index=range(self.size(split))))
        self.attributes[split] = frame.assign(**columns)


def decoded_lines(
    data: bytes, source: object, split: str, treatments: Treatments, first: int = 1, last: int | None = None
) -> Iterator[tuple[int, str]]:
    """(1-based number, text) of the lines ``first`` to ``last`` of ``data`` that are not empty.

    Only a newline ends a line. Control characters are treated by :func:`cleaned`, empty lines skipped and counted.
    Raises :class:`BenchError` with file and line for bytes that are not UTF-8.
    """
    for number, text in numbered_lines(data, source, first, last):
        clean = cleaned(text, split, number, treatments)
        if clean.isspace() or not clean:
            treatments.add("empty lines skipped", split, number)
            continue
        yield number, clean


def numbered_lines(
    data: bytes, source: object, first: int = 1, last: int | None = None
) -> Iterator[tuple[int, str]]:
    """(1-based number, text) of the lines ``first`` to ``last`` of ``data``, empty ones included.

    Only a newline ends a line. Raises :class:`BenchError` with file and line for bytes that are not UTF-8.
    """
    lines = data.split(b"\n")
    if lines and not lines[-1]:
        lines.pop()  # the newline that ends the file
    for number, line in enumerate(lines[first - 1 : last], first):
        try:
            yield number, line.decode("utf-8").removesuffix("\r")
        except UnicodeDecodeError as error:
            raise BenchError(
                f"line {number} is not UTF-8 (byte {error.start + 1}: 0x{line[error.start]:02x})",
                where=source,
                remedy="convert the file to UTF-8",
            ) from error


def cleaned(text: str, split: str, line: int, treatments: Treatments) -> str:
    """``text`` without control characters, counted; those that are white space, as form feed, become blanks."""
    text, replaced = _WHITE.subn(" ", text)
    if replaced:
        treatments.add("control characters between words replaced by blanks", split, line, replaced)
    text, removed = _CONTROL.subn("", text)
    if removed:
        treatments.add("control characters removed", split, line, removed)
    return text


def tokens(text: str) -> list[str]:
    """The blank-separated words of ``text``; equal words share one string (corpora have millions)."""
    return list(map(intern, text.split()))


def read_bytes(path: Path) -> bytes:
    """The bytes of a source file. Raises :class:`BenchError` when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BenchError(f"cannot read the source file: {error.strerror}", where=path) from error
