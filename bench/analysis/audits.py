"""Audits of a paper: what was run for each question, what it shows, in sentences made from the numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.analysis.checks import MEASURED, PRINTED, value_cell
from bench.analysis.grids import Grid
from bench.analysis.numbers import MINUS, fixed, metric_name, significant
from bench.analysis.pairs import (
    Contrast,
    MeasuredTerm,
    Pairing,
    Setting,
    first_of_differences,
    of_differences,
    second_of_differences,
    term_of,
)
from bench.analysis.statistics import Difference
from bench.catalog.audits import Audit, Comparison
from bench.catalog.catalog import Catalog
from bench.catalog.quantities import Quantity


@dataclass(frozen=True)
class AuditLine:
    """One comparison, or contrast of two, in one metric."""

    label: str
    what: str
    quantity: Quantity
    contrast: Contrast
    share: float | None = None

    @property
    def sentence(self) -> str:
        """What was found: effect, interval, what it means; empty if the difference is not known."""
        d = self.contrast.difference
        if d is None:
            return ""
        by = f" by {self.quantity.estimator}" if self.quantity.estimator else ""
        what = f"{self.what} is {self.contrast.effect} in {metric_name(self.quantity.name)}{by}"
        text = f"{self.label}: {what}, {self.on}; {meaning(d, self.runs)}."
        return (
            text
            if self.share is None
            else f"{text} The second is {fixed(100 * self.share, 0)} % of the first."
        )

    @property
    def runs(self) -> int:
        """Of how many systems it is, a run of each for each seed."""
        return len({term.system for term in self.contrast.terms})

    @property
    def on(self) -> str:
        """On which seeds: those that all of its systems share."""
        seeds = self.contrast.seeds
        if not seeds:
            return "each system averaged over its own seeds, of which all share none"
        return f"on seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"

    @property
    def each_seed(self) -> str:
        """The difference of each seed, the seed before it."""
        values = (
            [significant(v, 3) for v in self.contrast.difference.by_seed] if self.contrast.difference else []
        )
        names = [f"{seed}: " for seed in self.contrast.seeds] or [""]
        return "; ".join(f"{name}{value}" for name, value in zip(names, values, strict=True))


@dataclass(frozen=True)
class Ran:
    """One system of an audit in one setting: its seeds and steps, or why there are none."""

    system: str
    seeds: tuple[int, ...]
    steps: tuple[int, ...]
    reason: str


@dataclass(frozen=True)
class AuditGroup:
    """What the runs of one (origin, tier, paper, corpus) show."""

    setting: Setting
    ran: tuple[Ran, ...]
    grids: tuple[Grid, ...]
    lines: tuple[AuditLine, ...]
    files: tuple[Path, ...]

    @property
    def summaries(self) -> list[str]:
        """One sentence for each table that comes to one."""
        return [grid.summary for grid in self.grids if grid.summary]

    @property
    def shown(self) -> list[AuditLine]:
        """The lines of a table: of a comparison of which nothing is known, the first alone."""
        known = {line.label for line in self.lines if line.contrast.difference}
        first = {line.label: line for line in reversed(self.lines)}
        return [line for line in self.lines if line.label in known or first[line.label] is line]

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
    groups: tuple[AuditGroup, ...]
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


NUMBERS = {3: "three", 4: "four"}


def meaning(found: Difference, runs: int = 2) -> str:
    """What a difference of two runs (or of two differences, between more) with its interval says of the systems."""
    if found.seeds < 2:
        if found.low is None:
            return "one seed, and no value for each text: undecided"
        if runs > 2:
            among = f"in these {NUMBERS[runs]} runs"
            return (
                f"{among} the two differ, but one seed cannot tell whether they do in the systems"
                if found.excludes_zero
                else f"not even {among} do the two differ by more than the texts vary"
            )
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


def _group(audit: Audit, pairing: Pairing) -> AuditGroup:
    grids = [_values(audit, pairing)] if audit.values else []
    grids += [grid for check in audit.checks for grid in MEASURED[check](audit, pairing)]
    runs = [run for system in audit.systems for run in pairing.runs.get(system, ())]
    return AuditGroup(
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
    cells = [[value_cell(pairing, system, quantity) for quantity in audit.values] for system in systems]
    titles = [pairing.title(system) for system in systems]
    if len(names) > len(systems):
        cells, names, titles = [list(column) for column in zip(*cells, strict=True)], titles, names
    rows = tuple((title, tuple(row)) for title, row in zip(titles, cells, strict=True))
    return Grid("Values, by system", tuple(names), rows)


def _quantity_name(quantity: Quantity) -> str:
    name = metric_name(quantity.name)
    return f"{name}, {quantity.estimator}" if quantity.estimator else name


def _lines(audit: Audit, pairing: Pairing) -> Iterator[AuditLine]:
    asked = {c.label: c for c in audit.comparisons if c.corpora is None or pairing.corpus in c.corpora}
    for label, comparison in asked.items():
        what = f"{pairing.title(comparison.other)} {MINUS} {pairing.title(comparison.baseline)}"
        for quantity in comparison.metrics:
            yield AuditLine(label, what, quantity, pairing.contrast(_terms(comparison, quantity)))
    for contrast in audit.contrasts:
        if contrast.first in asked and contrast.second in asked:
            first, second = asked[contrast.first], asked[contrast.second]
            what = f"({contrast.first}) {MINUS} ({contrast.second})"
            for quantity in first.metrics:
                terms = [*_terms(first, quantity), *_terms(second, quantity)]
                parts = (first_of_differences, second_of_differences)
                share = _share(*(pairing.contrast(terms, part) for part in parts))
                yield AuditLine(
                    contrast.label, what, quantity, pairing.contrast(terms, of_differences), share
                )


def _terms(comparison: Comparison, quantity: Quantity) -> list[MeasuredTerm]:
    return [term_of(system, quantity) for system in (comparison.baseline, comparison.other)]


def _share(first: Contrast, second: Contrast) -> float | None:
    """The second effect as a share of the first, both on the same seeds.

    Only where the first is not zero by its own interval, and the second a part of it: no share is less than nothing
    or more than all.
    """
    a, b = first.difference, second.difference
    if a is None or b is None or not a.excludes_zero:
        return None
    share = b.mean / a.mean
    return share if 0 <= share <= 1 else None


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
                "metric": line.quantity.name,
                "estimator": line.contrast.estimator,
                "difference": d.mean if d else None,
                "low": d.low if d else None,
                "high": d.high if d else None,
                "unit": line.contrast.unit,
                "seeds": d.seeds if d else 0,
                "of_seeds": line.contrast.seeds if d else (),
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
