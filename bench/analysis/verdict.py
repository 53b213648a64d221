"""The one rule that turns measurements and a printed number into a verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from scipy import stats

from bench.analysis.spread import Spread, moderated, own_spread
from bench.catalog.quantities import half_unit

Limits = tuple[float | None, float | None]
Word = Literal[
    "reproduced",
    "better",
    "worse",
    "different",
    "undecided",
    "not comparable",
    "failed",
    "not measured",
    "not run",
    "not printed",
]

# What each verdict means: the legend of the report, in the order of the legend.
MEANINGS: dict[Word, str] = {
    "reproduced": "the 90 % interval of our number minus the printed one lies within the margin: a larger "
    "difference is excluded at the level of 5 %",
    "better": "that interval lies beyond the margin, and ours is on the better side",
    "worse": "that interval lies beyond the margin, and ours is on the worse side",
    "different": "that interval lies beyond the margin, for a quantity of which neither more nor less is better",
    "undecided": "that interval reaches over the margin, or nothing is known of the spread over seeds; the cell says "
    "how many more seeds would decide",
    "not comparable": "measured, but not under the paper's budget, not on the printed corpus or split, by an "
    "estimator that bounds nothing and is not the paper's own, or in another unit than the printed one",
    "failed": "the run was started and did not finish",
    "not measured": "nothing here measures it, or the run that finished holds no such number",
    "not run": "there is no run",
    "not printed": "measured; the paper printed no number here",
}

# What the overview counts; every verdict belongs to one of them, but for cells without a printed number.
GROUPS: dict[str, tuple[Word, ...]] = {
    "reproduced": ("reproduced",),
    "refuted": ("better", "worse", "different"),
    "undecided": ("undecided",),
    "not comparable": ("not comparable",),
    "failed": ("failed",),
    "not run": ("not run", "not measured"),
}
DECIDED = (*GROUPS["reproduced"], *GROUPS["refuted"])
JUDGED = (*DECIDED, *GROUPS["undecided"])

ERROR = 0.05  # of each side of the interval: how often a difference on the margin gets either verdict
UNKNOWN_SPREAD = "the spread over seeds is unknown: no system of this column has two runs that differ"
MOST_SEEDS = 30  # more are not suggested
NEVER = f"{MOST_SEEDS} more seeds would not: the printed number is too uncertain itself"
ROUNDING = 1e-9  # guards the edge of the margin against float error


@dataclass(frozen=True)
class Margin:
    """How far our number may lie from the printed one and still be the same, in the unit of the print."""

    value: float
    source: str


@dataclass(frozen=True)
class Evidence:
    """All that a verdict rests on. ``values``: one per finished seed, in the unit and scale of the print.

    ``slack``: how far rounding can have moved the printed number (None: half a unit of its last decimal);
    ``spread``: what the systems of the column have in common; ``printed_runs``: of how many runs the printed number is
    the mean; ``limits``: between which the quantity must lie; ``over_texts``: the 95 % interval over texts of a single
    run, for display.
    """

    values: Sequence[float]
    reported: float | None
    decimals: int
    better: Literal["lower", "higher"] | None = None
    margin: Margin | None = None
    spread: Spread | None = None
    printed_runs: int = 1
    over_texts: tuple[float, float] | None = None
    absent: tuple[Word, str] | None = None
    incomparable: str | None = None
    limits: Limits = (None, None)
    slack: float | None = None


@dataclass(frozen=True)
class Verdict:
    """A verdict with its reason and the 95 % interval beside the measured number.

    ``seeds_needed``: how many more seeds would decide, at the difference and the spread seen; None where it is
    decided or where no number up to ``MOST_SEEDS`` would.
    """

    word: Word
    reason: str
    low: float | None = None
    high: float | None = None
    interval: str = ""
    seeds_needed: int | None = None


def judge(evidence: Evidence) -> Verdict:
    """The verdict on one cell of a printed table: two one-sided tests of equivalence, and their mirror.

    The difference d of our mean over n seeds from the printed number, a mean over k runs (one where the paper names
    no number), has the standard error sqrt(s^2 (1/k + 1/n) + u^2), with s the spread over seeds and
    u^2 = slack^2 / 3, the variance of a rounding error that lies anywhere within the slack (half a unit of the last
    printed decimal, more where the print was rounded more than once). With t of its degrees of freedom at 95 %,
    reproduced is d +- t SE inside the margin, refuted is d +- t SE wholly beyond it, each wrong in about 5 % of
    cases where the true difference is the margin; everything else is undecided (Schuirmann 1987).
    """
    if not evidence.values:
        word, reason = evidence.absent or ("not run", "no run")
        return Verdict(word, reason)
    spread = moderated(own_spread(evidence.values), evidence.spread)
    low, high, interval = _interval(evidence, spread)
    needed = None
    if evidence.incomparable:
        word, reason = "not comparable", evidence.incomparable
    elif evidence.reported is None:
        word, reason = "not printed", MEANINGS["not printed"]
    else:
        word, reason, needed = _decided(evidence, spread)
    return Verdict(word, reason, low, high, interval, needed)


def half_width(evidence: Evidence, spread: Spread, seeds: int) -> float:
    """Half of the 90 % interval of our mean over so many seeds minus the printed number."""
    slack = half_unit(evidence.decimals) if evidence.slack is None else evidence.slack
    error = math.sqrt(spread.variance * (1 / seeds + 1 / evidence.printed_runs) + slack**2 / 3)
    return float(stats.t.ppf(1 - ERROR, spread.freedom)) * error


def _decided(evidence: Evidence, spread: Spread | None) -> tuple[Word, str, int | None]:
    assert evidence.reported is not None
    seeds = len(evidence.values)
    difference = sum(evidence.values) / seeds - evidence.reported
    if spread is None:
        return "undecided", UNKNOWN_SPREAD, None
    if evidence.margin is None:
        return "undecided", "no margin is known: this column of the table compares no pair of systems", None
    margin, half = evidence.margin.value, half_width(evidence, spread, seeds)
    digits = evidence.decimals + 2
    what = f"{difference:+.{digits}f} ± {half:.{digits}f}, {_whose(seeds, spread)}"
    side = _side(abs(difference), half, margin)
    if side == "within":
        return "reproduced", f"{what}: within the margin", None
    if side == "beyond":
        return _refuted(evidence, difference), f"{what}: beyond the margin", None
    needed = _seeds_needed(evidence, spread, abs(difference))
    more = f"{needed} more seed{'s' if needed != 1 else ''} would decide" if needed else NEVER
    return "undecided", f"{what}: reaches over the margin; {more}", needed


def _side(distance: float, half: float, margin: float) -> Literal["within", "beyond", "over"]:
    if distance + half <= margin + ROUNDING:
        return "within"
    return "beyond" if distance - half > margin + ROUNDING else "over"


def _refuted(evidence: Evidence, difference: float) -> Word:
    if evidence.better is None:
        return "different"
    return "better" if (difference < 0) == (evidence.better == "lower") else "worse"


def _whose(seeds: int, spread: Spread) -> str:
    """Whose spread it is: a single run is judged by that of others, and says so."""
    if seeds == 1:
        others = "another system" if spread.systems == 1 else f"{spread.systems} other systems"
        return f"one run, judged by the spread of {others}"
    return f"{seeds} seeds" + (f", spread shared with {spread.systems} systems" if spread.systems > 1 else "")


def _seeds_needed(evidence: Evidence, spread: Spread, distance: float) -> int | None:
    assert evidence.margin is not None
    seeds = len(evidence.values)
    for more in range(1, MOST_SEEDS + 1):
        wider = replace(spread, freedom=spread.freedom + more)
        if _side(distance, half_width(evidence, wider, seeds + more), evidence.margin.value) != "over":
            return more
    return None


def _interval(evidence: Evidence, spread: Spread | None) -> tuple[float | None, float | None, str]:
    """Where one further run would fall in 95 % of cases, from the seeds; of one run, its interval over texts."""
    seeds = len(evidence.values)
    if seeds >= 2 and spread is not None:
        half = float(stats.t.ppf(0.975, spread.freedom)) * math.sqrt(spread.variance * (1 + 1 / seeds))
        mean = sum(evidence.values) / seeds
        return _possible(mean - half, mean + half, f"prediction for one run, from {seeds} seeds", evidence)
    if evidence.over_texts is not None:
        return _possible(*evidence.over_texts, "over texts, one seed", evidence)
    return None, None, ""


def _possible(low: float, high: float, name: str, evidence: Evidence) -> tuple[float, float, str]:
    """The part of an interval that the quantity can take, never without our own numbers."""
    least, most = evidence.limits
    inner = low if least is None else min(max(low, least), *evidence.values)
    outer = high if most is None else max(min(high, most), *evidence.values)
    cut = [f"{end:g}" for end, moved in ((least, inner > low), (most, outer < high)) if moved]
    return inner, outer, f"{name}; cut at {' and '.join(cut)}, its limit" if cut else name
