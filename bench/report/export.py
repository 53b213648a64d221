"""The tables, claims and audits as CSV: nothing rounded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas

from bench.files import write_with

LISTS = ("seeds", "values", "failed_seeds", "files")


def write_csv(frame: pandas.DataFrame, path: Path, base: Path) -> None:
    """Write a comparison; lists are joined by spaces, source files are named relative to ``base``.

    A text that a spreadsheet would run as a formula is preceded by an apostrophe.
    """
    flat = frame.copy()
    flat["files"] = flat["files"].map(lambda files: [relative(Path(f), base) for f in files])
    for column in LISTS:
        flat[column] = flat[column].map(lambda items: " ".join(str(item) for item in items))
    for column in ("label", "setting", "reason", "note", "bias", "definition"):
        flat[column] = flat[column].map(harmless)
    write_with(path, lambda part: flat.to_csv(part, index=False))


def write_rows(rows: Iterable[Mapping[str, Any]], path: Path, base: Path) -> None:
    """Write rows of plain values: lists are joined by spaces, files named relative to ``base``, texts harmless."""

    def plain(value: Any) -> Any:
        if isinstance(value, Path):
            return relative(value, base)
        if isinstance(value, (list, tuple)):
            return " ".join(str(plain(item)) for item in value)
        return harmless(value) if isinstance(value, str) else value

    frame = pandas.DataFrame([{key: plain(value) for key, value in row.items()} for row in rows])
    write_with(path, lambda part: frame.to_csv(part, index=False))


def relative(path: Path, base: Path) -> str:
    """``path`` below ``base``, else as it is."""
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else path.as_posix()


def harmless(text: str) -> str:
    """The same text, not a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
