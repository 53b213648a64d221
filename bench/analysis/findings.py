"""Findings: the differences on which a claim rests, and the one rule that judges each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from scipy import stats

from bench.analysis.numbers import effect, factor
from bench.analysis.statistics import LEVEL, Difference, holm

Word = Literal["holds", "does not hold", "undecided", "not run"]
MEANINGS: dict[Word, str] = {
    "holds": "two seeds or more (three for a curve), and the 95 % interval of every difference lies on the claimed "
    "side",
    "does not hold": "two seeds or more (three for a curve), and the interval of a difference lies on the other side, "
    "of several differences also after correction for their number (Holm)",
    "undecided": "measured, but an interval reaches over, there are too few seeds, or a part was not run",
    "not run": "no run tests it",
}
SEEDS = 2  # fewer decide nothing
FACTOR = "factor"


@dataclass(frozen=True)
class Finding:
    """One difference on which a claim rests.

    ``leans``: whether the mean lies on the claimed side; ``p``: how likely a mean so far from the threshold is by
    chance; ``decides``: whether the claim speaks of this corpus; ``witness``: equal for findings on the same trainings.
    """

    corpus: str
    what: str
    word: Word
    reason: str
    systems: tuple[str, ...]
    leans: bool | None = None
    p: float | None = None
    difference: Difference | None = None
    unit: str = ""
    estimator: str = ""
    files: tuple[Path, ...] = ()
    decides: bool = True
    witness: tuple[str, ...] = ()

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


def corrected(findings: Sequence[Finding]) -> list[Word]:
    """The words of the findings on which a claim rests, a refutation that their number may explain undecided.

    One of many differences lies on the other side by chance: so that a true claim is refuted in at most 5 % of cases,
    the probabilities are corrected for the number of differences tested (Holm 1979). That all of them hold needs no
    correction: each has to.
    """
    tested = [finding.p for finding in findings if finding.p is not None]
    probabilities = iter(holm(tested))
    known = [None if finding.p is None else next(probabilities) for finding in findings]
    return [
        "undecided" if finding.word == "does not hold" and p is not None and p >= 1 - LEVEL else finding.word
        for finding, p in zip(findings, known, strict=True)
    ]


@dataclass(frozen=True)
class Share:
    """How many of several comparisons lie on the claimed side, with the exact 95 % interval of that share."""

    towards: int
    of: int

    @property
    def interval(self) -> tuple[float, float]:
        """Of Clopper and Pearson (1934)."""
        found = stats.binomtest(self.towards, self.of).proportion_ci(LEVEL)
        return float(found.low), float(found.high)

    def __str__(self) -> str:
        low, high = self.interval
        share = f"{100 * self.towards / self.of:.0f} % [{100 * low:.0f}, {100 * high:.0f}]"
        return f"{self.towards} of {self.of} comparisons of different trainings on the claimed side: {share}"


def share_of(findings: Sequence[Finding]) -> Share | None:
    """The share of comparisons whose differences lie on the claimed side; None for fewer than two.

    Differences of the same trainings are one comparison, on the side where more of them lie.
    """
    sides: dict[tuple[str, ...], list[bool]] = {}
    for finding in findings:
        if finding.leans is not None and finding.difference is not None:
            witness = finding.witness or (finding.corpus, *finding.systems)
            sides.setdefault(witness, []).append(finding.leans)
    votes = [2 * sum(leans) - len(leans) for leans in sides.values()]
    counted = [vote > 0 for vote in votes if vote]
    return Share(sum(counted), len(counted)) if len(counted) > 1 else None


@dataclass(frozen=True)
class Decision:
    """A verdict on one difference, with its reason and its probability by chance, where there are seeds enough."""

    word: Word
    reason: str
    leans: bool | None
    p: float | None = None


def decide(found: Difference, above: bool | None, threshold: float = 0.0, seeds: int = SEEDS) -> Decision:
    """The rule: whether the difference lies above (below) the threshold; with None, on either side of it.

    With fewer than so many seeds it is undecided.
    """
    leans = None if above is None else (found.mean > threshold) == above
    if found.seeds < seeds or found.low is None or found.high is None:
        side = "" if leans is None else "; leans towards it" if leans else "; leans against it"
        few = "one seed only" if found.seeds == 1 else f"{found.seeds} seeds only"
        return Decision("undecided", f"{few}{side}", leans)
    p = _probability(found.mean - threshold, found.mean - found.low, found.high - found.mean, found.seeds)
    if found.low <= threshold <= found.high:
        over = "zero" if threshold == 0 else "the tolerance"
        return Decision("undecided", f"the interval reaches over {over}", leans, p)
    if above is None or (found.low > threshold) == above:
        return Decision("holds", "the interval lies on the claimed side", leans, p)
    beyond = "" if threshold == 0 else " of the tolerance"
    return Decision("does not hold", f"the interval lies on the other side{beyond}", leans, p)


def _probability(distance: float, below: float, above: float, seeds: int) -> float:
    """Two-sided, of a mean so far from the threshold: below 5 % where the 95 % interval does not reach it.

    The interval reaches t(0.975) standard errors, of Student's t with one degree of freedom less than seeds.
    """
    half = below if distance > 0 else above
    if half <= 0:
        return 0.0 if distance else 1.0
    quantile = float(stats.t.ppf(0.5 + LEVEL / 2, seeds - 1))
    return float(2 * stats.t.sf(abs(distance) / half * quantile, seeds - 1))
