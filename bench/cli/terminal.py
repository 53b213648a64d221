"""The report's results in a terminal: tables beside the print, claims, two runs compared, texts.

In colour on a terminal; lines with tabs in a pipe. Everything is read from the results folder, the user's own
runs and the published ones; no plan is asked for, so every run that lies there counts.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas
from rich.console import Console
from rich.text import Text

from bench.analysis.claims import Ruling
from bench.analysis.compare import measured_elsewhere
from bench.analysis.numbers import effect, fixed, metric_name, significant, visible
from bench.analysis.pairs import SENTENCES, Samples, find
from bench.analysis.statistics import Difference, difference
from bench.analysis.tables import CLAIM_SIGNS, SIGNS, TableView, table_view
from bench.base.errors import BenchError, unknown
from bench.base.files import read_json
from bench.base.run_names import parse_name
from bench.base.settings import RunSettings
from bench.base.validation import validated
from bench.catalog.catalog import Catalog
from bench.catalog.tables import PrintedTable
from bench.cli.console import Row, print_grid, print_line
from bench.cli.show import check_results
from bench.planning.plan import Plan, Request
from bench.report.context import Material
from bench.store.records import RunRecord, load_records, run_names
from bench.store.texts import Measurement

TEXTS = "texts.json"
PUBLISHED = "published/"  # before the name of a run: the published one, even where there is one of our own
STYLES = {
    "reproduced": "green",
    "better": "cyan",
    "worse": "red",
    "different": "magenta",
    "close": "yellow",
    "far": "yellow",
    "undecided": "yellow",
    "incomparable": "blue",
    "failed": "bold red",
    "unmeasured": "dim",
    "notrun": "dim",
    "notprinted": "dim",
}


def terminal() -> Console:
    """Where the commands print: without any escape code when ``NO_COLOR`` is set."""
    return Console(color_system=None) if os.environ.get("NO_COLOR") else Console()


def show_table(console: Console, catalog: Catalog, results: Path, name: str, corpus: str | None) -> None:
    """Print the table ``PAPER/TABLE``, a block for each corpus: ours, the printed number and the verdict.

    Raises :class:`BenchError` for unknown names.
    """
    paper, table = find_table(catalog, name)
    material = load(catalog, results, paper)
    views = dict(_views(material, paper, table))
    if corpus is not None and corpus not in views:
        raise unknown("corpus", corpus, views, where=f"{paper}/{table.id} and what was measured of it")
    for number, (shown, view) in enumerate(views.items()):
        if corpus is None or shown == corpus:
            if number and corpus is None:
                print_line(console, "")
            _print_view(console, material, shown, view)


def show_claims(console: Console, catalog: Catalog, results: Path, paper: str | None) -> None:
    """Print the claims of a paper, or of all: one row for each tier that tests it, the most expensive first."""
    papers = list(catalog.papers) if paper is None else [paper]
    rows: list[Row] = []
    for name in papers:
        catalog.paper(name)
        for judged in load(catalog, results, name).claims[name]:
            of_claim = [(_claim_sign(r.word), _effect(r), " ".join(r.source)) for r in judged.rulings]
            for verdict, found, source in of_claim or [(_claim_sign(judged.word), "", "")]:
                rows.append((judged.key if paper else f"{name}/{judged.key}", verdict, found, source))
    print_grid(console, rows, ("claim", "verdict", "effect [95 %]", "tier"))


def show_difference(
    console: Console, catalog: Catalog, results: Path, names: tuple[str, str], metric: str | None, count: int
) -> None:
    """Print what the second run measured minus the first, and the ``count`` texts where they differ most.

    Raises :class:`BenchError` for runs that were not measured on the same texts.
    """
    first, second = (find_run(results, name) for name in names)
    found = differences(catalog, first, second)
    by_text = {one.first.metric: one for one in found if one.by_text}
    if metric is not None and metric not in by_text:
        raise unknown("metric", metric, by_text, where="what both runs hold of each text")
    rows: list[Row] = []
    for one in found:
        estimators = dict.fromkeys((one.first.estimator, one.second.estimator))
        d = one.difference
        change = Text(effect(d.mean, d.low, d.high, one.first.unit), "bold" if d.excludes_zero else "")
        values = (significant(one.first.value, 5), significant(one.second.value, 5))
        rows.append((metric_name(one.first.metric), *values, change, ", ".join(estimators)))
    for word, run in (("first", first), ("second", second)):
        print_line(console, word, run.name, f"seed {run.seed}, {run.origin}")
    print_line(console, "")
    header = ("metric", "first", "second", "second minus first [95 % over texts]", "estimator")
    print_grid(console, rows, header, numbers=(1, 2))
    if not by_text:
        return
    chosen = by_text[metric] if metric else next(iter(by_text.values()))
    print_line(console, "")
    print_line(console, f"texts that differ most in {metric_name(chosen.first.metric)}")
    texts = _texts(results, first, chosen.first.split) or _texts(results, second, chosen.first.split)
    lines = [
        (str(i), visible(a, 3), visible(b, 3), fixed(b - a, 3, signed=True), texts.get(i, ""))
        for i, a, b in _farthest(first, second, chosen, count)
    ]
    print_grid(console, lines, ("index", "first", "second", "difference", "text"), numbers=(0, 1, 2, 3))


def show_texts(console: Console, results: Path, name: str, what: str, count: int | None) -> None:
    """Print the first ``count`` of a run's ``samples``, ``reconstructions`` or ``interpolations``."""
    run = find_run(results, name)
    if TEXTS not in run.documents:
        fault = next((fault for fault in run.faults if fault.startswith(TEXTS)), f"{TEXTS}: missing")
        raise BenchError(fault, where=run.folder, remedy="evaluate the run again")
    shown = run.documents[TEXTS][what][:count]
    if not shown:
        remedy = "a language model has no codes, and a model without a posterior density is not sampled from"
        raise BenchError(f"this run has no {what}", where=run.folder / TEXTS, remedy=remedy)
    texts = _texts(results, run, "test") if what == "reconstructions" else {}
    print_grid(
        console, [row for number, one in enumerate(shown) for row in _decoded(what, number, one, texts)]
    )


def _decoded(what: str, number: int, one: Any, texts: Mapping[int, str]) -> list[Row]:
    """The rows of one sample, reconstruction or interpolation: which, what it is, the text."""
    if what == "samples":
        return [(one,)]
    if what == "reconstructions":
        source = one["input"] if one["input"] is not None else texts.get(one["index"])
        outputs = [("sampled", output) for output in one["outputs"]]
        found = [("input", source), ("centre", one["center"]), *outputs]
        return _lines(str(one["index"]), found)
    last = max(len(one["steps"]) - 1, 1)
    steps = [(f"{i / last:.2f}", text) for i, text in enumerate(one["steps"])]
    return _lines(str(number + 1), [("from", one["from"]), *steps, ("to", one["to"])])


def show_interpolation(
    console: Console,
    results: Path,
    corpora: Path,
    name: str,
    sentences: tuple[str, str],
    inner: int,
    device: str,
    threads: int | None,
) -> None:
    """Print greedy texts on the line between the centres of two sentences, ``inner`` between the ends."""
    from bench.metrics.interpolate import between

    run = find_run(results, name)
    if run.origin == "published":
        remedy = f"first: bench train {run.name}"
        raise BenchError("the weights of a published run are not kept", where=name, remedy=remedy)
    settings = _settings(run.folder)
    (first, last), texts = between(
        run.run, run.folder, settings, corpora, sentences, inner, device=device, threads=threads
    )
    shares = (f"{step / (inner + 1):.2f}" for step in range(inner + 2))
    print_grid(console, [("from", first), *zip(shares, texts, strict=True), ("to", last)])


def load(catalog: Catalog, results: Path, paper: str) -> Material:
    """What was run and published under the protocol of ``paper``, as the report has it."""
    check_results(results)
    runs = {}
    for name in run_names(results / "runs"):
        if name.split("/")[1] != paper or not (results / "runs" / name / "run.json").exists():
            continue
        try:
            runs[name] = _settings(results / "runs" / name)
        except BenchError as error:
            print(f"left out {name}: {error.what}", file=sys.stderr)
    plan = Plan(Request(papers=(paper,)), runs)
    return Material(catalog, plan, load_records(results, plan.runs), results, partial=False)


def find_run(results: Path, name: str) -> RunRecord:
    """The finished run of that name: the user's own, else the published one, which ``published/`` asks for.

    Raises :class:`BenchError` for an unknown run, and for one that is not trained and measured.
    """
    check_results(results)
    short = name.removeprefix(PUBLISHED)
    parse_name(short)
    own = results / "runs" / short
    runs = {}
    if short == name and (own / "run.json").exists():
        runs[name] = _settings(own)
    elif not (results / "published" / "runs" / short).is_dir():
        measured = [n for n in run_names(results / "runs") if (results / "runs" / n / "run.json").exists()]
        published = [PUBLISHED + n for n in run_names(results / "published" / "runs")]
        raise unknown("run", name, [*measured, *published], where=results)
    records = load_records(results, runs)
    origin = "own" if runs else "published"
    run = next(run for run in records.runs if (run.origin, run.name) == (origin, short))
    if run.state != "finished":
        remedy = f"first: bench evaluate {short}" if run.state == "not evaluated" else None
        raise BenchError(f"the run is {run.state}: {run.reason}", where=run.folder, remedy=remedy)
    return run


def _settings(folder: Path) -> RunSettings:
    """The settings that the run in ``folder`` was trained with."""
    path = folder / "run.json"
    content = read_json(path)
    if not isinstance(content, dict):
        raise BenchError("not the record of a run", where=path, remedy="train the run again")
    return validated(RunSettings, content.get("settings"), path)


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
    frame = material.comparisons[paper]
    for corpus in table.corpora:
        yield corpus, table_view(declared, table, frame[frame["corpus"] == corpus], "", printed=True)
    sources: dict[str, list[tuple[Any, str]]] = {}
    for origin, tier, of, corpus in material.settings:
        if of == paper and corpus not in table.corpora:
            sources.setdefault(corpus, []).append((origin, tier))
    for corpus, found in sources.items():
        frames = [
            measured_elsewhere(material.catalog, material.records, paper, corpus, source) for source in found
        ]
        frame = pandas.concat(frames, ignore_index=True)
        record = material.records.corpus(paper, corpus)
        exact = record.summary.get("exact") if record else None
        if frame.loc[frame["table"] == table.id, "measured"].notna().any():
            yield corpus, table_view(declared, table, frame, "", exact, printed=False)


def _print_view(console: Console, material: Material, corpus: str, view: TableView) -> None:
    """One row for each printed row and source of runs: in a terminal, a cell holds its numbers on lines."""
    names = [" ".join(filter(None, (f"{c.name}{c.arrow}", c.unit))) for c in view.columns]
    rows: list[Row] = []
    for row in view.rows:
        label = " ".join(filter(None, (row.label, row.setting)))
        cells = {(s["metric"], s["origin"], s["tier"]): s for sources in row.cells for s in sources}
        for origin, tier in dict.fromkeys((origin, tier) for _, origin, tier in cells):
            of_source = [cells.get((column.metric, origin, tier)) for column in view.columns]
            source = f"{origin} {tier}" if tier else ""
            if console.is_terminal:
                stacked = (Text("\n").join(_numbers(cell)) for cell in of_source)
                rows.append((Text(f"{label}\n").append(source, "dim"), *stacked))
            else:
                rows.append((corpus, label, source, *(part for c in of_source for part in _numbers(c))))
    if console.is_terminal:
        title = f"{view.heading}: {material.corpus_title(corpus)}"
        console.print(Text(title, "bold"), highlight=False)
        console.print(Text("ours, the printed number, the verdict", "dim"), highlight=False)
        print_grid(console, rows, ("", *names), numbers=range(1, len(names) + 1), gap=1)
    else:
        header = [part for name in names for part in (name, f"{name} printed", f"{name} verdict")]
        print_grid(console, rows, ("corpus", "row", "runs", *header))


def _numbers(cell: dict[str, Any] | None) -> tuple[Text, Text, Text]:
    """Ours, the printed number and the verdict of one cell; nothing where this source has no such cell."""
    if cell is None:
        return Text(), Text(), Text()
    sign, css = SIGNS[cell["verdict"]]
    return (
        Text(visible(cell["measured"], cell["decimals"]), "bold"),
        Text(fixed(cell["reported"], cell["decimals"])),
        Text(f"{sign} {cell['verdict']}", STYLES[css]),
    )


def _claim_sign(word: Any) -> Text:
    sign, css = CLAIM_SIGNS[word]
    return Text(f"{sign} {word}", STYLES[css])


def _effect(ruling: Ruling) -> str:
    """The difference on which a claim rests; of several, how many there are by their verdict."""
    if len(ruling.counted) == 1:
        return ruling.counted[0].effect
    counts = ", ".join(f"{number} {word}" for word, number in ruling.counts.items())
    towards, against = ruling.leans
    leans = f" ({towards} towards, {against} against)" if towards or against else ""
    return f"{len(ruling.counted)} differences: {counts}{leans}"


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
    for metric in dict.fromkeys(m.metric for m in first.measurements):
        a, b = (find(catalog.papers.get(run.parts[1]), run, metric) for run in (first, second))
        if a is None or b is None or (a.unit, a.split, a.texts) != (b.unit, b.split, b.texts):
            continue
        one, other = of_first.get((metric, a.estimator)), of_second.get((metric, b.estimator))
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


def _farthest(
    first: RunRecord, second: RunRecord, chosen: Paired, count: int
) -> Iterator[tuple[int, float, float]]:
    """(index, first, second) of the ``count`` texts whose values differ most."""
    column = chosen.first.column
    sides = [run.tables[SENTENCES].set_index("index")[column] for run in (first, second)]
    both = pandas.concat(sides, axis=1, keys=["first", "second"]).dropna()
    order = (both["second"] - both["first"]).abs().sort_values(ascending=False, kind="stable").index[:count]
    for index in order:
        yield int(index), float(both.loc[index, "first"]), float(both.loc[index, "second"])


def _texts(results: Path, run: RunRecord, split: str) -> dict[int, str]:
    """The texts of a split, if the corpus that the run saw is at hand; the published files hold none."""
    folder = results / "corpora" / run.parts[1] / run.parts[2]
    path = folder / f"{split}.txt"
    if not path.exists() or not (folder / "corpus.json").exists():
        return {}
    if read_json(folder / "corpus.json").get("data_hash") != run.run.get("data_hash"):
        return {}
    return dict(enumerate(path.read_text(encoding="utf-8").split("\n")[:-1]))


def _lines(name: str, texts: Sequence[tuple[str, str | None]]) -> list[Row]:
    """Rows of (name, what, text); a sentence of the corpus that may not be published is left out as such."""
    return [(name, what, Text("(not published)", "dim") if text is None else text) for what, text in texts]
