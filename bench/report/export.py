"""What stands beside the tables: CSV and JSON with nothing rounded.

A CSV begins with the mark of UTF-8 by which spreadsheets know it, and has a header also where it has no rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas

from bench.analysis.compare import Cell
from bench.base.files import write_json, write_with

LISTS = ("seeds", "values", "failed_seeds", "marks", "files")
CSV = "utf-8-sig"
TEXTS = ("label", "setting", "reason", "note", "bias", "definition")


def rows_of(cells: Iterable[Cell], base: Path) -> list[dict[str, Any]]:
    """Cells as rows of plain values; source files are named relative to ``base``."""
    return [asdict(cell) | {"files": [relative(Path(f), base) for f in cell.files]} for cell in cells]


def write_cells(cells: Iterable[Cell], path: Path, base: Path) -> None:
    """Write cells as CSV and, beside it, as JSON: lists as lists, what was not measured as null.

    In the CSV lists are joined by spaces, and a text that a spreadsheet would run as a formula is preceded by an
    apostrophe.
    """
    rows = rows_of(cells, base)
    frame = pandas.DataFrame(rows, columns=list(Cell.__dataclass_fields__), dtype=object)
    for column in LISTS:
        frame[column] = [" ".join(map(str, row[column])) for row in rows]
    for column in TEXTS:
        frame[column] = frame[column].map(harmless)
    write_with(path, lambda part: frame.to_csv(part, index=False, encoding=CSV))
    write_json(path.with_suffix(".json"), rows)


def write_rows(
    rows: Iterable[Mapping[str, Any]], path: Path, base: Path, columns: Sequence[str] = ()
) -> None:
    """Write rows of plain values as CSV and, beside it, as JSON; ``columns`` stand in the CSV also without rows.

    In the CSV lists are joined by spaces and texts are harmless; files are named relative to ``base``.
    """

    def plain(value: Any) -> Any:
        if isinstance(value, Path):
            return relative(value, base)
        return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value

    def joined(value: Any) -> Any:
        if isinstance(value, list):
            return " ".join(map(str, value))
        return harmless(value) if isinstance(value, str) else value

    kept = [{key: plain(value) for key, value in row.items()} for row in rows]
    names = list(dict.fromkeys([*columns, *(key for row in kept for key in row)]))
    flat = [{key: joined(value) for key, value in row.items()} for row in kept]
    frame = pandas.DataFrame(flat, columns=names)
    write_with(path, lambda part: frame.to_csv(part, index=False, encoding=CSV))
    write_json(path.with_suffix(".json"), kept)


def relative(path: Path, base: Path) -> str:
    """``path`` below ``base``, else as it is."""
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else path.as_posix()


def harmless(text: str) -> str:
    """The same text, not a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
