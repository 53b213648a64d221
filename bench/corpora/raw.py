"""What every reader returns: token lists per split, attributes beside them, and what was done to them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from sys import intern
from typing import TYPE_CHECKING, Any

from bench.base.errors import BenchError

if TYPE_CHECKING:
    import pandas

Texts = list[list[str]]

EXAMPLES = 5  # line numbers kept per treatment
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\ufeff]")


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


@dataclass
class RawCorpus:
    """A corpus as its reader gives it.

    ``attributes`` holds one frame per split, one row per text (labels, or for dialogue the columns
    ``context``, ``dialogue``, ``turn``). ``exact`` holds what is known exactly of a generated corpus.
    """

    name: str
    splits: dict[str, Texts]
    treatments: Treatments = field(default_factory=Treatments)
    attributes: dict[str, pandas.DataFrame] | None = None
    exact: dict[str, Any] | None = None

    def keep(self, split: str, kept: list[int]) -> None:
        """Keep only the texts of ``split`` at the indices ``kept``, and their attributes."""
        self.splits[split] = [self.splits[split][index] for index in kept]
        if self.attributes is not None:
            self.attributes[split] = self.attributes[split].iloc[kept].reset_index(drop=True)

    def set_columns(self, split: str, **columns: Any) -> None:
        """Add or replace attributes of ``split``, each one value per text."""
        import pandas

        self.attributes = {} if self.attributes is None else self.attributes
        frame = self.attributes.get(split, pandas.DataFrame(index=range(len(self.splits[split]))))
        self.attributes[split] = frame.assign(**columns)


def decoded_lines(
    data: bytes, source: object, split: str, treatments: Treatments, first: int = 1, last: int | None = None
) -> Iterator[tuple[int, str]]:
    """(1-based number, text) of the lines ``first`` to ``last`` of ``data`` that are not empty.

    Only a newline ends a line. Control characters are removed and counted, empty lines skipped and counted.
    Raises :class:`BenchError` with file and line for bytes that are not UTF-8.
    """
    lines = data.split(b"\n")
    if lines and not lines[-1]:
        lines.pop()  # the newline that ends the file
    for number, line in enumerate(lines[first - 1 : last], first):
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise BenchError(
                f"line {number} is not UTF-8 (byte {error.start + 1}: 0x{line[error.start]:02x})",
                where=source,
                remedy="convert the file to UTF-8",
            ) from error
        clean, removed = _CONTROL.subn("", text.removesuffix("\r"))
        if removed:
            treatments.add("control characters removed", split, number, removed)
        if clean.isspace() or not clean:
            treatments.add("empty lines skipped", split, number)
            continue
        yield number, clean


def tokens(text: str) -> list[str]:
    """The blank-separated words of ``text``; equal words share one string (corpora have millions)."""
    return list(map(intern, text.split()))


def read_bytes(path: Path) -> bytes:
    """The bytes of a source file. Raises :class:`BenchError` when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BenchError(f"cannot read the source file: {error.strerror}", where=path) from error
