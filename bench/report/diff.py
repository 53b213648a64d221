"""Two reports side by side: which numbers moved beyond noise, and which verdicts flipped.

Everything comes from the data files that each report exports, so that an old report needs neither its results folder
nor the code that made it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.analysis.statistics import prediction_interval
from bench.base.errors import BenchError
from bench.report.data import CELLS, MEASUREMENTS, read_data

GROUP = ("origin", "tier", "paper", "corpus", "system", "metric", "estimator")
CELL = ("paper", "table", "row", "label", "setting", "corpus", "metric", "origin", "tier")
Rows = list[dict[str, Any]]  # of a data file, as mappings from the names of its columns
FLOOR, SEEDS, TEXTS, NONE = (
    "difference of repeated runs",
    "spread over seeds",
    "interval over texts",
    "no interval",
)


@dataclass(frozen=True)
class QuantityMean:
    """One quantity of one system in one report: the mean over its seeds, and how far it moves by chance."""

    value: float
    noise: float | None
    kind: str
    seeds: int


@dataclass(frozen=True)
class Move:
    """A number that both reports hold, and that differs."""

    group: tuple[str, ...]
    before: QuantityMean
    after: QuantityMean

    @property
    def change(self) -> float:
        """After minus before."""
        return self.after.value - self.before.value

    @property
    def noise(self) -> tuple[float | None, str]:
        """What the change is held against: the larger of the two reports', floors before intervals."""
        for kind in (FLOOR, SEEDS, TEXTS):
            found = [q.noise for q in (self.before, self.after) if q.kind == kind and q.noise is not None]
            if found:
                return max(found), kind
        return None, NONE

    @property
    def beyond(self) -> bool:
        """Whether it moved beyond noise; without anything known of the noise, any change does."""
        size, _ = self.noise
        return abs(self.change) > (size or 0.0)


@dataclass(frozen=True)
class Flip:
    """A cell whose verdict is another one now."""

    cell: tuple[Any, ...]
    before: str
    after: str
    reason: str


@dataclass(frozen=True)
class ReportDiff:
    """What two reports tell of each other."""

    moves: tuple[Move, ...]
    flips: tuple[Flip, ...]
    shared: int
    gone: tuple[tuple[str, ...], ...]
    new: tuple[tuple[str, ...], ...]


def compare_reports(before: Path, after: Path) -> ReportDiff:
    """The second report against the first. Raises :class:`BenchError` where one exports no data."""
    old, new = _quantities(_read(before, MEASUREMENTS)), _quantities(_read(after, MEASUREMENTS))
    moves = tuple(
        Move(group, old[group], new[group])
        for group in old
        if group in new and not math.isclose(old[group].value, new[group].value, rel_tol=1e-12, abs_tol=1e-12)
    )
    return ReportDiff(
        moves,
        tuple(_flips(_read(before, CELLS), _read(after, CELLS))),
        len(old.keys() & new.keys()),
        tuple(group for group in old if group not in new),
        tuple(group for group in new if group not in old),
    )


def _read(report: Path, file: Path) -> Rows:
    folder = report.parent if report.name == "index.html" else report
    if not folder.is_dir():
        raise BenchError("there is no such report", where=folder, remedy="name the folder of a report")
    if not (folder / file).is_file():
        raise BenchError(
            "this report exports no data",
            where=folder / file,
            remedy="name a report folder, or build it again",
        )
    try:
        return read_data(folder, file)
    except (OSError, ValueError) as error:  # pyarrow's errors are ValueErrors and OSErrors
        raise BenchError(
            f"damaged data file: {str(error).splitlines()[0]}",
            where=folder / file,
            remedy="build the report again",
        ) from error


def _quantities(rows: Rows) -> dict[tuple[str, ...], QuantityMean]:
    groups: dict[tuple[str, ...], Rows] = {}
    for row in rows:
        if row["value"] is not None:
            groups.setdefault(tuple(row[key] for key in GROUP), []).append(row)
    return {group: _quantity(found) for group, found in groups.items()}


def _quantity(rows: Rows) -> QuantityMean:
    values = [row["value"] for row in rows]
    mean = sum(values) / len(values)
    floors = [row["noise"] for row in rows if row["noise"] is not None]
    if floors:
        return QuantityMean(mean, max(floors), FLOOR, len(values))
    if len(values) > 1:
        low, high = prediction_interval(values)
        return QuantityMean(mean, (high - low) / 2, SEEDS, len(values))
    low, high = rows[0]["low"], rows[0]["high"]
    if low is None or high is None:
        return QuantityMean(mean, None, NONE, 1)
    return QuantityMean(mean, (high - low) / 2, TEXTS, 1)


def _flips(before: Rows, after: Rows) -> Iterator[Flip]:
    old, new = _verdicts(before), _verdicts(after)
    for cell, row in new.items():
        if cell in old and old[cell]["verdict"] != row["verdict"]:
            yield Flip(cell, old[cell]["verdict"], row["verdict"], row["reason"])
    # A run that was made since, or is gone, changes the tier of its cell: told by the cell without the tier.
    lost, found = _by_place(old, new), _by_place(new, old)
    for place in lost.keys() & found.keys():
        if lost[place]["verdict"] != found[place]["verdict"]:
            cell = tuple(found[place][key] for key in CELL)
            yield Flip(cell, lost[place]["verdict"], found[place]["verdict"], found[place]["reason"])


def _verdicts(rows: Rows) -> dict[tuple[Any, ...], dict[str, Any]]:
    return {tuple(row[key] for key in CELL): row for row in rows if row["reported"] is not None}


def _by_place(
    cells: Mapping[tuple[Any, ...], dict[str, Any]], other: Mapping[tuple[Any, ...], dict[str, Any]]
) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Cells of one report that the other lacks, by place; where a place has several, the last."""
    return {cell[:-2]: row for cell, row in cells.items() if cell not in other}
