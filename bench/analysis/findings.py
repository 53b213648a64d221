"""Findings: the differences on which a claim rests, and the one rule that judges each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench.analysis.numbers import effect, factor
from bench.analysis.statistics import Difference

Word = Literal["holds", "does not hold", "undecided", "not run"]
MEANINGS: dict[Word, str] = {
    "holds": "two seeds or more (three for a curve), and the 95 % interval of every difference lies on the claimed "
    "side",
    "does not hold": "two seeds or more (three for a curve), and the interval of a difference lies on the other side",
    "undecided": "measured, but an interval reaches over, there are too few seeds, or a part was not run",
    "not run": "no run tests it",
}
SEEDS = 2  # fewer decide nothing
FACTOR = "factor"


@dataclass(frozen=True)
class Finding:
    """One difference on which a claim rests.

    ``leans``: whether the mean lies on the claimed side; ``decides``: whether the claim speaks of this corpus.
    """

    corpus: str
    what: str
    word: Word
    reason: str
    systems: tuple[str, ...]
    leans: bool | None = None
    difference: Difference | None = None
    unit: str = ""
    estimator: str = ""
    files: tuple[Path, ...] = ()
    decides: bool = True

    @property
    def effect(self) -> str:
        """The difference with its interval, as a reader wants it."""
        d = self.difference
        if d is None:
            return ""
        return (
            factor(d.mean, d.low, d.high) if self.unit == FACTOR else effect(d.mean, d.low, d.high, self.unit)
        )


def together(words: Iterator[Word] | Sequence[Word]) -> Word:
    """The verdict on a claim from those on its findings."""
    found = set(words)
    if "does not hold" in found:
        return "does not hold"
    if found == {"holds"}:
        return "holds"
    return "undecided" if found - {"not run"} else "not run"


@dataclass(frozen=True)
class Decision:
    """A verdict on one difference, with its reason."""

    word: Word
    reason: str
    leans: bool | None


def decide(found: Difference, above: bool | None, threshold: float = 0.0, seeds: int = SEEDS) -> Decision:
    """The rule: whether the difference lies above (below) the threshold; with None, on either side of it.

    With fewer than so many seeds it is undecided.
    """
    leans = None if above is None else (found.mean > threshold) == above
    if found.seeds < seeds or found.low is None or found.high is None:
        side = "" if leans is None else "; leans towards it" if leans else "; leans against it"
        few = "one seed only" if found.seeds == 1 else f"{found.seeds} seeds only"
        return Decision("undecided", f"{few}{side}", leans)
    if found.low <= threshold <= found.high:
        over = "zero" if threshold == 0 else "the tolerance"
        return Decision("undecided", f"the interval reaches over {over}", leans)
    if above is None or (found.low > threshold) == above:
        return Decision("holds", "the interval lies on the claimed side", leans)
    return Decision("does not hold", "the interval lies on the other side", leans)
