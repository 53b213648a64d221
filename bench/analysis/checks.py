"""What an audit checks in numbers: its small tables, of the printed numbers and of the runs of one setting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from statistics import fmean, stdev

from bench.analysis.grids import Grid, GridCell
from bench.analysis.logged import clipped_steps, deviation_gradients
from bench.analysis.numbers import DASH, fixed, metric_name, significant
from bench.analysis.pairs import MeasuredTerm, Pairing
from bench.analysis.tables import row_name
from bench.catalog.audits import Audit, CheckName
from bench.catalog.catalog import Catalog
from bench.catalog.papers import Paper
from bench.catalog.quantities import Quantity
from bench.catalog.reported import PrintedNumber

MI_ESTIMATORS = ("leave-one-out", "self-included", "aggregate")
PARTS, WHOLE = ("grad_norm_rec", "grad_norm_rec_coupled"), "grad_norm_rec_total"


def value_cell(pairing: Pairing, system: str, quantity: Quantity) -> GridCell:
    """The mean over seeds with their standard deviation, or one seed's value with its interval over texts."""
    found = [
        m
        for run in pairing.runs[system]
        if (m := pairing.find(run, quantity.metric, quantity.estimator, quantity.part)) is not None
    ]
    values = [float(m.value or 0.0) for m in found]
    if not values:
        return GridCell(DASH, None)
    mean = fmean(values)
    if len(values) > 1:
        spread = f"± {significant(stdev(values), 2)} over {len(values)} seeds"
        return GridCell(significant(mean), mean, spread)
    low, high, planned = found[0].low, found[0].high, len(pairing.runs[system])
    interval = "" if low is None else f"[{significant(low)}, {significant(high)}] over texts"
    alone = f"1 of {planned} seeds" if planned > 1 else ""
    return GridCell(significant(mean), mean, ", ".join(filter(None, (interval, alone))))


def _printed_information(catalog: Catalog, paper: Paper) -> Iterator[Grid]:
    """Printed mutual information that exceeds the printed mean KL by more than both can be rounded."""
    kl = {_row(number): number.value for number in reversed(paper.reported) if number.metric == "kl"}
    slack = paper.quantities["mi"].slack + paper.quantities["kl"].slack
    pairs = [(n, kl[_row(n)]) for n in paper.reported if n.metric == "mi" and _row(n) in kl]
    above = [(number, value) for number, value in pairs if number.value - value > slack]
    rows = tuple((_row_name(catalog, number), _mi_cells(number, value, paper)) for number, value in above)
    by_table = Counter(number.table for number, _ in pairs)
    impossible = Counter(number.table for number, _ in above)
    counts = "; ".join(f"{impossible[table]} of {by_table[table]} in {table}" for table in by_table)
    summary = f"Printed mutual information above the printed mean KL, which none can be: {counts}."
    yield Grid("Printed mutual information above the printed KL", ("KL", "MI", "excess"), rows, summary)


def _row(number: PrintedNumber) -> tuple[str, str, str]:
    """The row in which a number is printed, whatever the table."""
    return number.corpus, number.label, number.setting


def _row_name(catalog: Catalog, number: PrintedNumber) -> str:
    label, setting = row_name(number.label, number.setting)
    return ", ".join(filter(None, (label, setting, catalog.corpora[number.corpus].title, number.table)))


def _mi_cells(number: PrintedNumber, kl: float, paper: Paper) -> tuple[GridCell, ...]:
    decimals, excess = paper.quantities["mi"].decimals, number.value - kl
    return (
        GridCell(fixed(kl, paper.quantities["kl"].decimals), kl),
        GridCell(fixed(number.value, decimals), number.value, marked=True),
        GridCell(fixed(excess, decimals, signed=True), excess),
    )


def _measured_information(audit: Audit, pairing: Pairing) -> Iterator[Grid]:
    """Each estimate of each system beside the mean KL of the same texts, marked where it exceeds it."""
    rows, above, total = [], Counter[str](), Counter[str]()
    for system in audit.systems:
        kl = next((e for e in ("analytic", "monte-carlo") if _has(pairing, system, "kl", e)), None)
        if kl is None:
            continue
        cells = [value_cell(pairing, system, Quantity(metric="kl", estimator=kl))]
        for estimator in MI_ESTIMATORS:
            cell = value_cell(pairing, system, Quantity(metric="mi", estimator=estimator))
            excess = pairing.contrast(
                [MeasuredTerm(system, "kl", kl), MeasuredTerm(system, "mi", estimator)]
            ).difference
            if excess is not None:
                total[estimator] += 1
                beyond = excess.low is not None and excess.low > 0
                above[estimator] += beyond
                cell = replace(cell, marked=beyond)
            cells.append(cell)
        rows.append((pairing.title(system), tuple(cells)))
    if rows:
        counts = ", ".join(f"{e} {above[e]} of {total[e]}" for e in MI_ESTIMATORS if total[e])
        summary = f"Estimates above the mean KL beyond their interval: {counts}."
        yield Grid("Mutual information and KL, nats", ("KL", *MI_ESTIMATORS), tuple(rows), summary)


def _has(pairing: Pairing, system: str, metric: str, estimator: str) -> bool:
    return any(pairing.find(run, metric, estimator) for run in pairing.runs.get(system, ()))


def _printed_triangle(catalog: Catalog, paper: Paper) -> Iterator[Grid]:
    """Rows that print the gradients of two losses and of their sum."""
    numbers = {(*_row(n), n.metric): n for n in paper.reported}
    rows, broken = [], 0
    for number in paper.reported:
        parts = [numbers.get((*_row(number), part)) for part in PARTS]
        if number.metric != WHOLE or None in parts:
            continue
        values = [part.value for part in parts if part is not None]
        whole, decimals = number.value, paper.quantities[WHOLE].decimals
        impossible = whole - sum(values) > 3 * paper.quantities[WHOLE].slack
        broken += impossible
        shown = [GridCell(fixed(value, decimals), value) for value in (*values, sum(values), whole)]
        rows.append((_row_name(catalog, number), (*shown[:3], replace(shown[3], marked=impossible))))
    summary = (
        f"In {broken} of {len(rows)} printed rows the gradient of the sum is larger than the sum of the gradients, "
        "which norms cannot be and squared norms can."
    )
    yield Grid("Triangle inequality, printed", _triangle_head(), tuple(rows), summary)


def _triangle_head() -> tuple[str, ...]:
    return (*map(metric_name, PARTS), "sum of both", metric_name(WHOLE))


def _measured_triangle(audit: Audit, pairing: Pairing) -> Iterator[Grid]:
    """The same of our means: norms have to obey it, squares need not, so that those are never marked impossible."""
    estimators = dict.fromkeys(q.estimator for q in audit.values if q.metric == WHOLE)
    rows, broken = [], []
    for system in audit.systems:
        for estimator in estimators:
            found = [
                [
                    m.value
                    for run in pairing.runs.get(system, ())
                    if (m := pairing.find(run, metric, estimator))
                ]
                for metric in (*PARTS, WHOLE)
            ]
            if not all(found):
                continue
            means = [sum(float(v or 0.0) for v in values) / len(values) for values in found]
            beyond = means[2] > means[0] + means[1]
            broken += [str(estimator)] if beyond else []
            values = (*means[:2], means[0] + means[1], means[2])
            shown = [GridCell(significant(value), value) for value in values]
            of_norms = str(estimator).startswith("norm-")
            cells = (*shown[:3], replace(shown[3], marked=beyond and of_norms))
            rows.append((f"{pairing.title(system)}, {estimator}", cells))
    if rows:
        named = ", ".join(dict.fromkeys(broken)) or "none"
        summary = f"Of our means, those above the sum of their parts: {named}."
        yield Grid("Triangle inequality, measured", _triangle_head(), tuple(rows), summary)


def _bold(audit: Audit, pairing: Pairing) -> Iterator[Grid]:
    """Printed numbers in bold type, by what becomes of them under our differences of the same pair.

    What a later table prints of the same pair and quantity is the same number, and counts once.
    """
    rows, total, seen = [], Counter[str](), set[tuple[tuple[str, str], str]]()
    for table in pairing.paper.tables:
        pairs = {name: pair for pair in pairing.catalog.pairs(pairing.setting[2], table) for name in pair}
        systems = {(row.label, row.setting): row.system for row in table.rows if not row.of_corpus}
        numbers = {
            (systems[n.label, n.setting], n.metric): n
            for n in pairing.paper.reported
            if n.table == table.printed and n.corpus == pairing.corpus and (n.label, n.setting) in systems
        }
        bold = [(pairs[s], metric) for (s, metric), n in numbers.items() if n.bold and s in pairs]
        words = Counter(_fate(pairing, *cell, numbers) for cell in bold if cell not in seen)
        seen.update(bold)
        if words:
            rows.append((table.printed, tuple(GridCell(str(words[word]), words[word]) for word in FATES)))
            total.update(words)
    if rows:
        summary = (
            f"Of {total.total() - total['tied']} numbers in bold type that name the better of a pair, "
            f"{total['survive']} survive, {total['contradicted']} are contradicted, "
            f"{total['undecided']} are undecided; {total['not run']} were not run. "
            f"{total['tied']} more are tied in print and name none."
        )
        yield Grid("Numbers in bold type", FATES, tuple(rows), summary)


FATES = ("survive", "contradicted", "undecided", "not run", "tied")


def _fate(
    pairing: Pairing, pair: tuple[str, str], metric: str, numbers: Mapping[tuple[str, str], PrintedNumber]
) -> str:
    """What becomes of the better of a printed pair."""
    sides = [numbers.get((system, metric)) for system in pair]
    baseline, twin = (side.value if side else 0.0 for side in sides)
    if None in sides or baseline == twin:
        return "tied"
    quantity = pairing.paper.quantities[metric]
    found = pairing.contrast(
        [MeasuredTerm(system, quantity.metric, quantity.estimator) for system in pair]
    ).difference
    if found is None:
        return "not run"
    if found.seeds < 2 or not found.excludes_zero:
        return "undecided"
    return "survive" if (found.mean > 0) == (twin > baseline) else "contradicted"


def _nothing(catalog: Catalog, paper: Paper) -> Iterable[Grid]:
    return ()


# What each check finds in the printed numbers, and in the runs of one setting.
PRINTED: dict[CheckName, Callable[[Catalog, Paper], Iterable[Grid]]] = {
    "information-above-kl": _printed_information,
    "triangle-inequality": _printed_triangle,
    "bold-cells": _nothing,
    "clipped-steps": _nothing,
    "deviation-gradients": _nothing,
}
MEASURED: dict[CheckName, Callable[[Audit, Pairing], Iterable[Grid]]] = {
    "information-above-kl": _measured_information,
    "triangle-inequality": _measured_triangle,
    "bold-cells": _bold,
    "clipped-steps": clipped_steps,
    "deviation-gradients": deviation_gradients,
}
