"""``bench show table``: a table of a paper, ours beside the print.

In colour on a terminal; lines with tabs in a pipe.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from bench.analysis.compare import Cell, measured_elsewhere
from bench.analysis.numbers import fixed
from bench.analysis.tables import SIGNS, TableView, table_view
from bench.base.errors import BenchError, unknown
from bench.catalog.catalog import Catalog
from bench.catalog.tables import PrintedTable
from bench.cli.console import VERDICT_STYLES, Row, print_grid, print_line
from bench.cli.results import load
from bench.report.context import Material


def show_table(console: Console, catalog: Catalog, results: Path, name: str, corpus: str | None) -> None:
    """Print the table ``PAPER/TABLE``, a block for each corpus: ours, the printed number and the verdict.

    Raises :class:`BenchError` for unknown names.
    """
    paper, table = find_table(catalog, name)
    material = load(catalog, results, [paper])
    views = dict(_views(material, paper, table))
    if corpus is not None and corpus not in views:
        raise unknown("corpus", corpus, views, where=f"{paper}/{table.id} and what was measured of it")
    for number, (shown, view) in enumerate(views.items()):
        if corpus is None or shown == corpus:
            if number and corpus is None:
                print_line(console, "")
            _print_view(console, material, shown, view)


def find_table(catalog: Catalog, name: str) -> tuple[str, PrintedTable]:
    """Paper and table of ``PAPER/TABLE``; a number alone stands for ``table<number>``."""
    paper, slash, key = name.partition("/")
    tables = {table.id: table for table in catalog.paper(paper).tables}
    if not slash:
        raise BenchError(f"{name!r} does not name a table", allowed=[f"{paper}/{table}" for table in tables])
    found = tables.get(key) or tables.get(f"table{key}")
    if found is None:
        raise unknown("table", key, tables, where=f"paper {paper}")
    return paper, found


def _views(material: Material, paper: str, table: PrintedTable) -> Iterator[tuple[str, TableView]]:
    """The table on each corpus that it prints, then on each other that has runs of its systems."""
    declared = material.catalog.paper(paper)
    for corpus in table.corpora:
        cells = [cell for cell in material.comparisons[paper] if cell.corpus == corpus]
        yield corpus, table_view(declared, table, cells, "", printed=True)
    sources: dict[str, list[tuple[Any, str]]] = {}
    for origin, tier, of, corpus in material.settings:
        if of == paper and corpus not in table.corpora:
            sources.setdefault(corpus, []).append((origin, tier))
    for corpus, found in sources.items():
        cells = [
            cell
            for source in found
            for cell in measured_elsewhere(material.catalog, material.records, paper, corpus, source)
        ]
        record = material.records.corpus(paper, corpus)
        exact = record.summary.get("exact") if record else None
        if any(cell.measured is not None for cell in cells if cell.table == table.id):
            yield corpus, table_view(declared, table, cells, "", exact, printed=False)


def _print_view(console: Console, material: Material, corpus: str, view: TableView) -> None:
    """One row for each printed row and source of runs: in a terminal, a cell holds its numbers on lines."""
    names = [" ".join(filter(None, (f"{c.name}{c.arrow}", c.unit))) for c in view.columns]
    rows: list[Row] = []
    for row in view.rows:
        label = " ".join(filter(None, (row.label, row.setting)))
        cells = {(s.metric, s.origin, s.tier): s for sources in row.cells for s in sources}
        for origin, tier in dict.fromkeys((origin, tier) for _, origin, tier in cells):
            of_source = [(cells.get((c.metric, origin, tier)), c.decimals) for c in view.columns]
            source = f"{origin} {tier}" if tier else ""
            if console.is_terminal:
                stacked = (Text("\n").join(_numbers(*one)) for one in of_source)
                rows.append((Text(f"{label}\n").append(source, "dim"), *stacked))
            else:
                rows.append((corpus, label, source, *(part for one in of_source for part in _numbers(*one))))
    if console.is_terminal:
        title = f"{view.heading}: {material.corpus_title(corpus)}"
        console.print(Text(title, "bold"), highlight=False)
        console.print(Text("ours, the printed number, the verdict", "dim"), highlight=False)
        print_grid(console, rows, ("", *names), numbers=range(1, len(names) + 1), gap=1)
    else:
        header = [part for name in names for part in (name, f"{name} printed", f"{name} verdict")]
        print_grid(console, rows, ("corpus", "row", "runs", *header))


def _numbers(cell: Cell | None, decimals: int) -> tuple[Text, Text, Text]:
    """Ours, the printed number and the verdict of one cell; nothing where this source has no such cell."""
    if cell is None:
        return Text(), Text(), Text()
    sign, css = SIGNS[cell.verdict]
    return (
        Text(fixed(cell.measured, decimals), "bold"),
        Text(fixed(cell.reported, cell.decimals)),
        Text(f"{sign} {cell.verdict}", VERDICT_STYLES[css]),
    )
