"""Every cell of a paper's tables: measured beside reported, with interval, difference, verdict and source.

A cell of a table is one :class:`Cell` for each source of runs (the user's own, published ones), from here to the
templates and the files that are written.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bench.analysis import relative
from bench.analysis.age import told
from bench.analysis.margins import margin_of
from bench.analysis.noise import noise_of
from bench.analysis.spread import CommonSpreads, usable
from bench.analysis.verdict import Evidence, Limits, Margin, Word, judge
from bench.catalog.catalog import Catalog
from bench.catalog.quantities import PrintedQuantity
from bench.catalog.reported import PrintedNumber
from bench.catalog.tables import PrintedRow, PrintedTable
from bench.metrics import units
from bench.metrics.measures import counted_over, metrics
from bench.metrics.needs import refusal
from bench.store.records import Origin, Records, RunRecord, Source, State
from bench.store.texts import Measurement

ABSENT: dict[State, Word] = {"diverged": "failed", "failed": "failed", "damaged": "failed"}
PAPER_TIER = "paper"
PRINTED_SPLIT = "test"  # what papers print
ORIGINS: tuple[Origin, ...] = ("own", "published", "external")  # which is shown first
NO_BOUND = "not a bound"  # where a table names such an estimator it is the paper's: like is held against like
EXCESS = "excess_nll"  # nats per text above the true entropy, measured on generated corpora only


@dataclass(frozen=True)
class Cell:
    """One cell of one table, from one source of runs; its fields are the columns of the exported files.

    Numbers are in the unit of the print; where ours cannot be converted into it, ours stay in their own. What was not
    measured or not printed is None, never NaN.
    """

    table: str
    row: int
    label: str
    setting: str
    system: str
    corpus: str
    metric: str
    origin: Origin
    tier: str
    measured: float | None
    low: float | None
    high: float | None
    interval: str
    reported: float | None
    difference: float | None
    verdict: Word
    reason: str
    unit: str
    decimals: int
    estimator: str
    validity: str
    bias: str
    definition: str
    split: str
    texts: int | None
    samples: int | None
    seeds: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    failed_seeds: list[int] = field(default_factory=list)
    planned: int = 0
    files: list[str] = field(default_factory=list)
    note: str = ""
    bold: bool | None = None
    spread: float | None = None
    n: int | None = None
    marks: list[str] = field(default_factory=list)
    better: str | None = None
    noise: float | None = None
    noise_from: str = ""
    margin: float | None = None
    margin_from: str = ""
    seeds_needed: int | None = None
    older: str = ""
    rounding: float | None = None
    valid: float | None = None
    valid_low: float | None = None
    valid_high: float | None = None
    valid_by: str = ""
    counted: str = ""


@dataclass(frozen=True)
class Place:
    """Where a cell stands: the printed number, if any, and how the quantity is measured."""

    table: PrintedTable
    position: int
    row: PrintedRow
    corpus: str
    metric: str
    quantity: PrintedQuantity
    reported: PrintedNumber | None
    printed_row: bool
    printed_unit: str
    margin: Margin | None


class Seen:
    """The runs, and what they say together of chance: the noise floor and the spread over seeds."""

    def __init__(self, records: Records) -> None:
        self.records, self.noise, self.spreads = records, noise_of(records), CommonSpreads(records)


def compare(catalog: Catalog, records: Records, paper_name: str) -> list[Cell]:
    """Every cell of the paper's printed tables, on the printed corpora, for each source of runs that has it.

    Where there is no run, a cell has the verdict ``not run`` and the reason.
    """
    paper = catalog.paper(paper_name)
    audited = {system for audit in paper.audits.values() for system in audit.systems}  # they have pages
    tried = dict.fromkeys(run.parts[3] for run in records.runs if run.parts[1] == paper_name)
    ran = [system for system in tried if system not in audited]
    seen = Seen(records)
    return [
        cell
        for table in paper.tables
        for place in _places(catalog, paper_name, table, ran, table.corpora)
        for cell in _cells(catalog, paper_name, place, seen)
    ]


def measured_elsewhere(
    catalog: Catalog, records: Records, paper_name: str, corpus: str, source: Source
) -> list[Cell]:
    """The same tables on a corpus that the paper did not print: only the rows of which there are runs."""
    paper = catalog.paper(paper_name)
    origin, tier = source
    setting = (origin, tier, paper_name, corpus)
    systems = {run.parts[3] for run in records.runs if run.group[:4] == setting}
    seen = Seen(records)
    cells: list[Cell] = []
    for table in paper.tables:
        for place in _places(catalog, paper_name, table, sorted(systems), (corpus,)):
            if place.row.system in systems:
                cells += list(_cells(catalog, paper_name, place, seen, [source]))
    return cells


def _places(
    catalog: Catalog, paper_name: str, table: PrintedTable, ran: Sequence[str], corpora: Sequence[str]
) -> Iterator[Place]:
    """Cells of a table in reading order; systems that no table of the paper has get a row at the end.

    A row that is printed twice has its numbers twice.
    """
    paper = catalog.paper(paper_name)
    known = {row.system for t in paper.tables for row in t.rows}
    extra = [PrintedRow(label=system, system=system) for system in ran if system not in known]
    numbers: dict[tuple[str, ...], list[PrintedNumber]] = {}
    for number in (n for n in paper.reported if n.table == table.printed):
        numbers.setdefault((number.label, number.setting, number.corpus, number.metric), []).append(number)
    printed_units = {n.metric: n.unit for n in paper.reported if n.table == table.printed}
    margins = {
        (corpus, metric): margin_of(catalog, paper_name, table, corpus, metric)
        for corpus in corpora
        if corpus in table.corpora
        for metric in table.columns
    }
    earlier = Counter[tuple[str, str]]()
    for position, row in enumerate((*table.rows, *extra)):
        for corpus in corpora:
            for metric in _columns(table, corpus in table.corpora):
                printed = numbers.get((row.label, row.setting, corpus, metric), [])
                here = printed[earlier[row.label, row.setting] :]
                quantity = paper.quantity(table, metric) or PrintedQuantity.model_construct(
                    metric=metric, estimator=None, decimals=1
                )
                quantity = row.of_corpus.get(metric, quantity)
                if metric in row.estimators:
                    quantity = quantity.model_copy(update={"estimator": row.estimators[metric]})
                of_table = position < len(table.rows)
                yield Place(
                    table,
                    position,
                    row,
                    corpus,
                    metric,
                    quantity,
                    here[0] if here else None,
                    of_table,
                    printed_units.get(metric, ""),
                    margins.get((corpus, metric)),
                )
        earlier[row.label, row.setting] += 1


def _columns(table: PrintedTable, printed: bool) -> tuple[str, ...]:
    """The columns; where a corpus may have a known entropy, also the distance from it."""
    with_excess = not printed and "nll" in table.columns
    return (*table.columns, EXCESS) if with_excess else table.columns


def _cells(
    catalog: Catalog, paper: str, place: Place, seen: Seen, sources: Sequence[Source] | None = None
) -> Iterator[Cell]:
    runs = [r for r in seen.records.runs if r.parts[1:4] == (paper, place.corpus, place.row.system)]
    groups: dict[Source, list[RunRecord]] = {}
    for run in runs:
        groups.setdefault((run.origin, run.parts[0]), []).append(run)
    if sources is not None:
        groups = {source: groups[source] for source in sources if source in groups}
    if all(origin == "external" for origin, _ in groups):
        groups = {("own", ""): [], **groups}
    for source, group in groups.items():
        yield _cell(catalog, paper, place, source, group, seen)


def _cell(
    catalog: Catalog, paper: str, place: Place, source: Source, runs: Sequence[RunRecord], seen: Seen
) -> Cell:
    quantity, reported = place.quantity, place.reported
    measured = quantity.measured and not place.row.lacks(place.metric)
    found = relative.measured(runs, quantity, seen.records) if measured else []
    first = found[0][1] if found else None
    unit = reported.unit if reported else first.unit if first else ""
    converted = units.factor(first.unit, unit) if first else 1.0
    if first and converted is None:
        unit = first.unit
    factor = converted or 1.0
    decimals = _decimals(place, unit)
    values = [float(m.value or 0.0) * factor for _, m in found]
    over_texts = None
    if first and first.low is not None and first.high is not None:
        over_texts = (first.low * factor, first.high * factor)
    # A ratio has another floor and another spread than the number that is divided.
    plain = first if quantity.relative_to is None else None
    floor = seen.noise.of(runs[0].parts[:3], plain.name, plain.estimator) if plain else None
    common = seen.spreads.of(runs[0].group[:4], quantity) if plain else None
    result = judge(
        Evidence(
            values=values,
            reported=reported.value if reported else None,
            decimals=decimals,
            better=quantity.better,
            over_texts=over_texts,
            absent=_absent(catalog, paper, place, runs),
            incomparable=_incomparable(catalog, place, runs, first),
            margin=place.margin,
            spread=replace(common, variance=common.variance * factor**2) if common else None,
            printed_runs=(reported.n if reported else None) or 1,
            limits=_limits(first, factor),
            slack=quantity.rounding,
        )
    )
    mean = sum(values) / len(values) if values else None
    valid = _valid([run for run, _ in found], quantity) if first and first.validity == NO_BOUND else []
    return Cell(
        table=place.table.id,
        row=place.position,
        label=place.row.label,
        setting=place.row.setting,
        system=place.row.system,
        corpus=place.corpus,
        metric=place.metric,
        origin=source[0],
        tier=source[1],
        measured=mean,
        low=result.low,
        high=result.high,
        interval=result.interval,
        reported=reported.value if reported else None,
        difference=mean - reported.value if reported and mean is not None and converted else None,
        verdict=result.word,
        reason=result.reason,
        unit=unit,
        decimals=decimals,
        estimator=first.estimator if first else quantity.estimator or "",
        validity=first.validity if first else "",
        bias=(first.bias or "") if first else "",
        definition=first.definition if first else "",
        split=first.split if first else "",
        texts=first.texts if first else None,
        samples=first.samples if first else None,
        seeds=[run.seed for run, _ in found],
        values=values,
        failed_seeds=[run.seed for run in runs if run.state in ABSENT],
        planned=len(runs),
        files=[str(run.folder / "measurements.json") for run, _ in found],
        note=reported.note if reported else "",
        bold=reported.bold if reported else None,
        spread=reported.spread if reported else None,
        n=reported.n if reported else None,
        marks=list(reported.marks) if reported else [],
        better=quantity.better if place.metric != EXCESS else "lower",
        counted=counted_over(first.metric, first.estimator, first.split) if first else "",
        noise=floor.value * factor if floor else None,
        noise_from=f"{floor.pairs} repeated, {' and '.join(floor.kinds)}" if floor else "",
        margin=place.margin.value if place.margin else None,
        margin_from=place.margin.source if place.margin else "",
        seeds_needed=result.seeds_needed,
        older="; ".join(dict.fromkeys(f"seed {run.seed} {age}" for run, _ in found if (age := told(run)))),
        rounding=quantity.rounding if reported else None,
        **_beside(valid, factor),
    )


def _valid(runs: Sequence[RunRecord], quantity: PrintedQuantity) -> list[Measurement]:
    """The same metric of each run by its main estimator, where that is exact, consistent or a bound."""
    main = quantity.model_copy(update={"estimator": None})
    return [m for run in runs if (m := usable(run, main)) is not None and m.validity != NO_BOUND]


def _beside(valid: Sequence[Measurement], factor: float) -> dict[str, Any]:
    """The fields of a cell that say what its number is by a valid estimator: mean over seeds, or one with its texts."""
    if not valid:
        return {}
    first, mean = valid[0], sum(float(m.value or 0.0) for m in valid) / len(valid)
    ends = [None if end is None or len(valid) > 1 else end * factor for end in (first.low, first.high)]
    return {"valid": mean * factor, "valid_low": ends[0], "valid_high": ends[1], "valid_by": first.estimator}


def _limits(measurement: Measurement | None, factor: float) -> Limits:
    """The limits of a quantity in the unit of the print."""
    metric = metrics().get(measurement.metric) if measurement else None
    if metric is None:
        return None, None
    least, most = metric.least, metric.most
    return None if least is None else least * factor, None if most is None else most * factor


def _decimals(place: Place, unit: str) -> int:
    """Decimals in ``unit`` that are worth those of the print, one more where nothing was printed."""
    scale = units.factor(unit, place.printed_unit or unit) or 1.0
    finer = round(math.log10(scale))
    return place.quantity.decimals + finer + (place.corpus not in place.table.corpora)


def _absent(catalog: Catalog, paper: str, place: Place, runs: Sequence[RunRecord]) -> tuple[Word, str]:
    """Why a cell has no number."""
    if place.row.lacks(place.metric):
        return "not measured", "the row is about the corpus, which has no such number"
    if place.quantity.missing:
        return "not measured", place.quantity.missing
    system = catalog.find_system(paper, place.row.system)
    if system is not None and system.missing and not runs:
        return "not run", system.missing
    if not runs:
        if place.reported is None and place.printed_row:
            return "not run", "the paper printed no number here, and there is no run"
        return "not run", "not part of this plan"
    worst = next((r for r in runs if r.state in ABSENT), None)
    if worst is not None:
        return "failed", f"seed {worst.seed} {worst.state}: {worst.reason}"
    waiting = next((r for r in runs if r.state != "finished"), None)
    if waiting is not None:
        return "not run", f"seed {waiting.seed} {waiting.state}: {waiting.reason}"
    quantity = place.quantity
    by = f" by the estimator {quantity.estimator}" if quantity.estimator else ""
    on = f", or with none of {quantity.relative_to} on the same device" if quantity.relative_to else ""
    reason = f"the run finished without a measurement of {quantity.metric}{by}{on}"
    settings = next((run.settings for run in runs if run.settings is not None), None)
    needed = refusal(settings, quantity.metric, quantity.estimator) if settings is not None else ""
    return "not measured", reason + (f", which asks that {needed}" if needed else "")


def _incomparable(
    catalog: Catalog, place: Place, runs: Sequence[RunRecord], measured: Measurement | None
) -> str | None:
    """Why the measured number may not be held against the printed one; None if it may."""
    if by := dict.fromkeys(run.evaluation["made_by"] for run in runs if run.origin == "external"):
        return f"made by {', '.join(by)}: shown beside ours, not judged"
    reasons = []
    if runs and runs[0].parts[0] != PAPER_TIER:
        reasons.append(f"the tier is {runs[0].parts[0]}, not the paper's own budget")
    if place.corpus not in place.table.corpora:
        reasons.append(f"{place.corpus} is not a corpus of the printed table")
    entry = catalog.corpora.get(place.corpus)
    if entry is not None and not entry.comparable:
        reasons.append(f"the corpus {place.corpus} is not comparable with any paper's")
    if measured is not None and measured.split != PRINTED_SPLIT:
        reasons.append(f"measured on the {measured.split} split, printed is the {PRINTED_SPLIT} split")
    if measured is not None and measured.validity == NO_BOUND and place.quantity.estimator is None:
        reasons.append(f"the estimator {measured.estimator} is neither exact nor consistent nor a bound")
    if place.quantity.relative_to is not None:
        reasons.append("a time on another kind of machine than the paper's")
    printed = place.reported.unit if place.reported else None
    if measured is not None and printed is not None and units.factor(measured.unit, printed) is None:
        reasons.append(f"measured in {measured.unit}, printed in {printed}: neither converts into the other")
    return "; ".join(reasons) or None
