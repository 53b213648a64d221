"""The one rule that turns measurements and a printed number into a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bench.analysis.statistics import prediction_interval

Limits = tuple[float | None, float | None]
Word = Literal[
    "reproduced",
    "better",
    "worse",
    "different",
    "undecided, close",
    "undecided, far",
    "undecided",
    "not comparable",
    "failed",
    "not measured",
    "not run",
    "not printed",
]

# What each verdict means: the legend of the report, in the order of the legend.
MEANINGS: dict[Word, str] = {
    "reproduced": "the printed number lies inside the 95 % prediction interval for one run, or our only run "
    "agrees with it to the decimals printed (or within the noise floor)",
    "better": "outside that interval, and ours is on the better side",
    "worse": "outside that interval, and ours is on the worse side",
    "different": "outside that interval, for a quantity of which neither more nor less is better",
    "undecided, close": "one seed only; the printed number lies inside the 95 % interval over texts, "
    "which does not see the spread over seeds",
    "undecided, far": "one seed only; the printed number lies outside the 95 % interval over texts",
    "undecided": "one seed only, and this quantity has no interval over texts",
    "not comparable": "measured, but not under the paper's budget, not on the printed corpus or split, by an "
    "estimator that bounds nothing, or in another unit than the printed one",
    "failed": "the run was started and did not finish",
    "not measured": "the run finished but holds no such measurement",
    "not run": "there is no run",
    "not printed": "measured; the paper printed no number here",
}

# What the overview counts; every verdict belongs to one of them, but for cells without a printed number.
GROUPS: dict[str, tuple[Word, ...]] = {
    "reproduced": ("reproduced",),
    "refuted": ("better", "worse", "different"),
    "undecided": ("undecided, close", "undecided, far", "undecided"),
    "not comparable": ("not comparable",),
    "failed": ("failed",),
    "not run": ("not run", "not measured"),
}

ROUNDING = 1e-9  # numbers that differ by less agree: guards the edge of an interval against float error


@dataclass(frozen=True)
class Evidence:
    """All that a verdict rests on. ``values``: one per finished seed, in the unit and scale of the print.

    ``noise``: the noise floor, 0 where no run was repeated; ``limits``: between which the quantity must lie.
    """

    values: Sequence[float]
    reported: float | None
    decimals: int
    better: Literal["lower", "higher"] | None = None
    over_texts: tuple[float, float] | None = None
    absent: tuple[Word, str] | None = None
    incomparable: str | None = None
    noise: float = 0.0
    limits: Limits = (None, None)


@dataclass(frozen=True)
class Verdict:
    """A verdict with its reason and the 95 % interval beside the measured number."""

    word: Word
    reason: str
    low: float | None = None
    high: float | None = None
    interval: str = ""


def judge(evidence: Evidence) -> Verdict:
    """The verdict on one cell of a printed table.

    With n >= 2 seeds: the prediction interval for one run, mean +- t(0.975, n-1) s sqrt(1 + 1/n), widened by
    half a unit of the last printed decimal and by the noise floor; the printed number inside it is
    reproduced. With one seed only agreement to the printed decimals (or the noise floor) is; everything else
    stays undecided, since texts do not show the spread over seeds. Of an interval that reaches beyond what the
    quantity can be, only the possible part is shown.
    """
    if not evidence.values:
        word, reason = evidence.absent or ("not run", "no run")
        return Verdict(word, reason)
    low, high, interval = _interval(evidence)
    if evidence.incomparable:
        word, reason = "not comparable", evidence.incomparable
    elif evidence.reported is None:
        word, reason = "not printed", MEANINGS["not printed"]
    elif len(evidence.values) >= 2:
        word, reason = _of_seeds(evidence, low, high)
    else:
        word, reason = _of_one(evidence, low, high)
    return Verdict(word, reason, low, high, interval)


def half_unit(decimals: int) -> float:
    """Half a unit of the last printed decimal."""
    return 0.5 * 10.0**-decimals


def slack(evidence: Evidence) -> float:
    """By how much each end is widened: the rounding of the print and the noise floor."""
    return half_unit(evidence.decimals) + evidence.noise + ROUNDING


def _interval(evidence: Evidence) -> tuple[float | None, float | None, str]:
    if len(evidence.values) >= 2:
        seeds = len(evidence.values)
        return _possible(
            *prediction_interval(evidence.values), f"prediction for one run, from {seeds} seeds", evidence
        )
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


def _inside(reported: float, low: float | None, high: float | None, evidence: Evidence) -> bool:
    if low is None or high is None:
        return False
    return low - slack(evidence) <= reported <= high + slack(evidence)


def _of_seeds(evidence: Evidence, low: float | None, high: float | None) -> tuple[Word, str]:
    reported, values = evidence.reported, evidence.values
    assert reported is not None
    if _inside(reported, low, high, evidence):
        return "reproduced", "the printed number lies inside the 95 % prediction interval for one run"
    if evidence.better is None:
        return "different", MEANINGS["different"]
    lower = sum(values) / len(values) < reported
    word: Word = "better" if lower == (evidence.better == "lower") else "worse"
    return word, MEANINGS[word]


def _of_one(evidence: Evidence, low: float | None, high: float | None) -> tuple[Word, str]:
    reported = evidence.reported
    assert reported is not None
    distance = abs(evidence.values[0] - reported)
    if distance <= half_unit(evidence.decimals) + ROUNDING:
        return "reproduced", "our only run agrees with the printed number to the decimals printed"
    if distance <= slack(evidence):
        return "reproduced", "our only run agrees with the printed number within rounding and noise floor"
    if low is None:
        return "undecided", MEANINGS["undecided"]
    close = _inside(reported, low, high, evidence)
    word: Word = "undecided, close" if close else "undecided, far"
    return word, MEANINGS[word]
