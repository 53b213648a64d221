"""Baseline against coupled twin on the same test texts, paired text by text (and seed by seed)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.declarations import Catalog
from bench.report.records import Records, RunRecord
from bench.report.statistics import Difference, Values, paired_difference
from bench.seeds import derive_seed

METRICS = ("nll", "kl", "mi")
SENTENCES = "sentences.parquet"


@dataclass(frozen=True)
class Pair:
    """One paired comparison, or the reason why it could not be made."""

    baseline: str
    twin: str
    metric: str
    estimator: str
    difference: Difference | None
    reason: str = ""


def paired(catalog: Catalog, records: Records, group: tuple[str, str, str, str]) -> list[Pair]:
    """All twins of (origin, tier, paper, corpus) against their baselines, by metric measured per text."""
    runs: dict[str, list[RunRecord]] = {}
    for run in records.runs:
        if run.group[:4] == group and run.state == "finished":
            runs.setdefault(run.parts[3], []).append(run)
    pairs = []
    for twin in runs:
        baseline = catalog.baseline(twin) if twin in catalog.systems else None
        if baseline in runs:
            measures = catalog.paper(group[2]).measures
            for metric in METRICS:
                estimator = measures[metric].estimator if metric in measures else None
                if pair := _pair(runs[baseline], runs[twin], metric, estimator):
                    pairs.append(pair)
    return pairs


def _pair(
    baseline: Sequence[RunRecord], twin: Sequence[RunRecord], metric: str, estimator: str | None
) -> Pair | None:
    """The comparison of one metric; None if either side does not measure it per text."""
    first = baseline[0].find(metric, estimator)
    if first is None or first.column is None or twin[0].find(metric, estimator) is None:
        return None
    names = (baseline[0].parts[3], twin[0].parts[3], metric, first.estimator)
    if len({run.run.get("data_hash") for run in (*baseline, *twin)}) > 1:
        return Pair(*names, None, "the two were measured on different data")
    sides = [_values(side, first.column) for side in (baseline, twin)]
    if not all(sides):
        return Pair(*names, None, f"{SENTENCES} is missing or damaged on one side")
    if len({len(values) for side in sides for values in side.values()}) > 1:
        return Pair(*names, None, "the two were measured on different numbers of texts")
    seed = derive_seed("paired bootstrap", *baseline[0].group, *names)
    return Pair(*names, paired_difference(sides[0], sides[1], seed))


def _values(runs: Sequence[RunRecord], column: str) -> Mapping[int, Values]:
    """Values per text (texts,) of each seed, in the order of the corpus."""
    found = {}
    for run in runs:
        table = run.tables.get(SENTENCES)
        if table is not None and column in table:
            found[run.seed] = np.asarray(table.sort_values("index")[column], dtype=np.float64)
    return found
