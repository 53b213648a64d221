"""The numbers that a paper prints, one a line of its ``reported.csv``.

The columns ``table, corpus, label, setting, metric, value, unit, bold, note`` must be there; ``spread``, ``n`` and
``marks`` may be. A line names a cell of the paper's tables; one that names none is an error.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field

from bench.base.errors import BenchError, unknown
from bench.base.settings import Model, Name
from bench.base.validation import validated
from bench.catalog.tables import Printed, PrintedTable
from bench.metrics.units import canonical

BOLD: Mapping[str, bool | None] = {
    "yes": True, "1": True, "true": True, "no": False, "0": False, "false": False, "lost": None, "": None,
}  # fmt: skip
Mark = Literal[
    "previously-reported",  # taken from an earlier paper, often printed with a double dagger
    "exact",  # a value, not an estimate, often printed with an asterisk
    "tie",  # printed as equal to the number that it is held against
]


def _bold(value: Any) -> bool | None:
    if str(value).strip().lower() not in BOLD:
        raise ValueError(unknown("value of bold", str(value), ["yes", "no", "lost"]))
    return BOLD[str(value).strip().lower()]


def _marks(value: Any) -> tuple[str, ...]:
    found = tuple(mark.strip() for mark in str(value).split(";") if mark.strip())
    for mark in found:
        if mark not in get_args(Mark):
            raise ValueError(unknown("mark", mark, get_args(Mark)))
    return found


def _or_none(value: Any) -> Any:
    return None if value == "" else value


class PrintedNumber(Model):
    """One number that a paper printed.

    ``spread``: what is printed after ±; ``n``: over how many runs; ``bold``: None where the source lost the type.
    """

    table: str
    corpus: Name
    label: str
    setting: str
    metric: str
    value: float
    unit: str
    bold: Annotated[bool | None, BeforeValidator(_bold)]
    note: str
    spread: Annotated[Annotated[float, Field(ge=0)] | None, BeforeValidator(_or_none)] = None
    n: Annotated[Annotated[int, Field(ge=1)] | None, BeforeValidator(_or_none)] = None
    marks: Annotated[tuple[Mark, ...], BeforeValidator(_marks)] = ()


COLUMNS = tuple(PrintedNumber.model_fields)
NEEDED = tuple(name for name, field in PrintedNumber.model_fields.items() if field.is_required())


def read_reported(path: Path, printed: Printed) -> tuple[PrintedNumber, ...]:
    """The printed numbers in a file, each of a cell of ``printed``.

    Raises :class:`BenchError` with file, line, value and the nearest name that is known.
    """
    if not path.exists():
        remedy = f"write it, if only with the line {','.join(NEEDED)}"
        raise BenchError("a paper without its printed numbers", where=path, remedy=remedy)
    numbers = []
    cells = Counter[tuple[str, ...]]()
    for line, row in _rows(path):
        where = f"{path}:{line}"
        number = validated(PrintedNumber, row | {"unit": canonical(row["unit"], f"{where}: unit")}, where)
        tables = _tables(number, printed, where)
        cell = (number.table, number.label, number.setting, number.corpus, number.metric)
        cells[cell] += 1
        _check_count(cells[cell], tables, number, where)
        numbers.append(number)
    return tuple(numbers)


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, values by column) of each line after the first."""
    reader = csv.reader(_text(path).splitlines(keepends=True), strict=True)
    try:
        header = next(reader, [])
        _check_header(header, path)
        for row in reader:
            if row and len(row) != len(header):
                what = f"{len(row)} values in a line, the first line names {len(header)} columns"
                remedy = "put a value that holds a comma in double quotes"
                raise BenchError(what, where=f"{path}:{reader.line_num}", allowed=header, remedy=remedy)
            if row:
                yield reader.line_num, dict(zip(header, row, strict=True))
    except csv.Error as error:
        raise BenchError(f"not a CSV file: {error}", where=f"{path}:{reader.line_num}") from error


def _text(path: Path) -> str:
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")  # spreadsheets write a mark before the first column
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        what = f"not UTF-8: the byte 0x{data[error.start]:02x}"
        raise BenchError(what, where=f"{path}:{line}", remedy="save the file as UTF-8") from error


def _check_header(header: list[str], path: Path) -> None:
    for column in header:
        if column not in COLUMNS:
            raise unknown("column", column, COLUMNS, where=f"{path}:1")
    lacking = [column for column in NEEDED if column not in header]
    if lacking or len(set(header)) != len(header):
        fault = f"no column {', '.join(lacking)}" if lacking else "a column twice"
        raise BenchError(fault, where=f"{path}:1", allowed=COLUMNS)


def _tables(number: PrintedNumber, printed: Printed, where: str) -> list[PrintedTable]:
    """The tables that hold a number: two may be parts of one printed table."""
    tables = [table for table in printed.tables if table.printed == number.table]
    if not tables:
        raise unknown("table", number.table, {t.printed for t in printed.tables}, where=f"{where}: table")

    def settings(table: PrintedTable) -> Iterator[str]:
        return (row.setting for row in table.rows if row.label == number.label)

    tables = _with("label", number.label, tables, lambda t: [row.label for row in t.rows], where)
    tables = _with("setting", number.setting, tables, settings, where)
    tables = _with("corpus", number.corpus, tables, lambda t: t.corpora, where)
    return _with("metric", number.metric, tables, lambda t: t.columns, where)


def _with(
    noun: str,
    name: str,
    tables: list[PrintedTable],
    names: Callable[[PrintedTable], Iterable[str]],
    where: str,
) -> list[PrintedTable]:
    """The tables among whose names is ``name``. Raises :class:`BenchError` if there are none."""
    found = [table for table in tables if name in names(table)]
    if not found:
        raise unknown(noun, name, {one for table in tables for one in names(table)}, where=f"{where}: {noun}")
    return found


def _check_count(lines: int, tables: list[PrintedTable], number: PrintedNumber, where: str) -> None:
    """A cell may have as many lines as its row is printed."""
    row = (number.label, number.setting)
    printed = sum(row == (one.label, one.setting) for table in tables for one in table.rows)
    if lines > printed:
        what = f"{number.metric} of {number.label!r} on {number.corpus} for the {lines}. time"
        remedy = f"{number.table} prints this row {printed} time{'s' * (printed != 1)}: delete a line"
        raise BenchError(what, where=where, remedy=remedy)
