"""From the comparison to what the templates show: tables of cells, legends, links."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Any

import pandas

from bench.analysis import findings
from bench.analysis.compare import EXCESS, by_cell, printed_counts
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
    "undecided, close": ("≈", "close"),
    "undecided, far": ("≉", "far"),
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
    """One system: its label, the note that says why it was not run if all its cells agree, and its cells."""

    label: str
    setting: str
    system: str
    reason: str
    mark: str
    cells: list[list[dict[str, Any]]]


@dataclass(frozen=True)
class TableView:
    """A table ready for its template."""

    id: str
    heading: str
    corpora: list[str]
    metrics: list[str]
    columns: list[Column]
    rows: list[TableRow]
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
    frame: pandas.DataFrame,
    csv: str,
    exact: Mapping[str, Any] | None = None,
    *,
    printed: bool,
) -> TableView:
    """The rows of ``frame`` that belong to ``table``; ``exact`` holds the known values of a corpus."""
    cells = by_cell(frame[frame["table"] == table.id])
    if not printed:
        cells = [c for c in cells if c[0]["metric"] != EXCESS or exact]
    columns = {(c[0]["corpus"], c[0]["metric"]): _column(paper, table, c[0]) for c in cells}
    for sources in cells:
        if sources[0]["unit"] and not columns[sources[0]["corpus"], sources[0]["metric"]].unit:
            columns[sources[0]["corpus"], sources[0]["metric"]] = _column(paper, table, sources[0])
    rows: dict[int, list[list[dict[str, Any]]]] = {}
    for sources in cells:
        rows.setdefault(sources[0]["row"], []).append(sources)
    shared = {position: _shared_reason(sources) for position, sources in rows.items()}
    marks = dict(zip(dict.fromkeys(filter(None, shared.values())), ascii_lowercase, strict=False))
    return TableView(
        id=table.id,
        heading=f"{table.printed}. {table.title}",
        corpora=list(dict.fromkeys(corpus for corpus, _ in columns)),
        metrics=list(dict.fromkeys(metric for _, metric in columns)),
        columns=list(columns.values()),
        rows=[_row(sources, shared[position], marks) for position, sources in rows.items()],
        notes={mark: reason for reason, mark in marks.items()},
        counts=printed_counts(cells),
        reference=_reference(exact or {}),
        csv=csv,
        printed=printed,
    )


def _column(paper: Paper, table: PrintedTable, cell: dict[str, Any]) -> Column:
    metric = cell["metric"]
    quantity = paper.quantity(table, metric)
    better = quantity.better if quantity else "lower"
    unit = "" if cell["unit"] == "none" else cell["unit"].removesuffix(" per text")
    return Column(cell["corpus"], metric, metric_name(metric), ARROWS[better], unit)


def _shared_reason(cells: list[list[dict[str, Any]]]) -> str:
    """Why a row was not run, if that holds for all its printed cells."""
    reasons = {sources[0]["reason"] for sources in cells if sources[0]["reported"] is not None}
    idle = all(source["verdict"] == "not run" for sources in cells for source in sources)
    return str(reasons.pop()) if idle and len(reasons) == 1 else ""


def _row(cells: list[list[dict[str, Any]]], reason: str, marks: Mapping[str, str]) -> TableRow:
    first = cells[0][0]
    label, setting = row_name(first["label"], first["setting"])
    return TableRow(label, setting, first["system"], reason, marks.get(reason, ""), cells)


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
