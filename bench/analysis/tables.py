"""From the comparison to what the templates show: tables of cells, legends, links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from string import ascii_lowercase
from typing import Any

from bench.analysis import findings
from bench.analysis.cells import by_cell, printed_counts
from bench.analysis.compare import EXCESS, Cell
from bench.analysis.numbers import decimals_of, metric_name
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
    """One quantity on one corpus; all of our numbers in it are shown with the same ``decimals``."""

    corpus: str
    metric: str
    name: str
    arrow: str
    unit: str
    decimals: int


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

    @property
    def parts(self) -> list[TableView]:
        """The corpora of which there are runs, then those of which there are none; no part is empty."""
        idle = {corpus for corpus in self.corpora if not any(map(_ran, self._of([corpus])))}
        groups = ([c for c in self.corpora if c not in idle], [c for c in self.corpora if c in idle])
        return [self._part(group) for group in groups if group]

    @property
    def idle(self) -> bool:
        """Whether there are no runs of any of its cells."""
        return not any(map(_ran, self._of(self.corpora)))

    @property
    def incomparable(self) -> list[str]:
        """Why numbers of it have no verdict, each reason once."""
        shown = self._of(self.corpora)
        return list(dict.fromkeys(cell.reason for cell in shown if cell.verdict == "not comparable"))

    def _of(self, corpora: Sequence[str]) -> list[Cell]:
        cells = [cell for row in self.rows for sources in row.cells for cell in sources]
        return [cell for cell in cells if cell.corpus in corpora]

    def _part(self, corpora: list[str]) -> TableView:
        columns = [column for column in self.columns if column.corpus in corpora]
        rows = [
            replace(row, cells=[sources for sources in row.cells if sources[0].corpus in corpora])
            for row in self.rows
        ]
        return replace(self, corpora=corpora, columns=columns, rows=rows)


def _ran(cell: Cell) -> bool:
    return cell.measured is not None or cell.verdict == "failed"


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
    found: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        found.setdefault((cell.corpus, cell.metric), []).append(cell)
    return [_column(paper, table, of_column) for of_column in found.values()]


def _column(paper: Paper, table: PrintedTable, cells: Sequence[Cell]) -> Column:
    cell = next((cell for cell in cells if cell.unit), cells[0])
    decimals = decimals_of((one.measured for one in cells), max(one.decimals for one in cells))
    quantity = paper.quantity(table, cell.metric)
    better = quantity.better if quantity else "lower"
    unit = "" if cell.unit == "none" else cell.unit.removesuffix(" per text")
    if unit == "count" and all(float(one.measured or 0).is_integer() for one in cells):
        decimals = 0
    return Column(cell.corpus, cell.metric, metric_name(cell.metric), ARROWS[better], unit, decimals)


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
