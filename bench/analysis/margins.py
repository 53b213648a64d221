"""How far our number may lie from a printed one and count as the same: what the paper itself calls a difference."""

from __future__ import annotations

import statistics

from bench.analysis.verdict import Margin
from bench.catalog.catalog import Catalog
from bench.catalog.tables import PrintedTable


def margin_of(catalog: Catalog, paper: str, table: PrintedTable, corpus: str, metric: str) -> Margin | None:
    """The margin of one column of a printed table, in the unit of the print; None where the column compares no pair.

    It is what the quantity declares, or else the median difference that the column prints between the systems of a
    pair: a number that lies nearer than that cannot be mistaken for what the paper calls an improvement. A third of
    the smallest difference, which would be stricter, is below the rounding of the print in a third of all columns,
    and no number of seeds could reach it.
    """
    quantity = catalog.paper(paper).quantity(table, metric)
    if quantity is not None and quantity.margin is not None:
        return Margin(quantity.margin, "declared by the paper's entry in the catalog")
    printed = {
        (number.label, number.setting): number.value
        for number in reversed(catalog.paper(paper).reported)
        if (number.table, number.corpus, number.metric) == (table.printed, corpus, metric)
    }
    values = {
        row.system: printed[row.label, row.setting]
        for row in reversed(table.rows)
        if (row.label, row.setting) in printed and not row.of_corpus
    }
    pairs = [pair for pair in catalog.pairs(paper, table) if set(pair) <= values.keys()]
    differences = [abs(values[b] - values[a]) for a, b in pairs if values[a] != values[b]]
    if not differences:
        return None
    count = f"{len(differences)} pairs that differ" if len(differences) > 1 else "only pair"
    return Margin(
        statistics.median(differences), f"the median difference of the {count} in this column of the print"
    )
