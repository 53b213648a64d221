"""``bench samples`` and ``bench interpolate``: texts that a run decoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from bench.base.errors import BenchError
from bench.cli.console import Row, print_grid
from bench.cli.results import find_run, settings_of, split_texts

TEXTS = "texts.json"


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
    texts = split_texts(results, run, "test") if what == "reconstructions" else {}
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
    settings = settings_of(run.folder)
    (first, last), texts = between(
        run.run, run.folder, settings, corpora, sentences, inner, device=device, threads=threads
    )
    shares = (f"{step / (inner + 1):.2f}" for step in range(inner + 2))
    print_grid(console, [("from", first), *zip(shares, texts, strict=True), ("to", last)])


def _lines(name: str, texts: Sequence[tuple[str, str | None]]) -> list[Row]:
    """Rows of (name, what, text); a sentence of the corpus that may not be published is left out as such."""
    return [(name, what, Text("(not published)", "dim") if text is None else text) for what, text in texts]
