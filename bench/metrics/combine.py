"""How a number of a run follows from values of its texts: a mean, a perplexity, a statistic of counts.

Each names the columns of ``sentences.parquet`` that it needs. Sums over texts are enough for it: that is why texts
can be resampled, and two systems compared text by text. Over seeds, every number is averaged.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

Values = np.ndarray[Any, Any]
Table = Any  # columns by name, a mapping or a frame: one value for each text
Z = 1.959963984540054  # 95 % of a normal distribution lie within
_LARGEST = 300.0  # of an exponent that is still a number
DRAWS = 1000  # resamplings of the texts behind an interval


class Summary(NamedTuple):
    """A number over texts with its standard error and 95 % interval, and how many texts it rests on."""

    value: float
    error: float
    low: float
    high: float
    texts: int


class OverTexts(Protocol):
    """How a number follows from columns of values per text."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it needs, besides ``words``."""
        ...

    def per_text(self, table: Table) -> Values:
        """Values (texts, k) whose sums over texts give the number; NaN for a text without a value."""
        ...

    def of_sums(self, sums: Values, texts: int) -> Values:
        """The number (...) from sums over ``texts`` texts (..., k)."""
        ...

    def summary(self, values: Values, seed: int) -> Summary:
        """The number of values (texts, k) with its interval over texts; ``seed`` is that of a resampling."""
        ...


@dataclass(frozen=True)
class Mean:
    """The mean over texts of a column, to a power, with its normal interval: of squares, on a log scale.

    A text without a value (NaN) leaves the whole number without one, as in every other statistic; only of a
    ``partial`` column, which some texts cannot have or were not asked for, the others are left out and not counted.
    """

    column: str
    power: int = 1
    partial: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    def per_text(self, table: Table) -> Values:
        """Values (texts, 1)."""
        values = np.asarray(table[self.column], dtype=np.float64)
        kept: Values = values[~np.isnan(values)] if self.partial else values
        return kept[:, None] ** self.power

    def of_sums(self, sums: Values, texts: int) -> Values:
        """The sum over the number of texts."""
        mean: Values = sums[..., 0] / texts
        return mean

    def summary(self, values: Values, seed: int) -> Summary:
        """Mean, standard error, mean plus and minus 1.96 standard errors; of squares, those of its logarithm."""
        column = values[:, 0]
        mean = float(column.mean())
        error = float(column.std(ddof=1) / math.sqrt(len(column))) if len(column) > 1 else math.nan
        if self.power == 2 and mean > 0:  # few large squares make the error large, yet no end can be below 0
            factor = math.exp(min(Z * error / mean, _LARGEST))
            return Summary(mean, error, mean / factor, mean * factor, len(column))
        return Summary(mean, error, mean - Z * error, mean + Z * error, len(column))


@dataclass(frozen=True)
class Perplexity:
    """exp(sum of losses / sum of targets); the targets of a text are its words and one end symbol."""

    column: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The column of losses."""
        return (self.column,)

    def per_text(self, table: Table) -> Values:
        """Losses and targets (texts, 2)."""
        losses, words = (np.asarray(table[name], dtype=np.float64) for name in (self.column, "words"))
        return np.stack([losses, words + 1], axis=1)

    def of_sums(self, sums: Values, texts: int) -> Values:
        """The exponential of the ratio."""
        with np.errstate(over="ignore"):  # such a difference of two runs has no interval over texts
            perplexity: Values = np.exp(sums[..., 0] / sums[..., 1])
        return perplexity

    def summary(self, values: Values, seed: int) -> Summary:
        """The perplexity with the interval of the ratio over texts, by the delta method."""
        losses, targets = values.T
        rate = losses.sum() / targets.sum()
        residual = (losses - rate * targets).std(ddof=1) / targets.mean() if len(losses) > 1 else math.nan
        error = float(residual / math.sqrt(len(losses)))
        with np.errstate(over="ignore"):  # a perplexity without end is none, and is left out of the record
            value, low, high = (float(np.exp(end)) for end in (rate, rate - Z * error, rate + Z * error))
        return Summary(value, value * error, low, high, len(losses))


@dataclass(frozen=True)
class OfCounts:
    """A statistic of counts that are summed over texts, as BLEU is; its interval is that of resampled texts."""

    columns: tuple[str, ...]
    statistic: Callable[[Values], Values]

    def per_text(self, table: Table) -> Values:
        """Counts (texts, k)."""
        return np.stack([np.asarray(table[name]) for name in self.columns], axis=1)

    def of_sums(self, sums: Values, texts: int) -> Values:
        """The statistic of the summed counts."""
        return self.statistic(sums)

    def summary(self, values: Values, seed: int) -> Summary:
        """The statistic, with the quantiles of it over resampled texts."""
        random = np.random.Generator(np.random.PCG64(seed))
        weights = random.multinomial(len(values), np.full(len(values), 1 / len(values)), size=DRAWS)
        drawn = self.statistic(weights @ values)
        low, high = np.quantile(drawn, [0.025, 0.975])
        value = float(self.statistic(values.sum(0)))
        return Summary(value, float(drawn.std(ddof=1)), float(low), float(high), len(values))
