"""Audits of a paper: what was run for each question, what it shows, in sentences made from the numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bench.declarations import Audit, Catalog, CheckName, Comparison, Paper, Quantity, Reported
from bench.report.numbers import DASH, MINUS, effect, fixed, metric_name, significant
from bench.report.pairs import Contrast, Pairing, Setting, Term, of_differences
from bench.report.statistics import Difference
from bench.report.tables import row_name
from bench.report.verdict import half_unit

MI_ESTIMATORS = ("leave-one-out", "self-included", "aggregate")
PARTS, WHOLE = ("grad_norm_rec", "grad_norm_rec_coupled"), "grad_norm_rec_total"


@dataclass(frozen=True)
class Cell:
    """A number, how it is shown, its interval, and whether it is impossible."""

    text: str
    number: float | None
    interval: str = ""
    marked: bool = False


@dataclass(frozen=True)
class Grid:
    """A small table: a caption, the head, rows of a label and cells, and what it comes to in one sentence."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    summary: str = ""


@dataclass(frozen=True)
class Line:
    """One comparison, or contrast of two, in one metric."""

    label: str
    what: str
    quantity: Quantity
    contrast: Contrast
    share: float | None = None

    @property
    def effect(self) -> str:
        """The difference with its interval, as a reader wants it."""
        d = self.contrast.difference
        return effect(d.mean, d.low, d.high, self.contrast.unit) if d else ""

    @property
    def sentence(self) -> str:
        """What was found: effect, interval, what it means; empty if the difference is not known."""
        d = self.contrast.difference
        if d is None:
            return ""
        text = f"{self.label}: {self.what} is {self.effect} in {metric_name(self.quantity.metric)}; {meaning(d)}."
        return (
            text
            if self.share is None
            else f"{text} The second is {fixed(100 * self.share, 0)} % of the first."
        )


@dataclass(frozen=True)
class Ran:
    """One system of an audit in one setting: its seeds and steps, or why there are none."""

    system: str
    seeds: tuple[int, ...]
    steps: tuple[int, ...]
    reason: str


@dataclass(frozen=True)
class Group:
    """What the runs of one (origin, tier, paper, corpus) show."""

    setting: Setting
    ran: tuple[Ran, ...]
    grids: tuple[Grid, ...]
    lines: tuple[Line, ...]
    files: tuple[Path, ...]

    @property
    def summaries(self) -> list[str]:
        """One sentence for each table that comes to one."""
        return [grid.summary for grid in self.grids if grid.summary]

    @property
    def sentences(self) -> list[str]:
        """One sentence for each comparison that is known, in its first metric."""
        first = {line.label: line.sentence for line in reversed(self.lines)}
        return [first[label] for label in dict.fromkeys(line.label for line in self.lines) if first[label]]


@dataclass(frozen=True)
class Audited:
    """An audit with all that is known of it; the most expensive tier first."""

    key: str
    audit: Audit
    printed: tuple[Grid, ...]
    groups: tuple[Group, ...]
    missing: tuple[str, ...]

    @property
    def finding(self) -> str:
        """Its shortest answer: from the printed numbers, and from the most expensive runs."""
        contrasts = [contrast.label for contrast in self.audit.contrasts]
        top = self.groups[0] if self.groups else None
        ours = top.summaries + top.sentences if top else []
        last = [line.sentence for line in top.lines if line.label in contrasts] if top else []
        found = [grid.summary for grid in self.printed] + (list(filter(None, last)) or ours)[:1]
        if self.missing:
            found.append(f"{len(self.missing)} of {len(self.audit.systems)} systems not run.")
        return " ".join(found) or "Nothing that it asks for was measured."


def meaning(found: Difference) -> str:
    """What a difference with its interval says about the systems."""
    if found.seeds < 2:
        if found.low is None:
            return "one seed, and no value for each text: undecided"
        if found.excludes_zero:
            return "these two runs differ, but one seed cannot tell whether the systems do"
        return "not even these two runs differ by more than their texts vary"
    return (
        f"a difference beyond texts and {found.seeds} seeds"
        if found.excludes_zero
        else "the interval contains zero: undecided"
    )


def audited(catalog: Catalog, paper: str, pairings: Mapping[Setting, Pairing]) -> list[Audited]:
    """Every audit of a paper, on all settings that hold a run of its systems."""
    declared = catalog.paper(paper)
    found = []
    for key, audit in declared.audits.items():
        groups = [_group(audit, pairing) for pairing in pairings.values() if _speaks(audit, pairing)]
        printed = [grid for check in audit.checks for grid in PRINTED[check](catalog, declared)]
        missing = [s for s in audit.systems if not any(s in pairing.runs for pairing in pairings.values())]
        found.append(Audited(key, audit, tuple(printed), tuple(groups), tuple(missing)))
    return found


def _speaks(audit: Audit, pairing: Pairing) -> bool:
    return any(system in pairing.runs for system in audit.systems)


def _group(audit: Audit, pairing: Pairing) -> Group:
    grids = [_values(audit, pairing)] if audit.values else []
    grids += [grid for check in audit.checks for grid in MEASURED[check](audit, pairing)]
    runs = [run for system in audit.systems for run in pairing.runs.get(system, ())]
    return Group(
        setting=pairing.setting,
        ran=tuple(_ran(pairing, system) for system in audit.systems),
        grids=tuple(grids),
        lines=tuple(_lines(audit, pairing)),
        files=tuple(run.folder / "measurements.json" for run in runs),
    )


def _ran(pairing: Pairing, system: str) -> Ran:
    runs = pairing.runs.get(system, ())
    steps = tuple(dict.fromkeys(int(run.run["steps"]) for run in runs if run.run.get("steps") is not None))
    return Ran(system, tuple(run.seed for run in runs), steps, "" if runs else pairing.why_not(system))


def _values(audit: Audit, pairing: Pairing) -> Grid:
    """Systems against quantities; what there is more of goes down the table."""
    systems = [system for system in audit.systems if system in pairing.runs]
    names = [_quantity_name(quantity) for quantity in audit.values]
    cells = [[_cell(pairing, system, quantity) for quantity in audit.values] for system in systems]
    titles = [pairing.title(system) for system in systems]
    if len(names) > len(systems):
        cells, names, titles = [list(column) for column in zip(*cells, strict=True)], titles, names
    rows = tuple((title, tuple(row)) for title, row in zip(titles, cells, strict=True))
    return Grid("Values, by system", tuple(names), rows)


def _quantity_name(quantity: Quantity) -> str:
    name = metric_name(quantity.metric)
    return f"{name}, {quantity.estimator}" if quantity.estimator else name


def _cell(pairing: Pairing, system: str, quantity: Quantity) -> Cell:
    """The mean over seeds with their standard deviation, or one seed's value with its interval over texts."""
    found = [
        m
        for run in pairing.runs[system]
        if (m := pairing.find(run, quantity.metric, quantity.estimator)) is not None
    ]
    values = [float(m.value or 0.0) for m in found]
    if not values:
        return Cell(DASH, None)
    mean = sum(values) / len(values)
    if len(values) > 1:
        spread = (sum((value - mean) ** 2 for value in values) / (len(values) - 1)) ** 0.5
        return Cell(significant(mean), mean, f"± {significant(spread, 2)} over {len(values)} seeds")
    low, high = found[0].low, found[0].high
    interval = "" if low is None else f"[{significant(low)}, {significant(high)}]"
    return Cell(significant(mean), mean, interval)


def _lines(audit: Audit, pairing: Pairing) -> Iterator[Line]:
    asked = {c.label: c for c in audit.comparisons if c.corpora is None or pairing.corpus in c.corpora}
    for label, comparison in asked.items():
        what = f"{pairing.title(comparison.other)} {MINUS} {pairing.title(comparison.baseline)}"
        for quantity in comparison.metrics:
            yield Line(label, what, quantity, pairing.contrast(_terms(comparison, quantity)))
    for contrast in audit.contrasts:
        if contrast.first in asked and contrast.second in asked:
            first, second = asked[contrast.first], asked[contrast.second]
            what = f"({contrast.first}) {MINUS} ({contrast.second})"
            for quantity in first.metrics:
                terms = [*_terms(first, quantity), *_terms(second, quantity)]
                share = _share(*(pairing.contrast(_terms(side, quantity)) for side in (first, second)))
                yield Line(contrast.label, what, quantity, pairing.contrast(terms, of_differences), share)


def _terms(comparison: Comparison, quantity: Quantity) -> list[Term]:
    return [Term(s, quantity.metric, quantity.estimator) for s in (comparison.baseline, comparison.other)]


def _share(first: Contrast, second: Contrast) -> float | None:
    """The second effect as a share of the first, where the first is not zero by its own interval."""
    a, b = first.difference, second.difference
    return b.mean / a.mean if a is not None and b is not None and a.excludes_zero else None


def _printed_information(catalog: Catalog, paper: Paper) -> Iterator[Grid]:
    """Printed mutual information that exceeds the printed mean KL by more than both can be rounded."""
    kl = {_row(number): number.value for number in reversed(paper.reported) if number.metric == "kl"}
    slack = half_unit(paper.measures["mi"].decimals) + half_unit(paper.measures["kl"].decimals)
    pairs = [(n, kl[_row(n)]) for n in paper.reported if n.metric == "mi" and _row(n) in kl]
    above = [(number, value) for number, value in pairs if number.value - value > slack]
    rows = tuple((_row_name(catalog, number), _mi_cells(number, value, paper)) for number, value in above)
    by_table = Counter(number.table for number, _ in pairs)
    impossible = Counter(number.table for number, _ in above)
    counts = "; ".join(f"{impossible[table]} of {by_table[table]} in {table}" for table in by_table)
    summary = f"Printed mutual information above the printed mean KL, which none can be: {counts}."
    yield Grid("Printed mutual information above the printed KL", ("KL", "MI", "excess"), rows, summary)


def _row(number: Reported) -> tuple[str, str, str]:
    """The row in which a number is printed, whatever the table."""
    return number.corpus, number.label, number.setting


def _row_name(catalog: Catalog, number: Reported) -> str:
    label, setting = row_name(number.label, number.setting)
    return ", ".join(filter(None, (label, setting, catalog.corpora[number.corpus].title, number.table)))


def _mi_cells(number: Reported, kl: float, paper: Paper) -> tuple[Cell, ...]:
    decimals, excess = paper.measures["mi"].decimals, number.value - kl
    return (
        Cell(fixed(kl, paper.measures["kl"].decimals), kl),
        Cell(fixed(number.value, decimals), number.value, marked=True),
        Cell(fixed(excess, decimals, signed=True), excess),
    )


def _measured_information(audit: Audit, pairing: Pairing) -> Iterator[Grid]:
    """Each estimate of each system beside the mean KL of the same texts, marked where it exceeds it."""
    rows, above, total = [], Counter[str](), Counter[str]()
    for system in audit.systems:
        kl = next((e for e in ("analytic", "monte-carlo") if _has(pairing, system, "kl", e)), None)
        if kl is None:
            continue
        cells = [_cell(pairing, system, Quantity(metric="kl", estimator=kl))]
        for estimator in MI_ESTIMATORS:
            cell = _cell(pairing, system, Quantity(metric="mi", estimator=estimator))
            excess = pairing.contrast([Term(system, "kl", kl), Term(system, "mi", estimator)]).difference
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
        whole, decimals = number.value, paper.measures[WHOLE].decimals
        impossible = whole - sum(values) > 3 * half_unit(decimals)
        broken += impossible
        shown = [Cell(fixed(value, decimals), value) for value in (*values, sum(values), whole)]
        rows.append((_row_name(catalog, number), (*shown[:3], replace(shown[3], marked=impossible))))
    summary = (
        f"In {broken} of {len(rows)} printed rows the gradient of the sum is larger than the sum of the gradients, "
        "which norms cannot be and squared norms can."
    )
    yield Grid("Triangle inequality, printed", _triangle_head(), tuple(rows), summary)


def _triangle_head() -> tuple[str, ...]:
    return (*map(metric_name, PARTS), "sum of both", metric_name(WHOLE))


def _measured_triangle(audit: Audit, pairing: Pairing) -> Iterator[Grid]:
    """The same of our means: norms have to obey it, squares need not."""
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
            shown = [Cell(significant(value), value) for value in values]
            cells = (*shown[:3], replace(shown[3], marked=beyond))
            rows.append((f"{pairing.title(system)}, {estimator}", cells))
    if rows:
        named = ", ".join(dict.fromkeys(broken)) or "none"
        summary = f"Of our means, those above the sum of their parts: {named}."
        yield Grid("Triangle inequality, measured", _triangle_head(), tuple(rows), summary)


def _bold(audit: Audit, pairing: Pairing) -> Iterator[Grid]:
    """Printed numbers in bold type, by what becomes of them under our differences of the same pair."""
    rows, total = [], Counter[str]()
    for table in pairing.paper.tables:
        pairs = {name: pair for pair in pairing.catalog.pairs(table) for name in pair}
        systems = {(row.label, row.setting): row.system for row in table.rows}
        numbers = {
            (systems[n.label, n.setting], n.metric): n
            for n in pairing.paper.reported
            if n.table == table.printed and n.corpus == pairing.corpus
        }
        words = Counter(
            _fate(pairing, pairs[system], metric, numbers)
            for (system, metric), number in numbers.items()
            if number.bold and system in pairs
        )
        if words:
            rows.append((table.printed, tuple(Cell(str(words[word]), words[word]) for word in FATES)))
            total.update(words)
    if rows:
        summary = (
            f"Of {total.total()} numbers in bold type that name the better of a pair, {total['survive']} survive, "
            f"{total['contradicted']} are contradicted, {total['undecided']} are undecided; "
            f"{total['not run']} were not run, {total['tied']} are tied in print."
        )
        yield Grid("Numbers in bold type", FATES, tuple(rows), summary)


FATES = ("survive", "contradicted", "undecided", "not run", "tied")


def _fate(
    pairing: Pairing, pair: tuple[str, str], metric: str, numbers: Mapping[tuple[str, str], Reported]
) -> str:
    """What becomes of the better of a printed pair."""
    sides = [numbers.get((system, metric)) for system in pair]
    baseline, twin = (side.value if side else 0.0 for side in sides)
    if None in sides or baseline == twin:
        return "tied"
    measure = pairing.paper.measures[metric]
    found = pairing.contrast([Term(system, measure.metric, measure.estimator) for system in pair]).difference
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
}
MEASURED: dict[CheckName, Callable[[Audit, Pairing], Iterable[Grid]]] = {
    "information-above-kl": _measured_information,
    "triangle-inequality": _measured_triangle,
    "bold-cells": _bold,
}


def differences_of(found: Audited) -> Iterator[dict[str, object]]:
    """The comparisons of an audit as rows."""
    for group in found.groups:
        origin, tier, _, corpus = group.setting
        for line in group.lines:
            d = line.contrast.difference
            yield {
                "origin": origin,
                "tier": tier,
                "corpus": corpus,
                "label": line.label,
                "what": line.what,
                "metric": line.quantity.metric,
                "estimator": line.contrast.estimator,
                "difference": d.mean if d else None,
                "low": d.low if d else None,
                "high": d.high if d else None,
                "unit": line.contrast.unit,
                "seeds": d.seeds if d else 0,
                "by_seed": d.by_seed if d else (),
                "texts": d.texts if d else None,
                "share": line.share,
                "reason": line.contrast.reason,
                "files": line.contrast.files,
            }


def values_of(found: Audited) -> Iterator[dict[str, object]]:
    """The tables of an audit as rows: one per cell."""
    none = ("printed", "", "", "")
    tables = [(none, grid) for grid in found.printed]
    tables += [(group.setting, grid) for group in found.groups for grid in group.grids]
    for (origin, tier, _, corpus), grid in tables:
        for label, cells in grid.rows:
            for column, cell in zip(grid.head, cells, strict=True):
                yield {
                    "origin": origin,
                    "tier": tier,
                    "corpus": corpus,
                    "table": grid.caption,
                    "row": label,
                    "column": column,
                    "value": cell.number,
                    "shown": cell.text,
                    "interval": cell.interval,
                    "impossible": cell.marked,
                }
