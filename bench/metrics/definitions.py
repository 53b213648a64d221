"""What a measure declares: metrics, the estimators of each, and the kinds of texts that it shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.metrics.combine import OverTexts

Validity = Literal["exact", "consistent", "upper bound", "lower bound", "not a bound"]
NATS = "nats per text"
DECODED, TRAINING_TEXTS = "texts decoded from codes of the prior", "texts of the training split"
LAST = 1000  # the place of a metric that does not say where it stands

# The lists of the report that a metric can be on: a system wherever it was run; paired differences; sign tests; the
# score that is set against that of a reference system.
Listed = Literal["overview", "pairs", "sign tests", "relative"]


@dataclass(frozen=True)
class Metric:
    """A measured quantity, whatever its estimator: its symbol, and between which numbers it must lie.

    ``place`` is where it stands among other metrics, the lowest first; ``lists`` are those that it is on.
    """

    name: str
    symbol: str
    least: float | None = None
    most: float | None = None
    place: int = LAST
    lists: tuple[Listed, ...] = ()


@dataclass(frozen=True)
class Definition:
    """One estimator of one metric.

    ``main`` marks the estimator that stands for the metric by default. ``over`` is how the number follows from
    values per text; None for a number that does not. ``needs`` are needs beyond those of the measure. ``cost`` is
    that of one measurement, in words. ``compared`` is the name of the values per text where two runs are compared
    text by text, by what each spends in nats; without one they are not. ``counted`` says what the texts are that the
    number is counted over where these are not texts of the measured split.
    """

    metric: str
    estimator: str
    unit: str
    validity: Validity
    definition: str
    bias: str | None = None
    better: Literal["lower", "higher"] | None = None
    main: bool = False
    cost: str = ""
    over: OverTexts | None = None
    needs: tuple[str, ...] = ()
    compared: str = ""
    counted: str = ""


@dataclass(frozen=True)
class TextKind:
    """A kind of shown texts, as the report presents it.

    ``upright``: each row is shown as a column, since its texts are steps of one path. ``marked``: decoded texts are
    shown with their differences from the sentence of the corpus in the same row.
    """

    name: str
    title: str
    about: str = ""
    upright: bool = False
    marked: bool = False


def base(estimator: str) -> str:
    """``importance-sampling-100`` without its number of samples."""
    name, _, number = estimator.rpartition("-")
    return name if number.isdecimal() and name else estimator
