"""The difference of two runs on the same texts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas

from bench.analysis.pairs import SENTENCES, Samples, find
from bench.analysis.statistics import Difference, difference
from bench.base.errors import BenchError
from bench.catalog.catalog import Catalog
from bench.store.records import RunRecord
from bench.store.texts import Measurement


@dataclass(frozen=True)
class Paired:
    """One metric of two runs, with the second minus the first; ``by_text``: whether each text has a value."""

    first: Measurement
    second: Measurement
    difference: Difference
    by_text: bool


def differences(catalog: Catalog, first: RunRecord, second: RunRecord) -> list[Paired]:
    """What both runs measured, by the paper's estimator or else the main one: the second minus the first.

    Differences of values that are functions of sums over texts are resampled text by text, both runs on the same
    resamples, as in :mod:`bench.analysis.pairs`; the others have no interval. Raises :class:`BenchError` for runs
    on different data.
    """
    hashes = [run.run.get("data_hash") for run in (first, second)]
    if hashes[0] is None or hashes[0] != hashes[1]:
        where = f"{first.name} and {second.name}"
        raise BenchError(
            "the runs were measured on different data", where=where, remedy="compare like with like"
        )
    for run in (first, second):
        if SENTENCES not in run.tables:
            fault = next((f for f in run.faults if f.startswith(SENTENCES)), f"{SENTENCES}: missing")
            raise BenchError(fault, where=run.folder, remedy="evaluate the run again")
    of_first, of_second = Samples(first).found, Samples(second).found
    found = []
    for metric, part in dict.fromkeys((m.metric, m.part) for m in first.measurements):
        a, b = (find(catalog.papers.get(run.parts[1]), run, metric, part=part) for run in (first, second))
        if a is None or b is None or (a.unit, a.split, a.texts) != (b.unit, b.split, b.texts):
            continue
        one, other = of_first.get((a.name, a.estimator)), of_second.get((b.name, b.estimator))
        draws = texts = None
        if one and other and one.texts == other.texts:
            draws, texts = (other.draws - one.draws)[None], one.texts
        change = difference(np.array([float(b.value or 0.0) - float(a.value or 0.0)]), draws, texts)
        columns = {a.column, b.column}  # perplexity is a ratio of sums: no text has one
        by_text = len(columns) == 1 and None not in columns and metric != "ppl"
        found.append(Paired(a, b, change, by_text and draws is not None))
    if not found:
        raise BenchError("the runs have no measurement in common", where=f"{first.name} and {second.name}")
    return found


def farthest(
    first: RunRecord, second: RunRecord, chosen: Paired, count: int
) -> Iterator[tuple[int, float, float]]:
    """(index, first, second) of the ``count`` texts whose values differ most."""
    column = chosen.first.column
    sides = [run.tables[SENTENCES].set_index("index")[column] for run in (first, second)]
    both = pandas.concat(sides, axis=1, keys=["first", "second"]).dropna()
    order = (both["second"] - both["first"]).abs().sort_values(ascending=False, kind="stable").index[:count]
    for index in order:
        yield int(index), float(both.loc[index, "first"]), float(both.loc[index, "second"])
