"""``bench compare``: what two runs measured on the same texts, and where they differ most."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.text import Text

from bench.analysis.numbers import effect, fixed, metric_name, significant, visible
from bench.analysis.two_runs import Paired, differences, farthest
from bench.base.errors import unknown
from bench.catalog.catalog import Catalog
from bench.cli.console import Row, print_grid, print_line
from bench.cli.results import find_run, split_texts
from bench.store.records import RunRecord


def show_differences(
    console: Console, catalog: Catalog, results: Path, names: tuple[str, str], metric: str | None, count: int
) -> None:
    """Print what the second run measured minus the first, and the ``count`` texts where they differ most.

    Raises :class:`BenchError` for runs that were not measured on the same texts.
    """
    first, second = (find_run(results, name) for name in names)
    found = differences(catalog, first, second)
    by_text = {one.first.name: one for one in found if one.by_text}
    if metric is not None and metric not in by_text:
        raise unknown("metric", metric, by_text, where="what both runs hold of each text")
    for word, run in (("first", first), ("second", second)):
        print_line(console, word, run.name, f"seed {run.seed}, {run.origin}")
    print_line(console, "")
    header = ("metric", "first", "second", "second minus first [95 % over texts]", "estimator")
    print_grid(console, [_row(one) for one in found], header, numbers=(1, 2))
    if by_text:
        chosen = by_text[metric] if metric else next(iter(by_text.values()))
        _print_texts(console, results, (first, second), chosen, count)


def _row(one: Paired) -> Row:
    estimators = dict.fromkeys((one.first.estimator, one.second.estimator))
    d = one.difference
    change = Text(effect(d.mean, d.low, d.high, one.first.unit), "bold" if d.excludes_zero else "")
    values = (significant(one.first.value, 5), significant(one.second.value, 5))
    return (metric_name(one.first.name), *values, change, ", ".join(estimators))


def _print_texts(
    console: Console, results: Path, runs: tuple[RunRecord, RunRecord], chosen: Paired, count: int
) -> None:
    print_line(console, "")
    print_line(console, f"texts that differ most in {metric_name(chosen.first.name)}")
    texts = next(filter(None, (split_texts(results, run, chosen.first.split) for run in runs)), {})
    lines = [
        (str(i), visible(a, 3), visible(b, 3), fixed(b - a, 3, signed=True), texts.get(i, ""))
        for i, a, b in farthest(*runs, chosen, count)
    ]
    print_grid(console, lines, ("index", "first", "second", "difference", "text"), numbers=(0, 1, 2, 3))
