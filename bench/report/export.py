"""The tables as CSV: one row per cell and source, nothing rounded."""

from __future__ import annotations

from pathlib import Path

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


def relative(path: Path, base: Path) -> str:
    """``path`` below ``base``, else as it is."""
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else path.as_posix()


def harmless(text: str) -> str:
    """The same text, not a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
