"""Differences between systems measured on the same texts, paired text by text and seed by seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas

from bench.analysis.histories import histories
from bench.analysis.numbers import effect
from bench.analysis.statistics import RESAMPLES, Difference, Values, difference, resampled_sums
from bench.catalog.catalog import Catalog
from bench.catalog.papers import Paper
from bench.catalog.quantities import Quantity
from bench.metrics.combine import Mean, OverTexts, Perplexity
from bench.metrics.definitions import base
from bench.metrics.measures import definitions, on_list
from bench.store.records import Origin, Records, RunRecord
from bench.store.texts import Measurement

SENTENCES = "sentences.parquet"
Setting = tuple[Origin, str, str, str]  # origin, tier, paper, corpus
Combination = Callable[[Values], Values]  # from values (terms, ...) to one (...)


@dataclass(frozen=True)
class MeasuredTerm:
    """One measured quantity of one system; a null estimator is the one that repeats the paper's, or the main."""

    system: str
    metric: str
    estimator: str | None = None
    part: str | None = None

    @property
    def name(self) -> str:
        """The metric, with the part behind a colon where there is one."""
        return f"{self.metric}:{self.part}" if self.part else self.metric


def term_of(system: str, quantity: Quantity) -> MeasuredTerm:
    """A quantity of a system."""
    return MeasuredTerm(system, quantity.metric, quantity.estimator, quantity.part)


@dataclass(frozen=True)
class Contrast:
    """A combination of terms, or the reason why it could not be formed.

    ``seeds``: those that all terms share; none where each term was averaged over its own.
    """

    terms: tuple[MeasuredTerm, ...]
    difference: Difference | None
    reason: str = ""
    unit: str = ""
    estimator: str = ""
    files: tuple[Path, ...] = ()
    seeds: tuple[int, ...] = ()

    @property
    def effect(self) -> str:
        """The difference with its interval, as a reader wants it; empty where it is not known."""
        d = self.difference
        return effect(d.mean, d.low, d.high, self.unit) if d else ""


Side = dict[int, tuple[RunRecord, Measurement]]  # one term, by seed


def second_minus_first(values: Values) -> Values:
    """The difference of two terms: the other system minus the baseline."""
    change: Values = values[1] - values[0]
    return change


def of_differences(values: Values) -> Values:
    """Of four terms, baseline and other of two comparisons: the first difference minus the second."""
    change: Values = (values[1] - values[0]) - (values[3] - values[2])
    return change


def first_of_differences(values: Values) -> Values:
    """Of the same four terms the first difference alone: on the seeds that all four share."""
    return second_minus_first(values[:2])


def second_of_differences(values: Values) -> Values:
    """Of the same four terms the second difference alone."""
    return second_minus_first(values[2:])


def meant(paper: Paper | None, metric: str, estimator: str | None = None) -> str | None:
    """The estimator meant: the one named, else the paper's, else (None) the system's main one."""
    if estimator is None and paper is not None and metric in paper.quantities:
        return paper.quantities[metric].estimator
    return estimator


def find(
    paper: Paper | None, run: RunRecord, metric: str, estimator: str | None = None, part: str | None = None
) -> Measurement | None:
    """The measurement of a run that is meant, if it gave a number."""
    found = run.find(metric, meant(paper, metric, estimator), part)
    return found if found is not None and found.value is not None else None


class Pairing:
    """What the systems of one (origin, tier, paper, corpus) measured, each run's texts resampled once."""

    def __init__(self, catalog: Catalog, records: Records, setting: Setting) -> None:
        self.catalog, self.setting = catalog, setting
        self.paper: Paper = catalog.paper(setting[2])
        self.runs: dict[str, list[RunRecord]] = {}
        self.unfinished: dict[str, str] = {}
        for run in records.runs:
            if run.group[:4] == setting and run.state == "finished":
                self.runs.setdefault(run.parts[3], []).append(run)
            elif run.group[:4] == setting:
                self.unfinished[run.parts[3]] = f"seed {run.seed} {run.state}: {run.reason}"
        self._samples: dict[str, Samples] = {}

    @property
    def corpus(self) -> str:
        """The corpus that all runs share."""
        return self.setting[3]

    @cached_property
    def histories(self) -> dict[str, str]:
        """For each system the first one that shares a training history with it, which may be itself."""
        return histories(self.runs)

    def witness(self, systems: Sequence[str]) -> tuple[str, ...]:
        """What systems testify as: comparisons of the same trainings are one witness."""
        return tuple(self.histories.get(system, system) for system in systems)

    def find(
        self, run: RunRecord, metric: str, estimator: str | None = None, part: str | None = None
    ) -> Measurement | None:
        """The measurement of a run that is meant, if it gave a number."""
        return find(self.paper, run, metric, estimator, part)

    def contrast(self, terms: Sequence[MeasuredTerm], combine: Combination = second_minus_first) -> Contrast:
        """``combine`` of the terms, for each seed that all systems share.

        If they share none, each term is averaged over its seeds and counts as one.
        """
        terms = tuple(terms)
        for system in dict.fromkeys(term.system for term in terms):
            if system not in self.runs:
                return Contrast(terms, None, self.why_not(system))
        sides: list[Side] = []
        for term in terms:
            side = {
                run.seed: (run, measured)
                for run in self.runs[term.system]
                if (measured := self.find(run, term.metric, term.estimator, term.part)) is not None
            }
            if not side:
                by = meant(self.paper, term.metric, term.estimator)
                what = f"{term.name} by {by}" if by else term.name
                return Contrast(terms, None, f"{self.title(term.system)}: {what} was not measured")
            sides.append(side)
        runs = {run.name: run for side in sides for run, _ in side.values()}
        used = [measured for side in sides for _, measured in side.values()]
        parts = {(measured.part, measured.texts) for measured in used}  # one part may have fewer than another
        unlike = ""
        if len({run.run.get("data_hash") for run in runs.values()}) > 1:
            unlike = "they were measured on different data"
        elif len(parts) > len({part for part, _ in parts}):
            unlike = "they were measured on different numbers of texts"
        common = tuple(sorted(set.intersection(*(set(side) for side in sides))))
        return Contrast(
            terms,
            None if unlike else self._difference(sides, common, combine),
            unlike,
            used[0].unit,
            ", ".join(dict.fromkeys(measured.estimator for measured in used)),
            tuple(run.folder / "measurements.json" for run in runs.values()),
            common,
        )

    def why_not(self, system: str) -> str:
        """Why there is no finished run of a system."""
        declared = self.catalog.find_system(self.setting[2], system)
        reason = self.unfinished.get(system) or (declared.missing if declared else None) or "not run"
        return f"{self.title(system)}: {reason}"

    def title(self, system: str) -> str:
        """A system's title, or its name where the catalog does not know it."""
        return self.catalog.title(self.setting[2], system)

    def _difference(self, sides: Sequence[Side], common: Sequence[int], combine: Combination) -> Difference:
        values, draws = [], []
        texts: set[int | None] = set()
        for side in sides:
            seeds = common or sorted(side)
            one = np.array([[float(side[s][1].value or 0.0)] for s in seeds])
            pairs = [self._sampled(*side[s]) for s in seeds]
            texts |= {sampled.texts if sampled else None for sampled in pairs}
            drawn = np.stack([s.draws if s else np.full(RESAMPLES, np.nan) for s in pairs])
            values.append(one if common else one.mean(axis=0, keepdims=True))
            draws.append(drawn if common else drawn.mean(axis=0, keepdims=True))
        paired = len(texts) == 1 and None not in texts
        with np.errstate(invalid="ignore"):  # infinite perplexities
            resampled = combine(np.stack(draws)) if paired else None
        return difference(
            combine(np.stack(values))[:, 0],
            resampled,
            texts.pop() if paired else None,
        )

    def _sampled(self, run: RunRecord, measured: Measurement) -> Sampled | None:
        samples = self._samples.setdefault(run.name, Samples(run))
        return samples.found.get((measured.name, measured.estimator))


@dataclass(frozen=True)
class Sampled:
    """A measurement on resampled texts: ``draws`` (RESAMPLES,) of the same ``texts`` for every run."""

    draws: Values
    texts: int


class Samples:
    """All measurements of a run that are sums over texts, resampled in one go when first asked for."""

    def __init__(self, run: RunRecord) -> None:
        self.run = run

    @cached_property
    def found(self) -> dict[tuple[str, str], Sampled]:
        """By name and estimator."""
        table = self.run.tables.get(SENTENCES)
        if table is None:
            return {}
        table = table.sort_values("index")
        parts = {(m.name, m.estimator): p for m in self.run.measurements if (p := _per_text(m, table))}
        by_texts: dict[int, list[tuple[str, str]]] = {}
        for key, (columns, _) in parts.items():
            by_texts.setdefault(len(columns), []).append(key)
        found = {}
        for texts, keys in by_texts.items():
            sums = resampled_sums(np.concatenate([parts[key][0] for key in keys], axis=1))
            start = 0
            for key in keys:
                columns, combined = parts[key]
                drawn = combined.of_sums(sums[:, start : start + columns.shape[1]], texts)
                found[key] = Sampled(drawn, texts)
                start += columns.shape[1]
        return found


def _per_text(measured: Measurement, table: pandas.DataFrame) -> tuple[Values, OverTexts] | None:
    """Values (texts, k) whose sums give the measurement, and how; None where it is no function of such sums."""
    known = definitions().get((measured.metric, base(measured.estimator)))
    # A column that this version does not know was averaged.
    combined = known.over if known else Mean("", partial=True)
    if isinstance(combined, Mean | Perplexity):
        combined = None if measured.column is None else replace(combined, column=measured.column)
    if combined is None or not {*combined.columns, "words"} <= set(table):
        return None
    return combined.per_text(table).astype(np.float64), combined


@dataclass(frozen=True)
class Pair:
    """The other system of a pair minus its baseline, in one metric."""

    baseline: str
    other: str
    metric: str
    contrast: Contrast


def printed_pairs(catalog: Catalog, paper: str) -> dict[str, str]:
    """The other system of each baseline in the pairs of a paper's printed tables; of several, the first.

    Variants that a paper's audits add, and systems of which nothing was printed, are left out.
    """
    printed = {number.table for number in catalog.paper(paper).reported}
    found: dict[str, str] = {}
    for table in catalog.paper(paper).tables:
        for baseline, other in catalog.pairs(paper, table) if table.printed in printed else ():
            found.setdefault(baseline, other)
    return found


def paired(pairing: Pairing, metrics: Sequence[str] | None = None) -> list[Pair]:
    """Every pair that the paper compares, by metric, where both measured it."""
    compared = pairing.catalog.compared(pairing.setting[2])
    metrics = on_list("pairs") if metrics is None else metrics
    pairs = []
    for other in pairing.runs:
        for baseline in (first for first, second in compared if second == other and first in pairing.runs):
            for metric in metrics:
                contrast = pairing.contrast([MeasuredTerm(baseline, metric), MeasuredTerm(other, metric)])
                if contrast.unit:
                    pairs.append(Pair(baseline, other, metric, contrast))
    return pairs
