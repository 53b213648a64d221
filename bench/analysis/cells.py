"""Cells as a table shows them: the sources of each in order, and how many say what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from bench.analysis.compare import ORIGINS, Cell
from bench.analysis.verdict import MEANINGS, Word


def by_cell(cells: Iterable[Cell]) -> list[list[Cell]]:
    """The sources of each cell, in the order of the table: what is shown first comes first.

    The user's own number stands before a published one, both before external ones. So does the user's own failure,
    which is no reason to look elsewhere. A run that was merely not made gives way to any number.
    """
    found: dict[tuple[str, int, str, str], list[Cell]] = {}
    for cell in cells:
        found.setdefault((cell.table, cell.row, cell.corpus, cell.metric), []).append(cell)
    for sources in found.values():
        sources.sort(key=_rank)
        del sources[
            next((i for i, s in enumerate(sources) if i and _rank(s) == len(ORIGINS)), len(sources)) :
        ]
    return list(found.values())


def _rank(cell: Cell) -> int:
    if cell.measured is None and cell.verdict != "failed":
        return len(ORIGINS)
    return ORIGINS.index(cell.origin)


def printed_counts(cells: Sequence[Sequence[Cell]]) -> dict[Word, int]:
    """Number of printed cells by the verdict that the table shows first."""
    found = Counter(sources[0].verdict for sources in cells if sources[0].reported is not None)
    return {word: found[word] for word in MEANINGS if found[word]}


def of_their_own(cells: Sequence[Cell]) -> int:
    """How many of these cells say something that no other says.

    A number that is printed twice counts once, and so do an NLL and its perplexity. The label tells a row about the
    corpus from that of the system whose runs measure it.
    """
    return len(
        {(c.label, c.system, c.setting, c.corpus, "nll" if c.metric == "ppl" else c.metric) for c in cells}
    )
