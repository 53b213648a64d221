"""``bench samples`` and ``bench interpolate``: texts that a run decoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from bench.base.errors import BenchError, nearest
from bench.cli.console import Row, print_grid
from bench.cli.results import find_run, settings_of, split_texts
from bench.store.shown import Cell, Shown

TEXTS = "texts.json"
INDEX = "index"  # the column of shown texts that numbers the texts of the split


def show_texts(console: Console, results: Path, name: str, kind: str, count: int | None) -> None:
    """Print the first ``count`` rows of the texts of a kind that are shown of a run."""
    run = find_run(results, name)
    if run.shown is None:
        fault = next((fault for fault in run.faults if fault.startswith(TEXTS)), f"{TEXTS}: missing")
        raise BenchError(fault, where=run.folder, remedy="evaluate the run again")
    if kind not in run.shown:
        near = nearest(kind, run.shown)
        why = "a language model has no codes, and a model without a posterior density is not sampled from"
        remedy = f"did you mean {near!r}?" if near else why
        raise BenchError(
            f"this run has no {kind}", where=run.folder / TEXTS, allowed=run.shown, remedy=remedy
        )
    shown = run.shown[kind]
    if [column.role for column in shown.columns] == ["decoded"]:
        print_grid(console, [(str(row[0]),) for row in shown.rows[:count]])
        return
    texts = split_texts(results, run, "test")
    rows = enumerate(shown.rows[:count])
    print_grid(console, [line for number, row in rows for line in _lines_of(shown, number, row, texts)])


def _lines_of(shown: Shown, number: int, row: Sequence[Cell], texts: Mapping[int, str]) -> list[Row]:
    """The lines of one row of shown texts: which row, which column, what stands there.

    A sentence that is not published is taken from the prepared corpus where the row has the index of its text.
    """
    cells = dict(zip((column.name for column in shown.columns), row, strict=True))
    index = cells.pop(INDEX, None)
    found = {
        name: texts.get(int(index)) if cell is None and isinstance(index, int) else cell
        for name, cell in cells.items()
    }
    which = str(number + 1 if index is None else index)
    return _lines(which, [(name, None if cell is None else str(cell)) for name, cell in found.items()])


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
    settings = settings_of(run.folder)
    (first, last), texts = between(
        run.run, run.folder, settings, corpora, sentences, inner, device=device, threads=threads
    )
    shares = (f"{step / (inner + 1):.2f}" for step in range(inner + 2))
    print_grid(console, [("from", first), *zip(shares, texts, strict=True), ("to", last)])


def _lines(name: str, texts: Sequence[tuple[str, str | None]]) -> list[Row]:
    """Rows of (name, what, text); a sentence of the corpus that may not be published is left out as such."""
    return [(name, what, Text("(not published)", "dim") if text is None else text) for what, text in texts]
