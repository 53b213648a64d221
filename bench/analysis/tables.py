"""From the comparison to what the templates show: tables of cells, legends, links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Any

from bench.analysis import findings
from bench.analysis.cells import by_cell, printed_counts
from bench.analysis.compare import EXCESS, Cell
from bench.analysis.numbers import metric_name
from bench.analysis.verdict import MEANINGS, Word
from bench.catalog.papers import Paper
from bench.catalog.tables import PrintedTable

# A sign for each verdict, so that colour is never the only one; and the class that colours it.
SIGNS: dict[Word, tuple[str, str]] = {
    "reproduced": ("✓", "reproduced"),
    "better": ("▲", "better"),
    "worse": ("▼", "worse"),
    "different": ("≠", "different"),
    "undecided": ("?", "undecided"),
    "not comparable": ("∥", "incomparable"),
    "failed": ("✕", "failed"),
    "not measured": ("∅", "unmeasured"),
    "not run": ("○", "notrun"),
    "not printed": ("·", "notprinted"),
}
CLAIM_SIGNS: dict[findings.Word, tuple[str, str]] = {
    "holds": ("✓", "reproduced"),
    "does not hold": ("✕", "worse"),
    "undecided": ("?", "undecided"),
    "not run": ("○", "notrun"),
}
ARROWS = {"lower": "↓", "higher": "↑", None: ""}


@dataclass(frozen=True)
class Column:
    """One quantity on one corpus."""

    corpus: str
    metric: str
    name: str
    arrow: str
    unit: str


@dataclass(frozen=True)
class TableRow:
    """One system: its label, the note that says why it was not run if all its cells agree, and its cells by source."""

    label: str
    setting: str
    system: str
    reason: str
    mark: str
    cells: list[list[Cell]]


@dataclass(frozen=True)
class TableView:
    """A table ready for its template; ``cells`` are all of the table, those that ``rows`` leave out too."""

    id: str
    heading: str
    corpora: list[str]
    metrics: list[str]
    columns: list[Column]
    rows: list[TableRow]
    cells: list[Cell]
    notes: dict[str, str]
    counts: dict[Word, int]
    reference: dict[str, float]
    csv: str
    printed: bool


def legend() -> list[dict[str, str]]:
    """Sign, class and meaning of every verdict."""
    return [
        {"word": word, "sign": SIGNS[word][0], "css": SIGNS[word][1], "meaning": meaning}
        for word, meaning in MEANINGS.items()
    ]


def table_view(
    paper: Paper,
    table: PrintedTable,
    cells: Sequence[Cell],
    csv: str,
    exact: Mapping[str, Any] | None = None,
    *,
    printed: bool,
) -> TableView:
    """Those of ``cells`` that belong to ``table``; ``exact`` holds the known values of a corpus."""
    of_table = [cell for cell in cells if cell.table == table.id]
    shown = by_cell(of_table)
    if not printed:
        shown = [sources for sources in shown if sources[0].metric != EXCESS or exact]
    columns = _columns(paper, table, [sources[0] for sources in shown])
    rows: dict[int, list[list[Cell]]] = {}
    for sources in shown:
        rows.setdefault(sources[0].row, []).append(sources)
    shared = {position: _shared_reason(sources) for position, sources in rows.items()}
    marks = dict(zip(dict.fromkeys(filter(None, shared.values())), ascii_lowercase, strict=False))
    return TableView(
        id=table.id,
        heading=f"{table.printed}. {table.title}",
        corpora=list(dict.fromkeys(column.corpus for column in columns)),
        metrics=list(dict.fromkeys(column.metric for column in columns)),
        columns=columns,
        rows=[_row(sources, shared[position], marks) for position, sources in rows.items()],
        cells=of_table,
        notes={mark: reason for reason, mark in marks.items()},
        counts=printed_counts(shown),
        reference=_reference(exact or {}),
        csv=csv,
        printed=printed,
    )


def _columns(paper: Paper, table: PrintedTable, cells: Sequence[Cell]) -> list[Column]:
    """The columns of the cells; the unit is that of the first cell that has one."""
    found: dict[tuple[str, str], Column] = {}
    for cell in cells:
        key = cell.corpus, cell.metric
        if key not in found or (cell.unit and not found[key].unit):
            found[key] = _column(paper, table, cell)
    return list(found.values())


def _column(paper: Paper, table: PrintedTable, cell: Cell) -> Column:
    quantity = paper.quantity(table, cell.metric)
    better = quantity.better if quantity else "lower"
    unit = "" if cell.unit == "none" else cell.unit.removesuffix(" per text")
    return Column(cell.corpus, cell.metric, metric_name(cell.metric), ARROWS[better], unit)


def _shared_reason(cells: list[list[Cell]]) -> str:
    """Why a row was not run, if that holds for all its printed cells."""
    reasons = {sources[0].reason for sources in cells if sources[0].reported is not None}
    idle = all(source.verdict == "not run" for sources in cells for source in sources)
    return reasons.pop() if idle and len(reasons) == 1 else ""


def _row(cells: list[list[Cell]], reason: str, marks: Mapping[str, str]) -> TableRow:
    first = cells[0][0]
    label, setting = row_name(first.label, first.setting)
    return TableRow(label, setting, first.system, reason, marks.get(reason, ""), cells)


def row_name(label: str, setting: str) -> tuple[str, str]:
    """Label and setting of a printed row in symbols; the setting is empty where the label tells it."""
    label, setting = _symbols(label), _symbols(setting)
    told = all(part.split("=")[-1] in label for part in setting.split(", "))
    return label, "" if told else setting


def _symbols(text: str) -> str:
    """Greek letters for their names, commas for semicolons."""
    return text.replace("lambda_", "λ").replace("beta", "β").replace("dist=", "").replace(";", ", ")


def _reference(exact: Mapping[str, Any]) -> dict[str, float]:
    """The best that any model can reach on a generated corpus, by column."""
    if not exact:
        return {}
    return {"nll": exact["entropy"], "ppl": exact["perplexity"], EXCESS: 0.0}
