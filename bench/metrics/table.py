"""Measurements and the table of values per text from which they are summarised."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas

from bench.metrics.definitions import DEFINITIONS, name_of

Z = 1.959963984540054  # 95 % of a normal distribution lie within


class Sheet:
    """Collects columns (one value per text) and measurements (one value per run)."""

    def __init__(self, split: str, words: np.ndarray, asked: frozenset[str] | None = None) -> None:
        """``words`` (texts,) are the lengths of the texts, without the end symbol.

        Only the measures that are ``asked`` for, by name, are recorded; None: all.
        """
        self.split, self.asked = split, asked
        self.columns: dict[str, np.ndarray] = {"index": np.arange(len(words)), "words": words}
        self.measurements: list[dict[str, Any]] = []

    @property
    def targets(self) -> np.ndarray:
        """Predicted tokens of each text: its words and one end symbol."""
        return self.columns["words"] + 1

    def add(
        self,
        metric: str,
        estimator: str,
        value: float,
        *,
        texts: int,
        samples: int | None = None,
        spread: tuple[float, float, float] | None = None,
        column: str | None = None,
        part: str | None = None,
    ) -> None:
        """Record one value; ``spread`` is (standard error, low, high), ``part`` one of several attributes."""
        what, measure = DEFINITIONS[metric, estimator], name_of(metric, estimator)
        if self.asked is not None and measure not in self.asked:
            return
        counted = f"{estimator}-{samples}" if estimator == "importance-sampling" else estimator
        error, low, high = spread or (None, None, None)
        self.measurements.append(
            {
                "measure": measure,
                "version": what.version,
                "metric": f"{metric}:{part}" if part else metric,
                "estimator": counted,
                "value": _number(value),
                "unit": what.unit,
                "validity": what.validity,
                "bias": what.bias,
                "better": what.better,
                "split": self.split,
                "texts": texts,
                "samples": samples,
                "standard_error": _number(error),
                "low": _number(low),
                "high": _number(high),
                "column": column,
                "definition": what.definition,
                "main": what.main,
            }
        )

    def add_mean(
        self, metric: str, estimator: str, column: str, samples: int | None = None, power: int = 1
    ) -> None:
        """The mean over texts of a column (to a power), with its normal interval over texts."""
        values = self.columns[column]
        values = values[~np.isnan(values)] ** power
        mean = float(values.mean())
        error = float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan
        spread = (error, mean - Z * error, mean + Z * error)
        self.add(metric, estimator, mean, texts=len(values), samples=samples, spread=spread, column=column)

    def add_perplexity(self, estimator: str, column: str, samples: int | None) -> None:
        """exp(sum of losses / sum of targets), with the interval of that ratio over texts."""
        losses, targets = self.columns[column], self.targets
        rate = losses.sum() / targets.sum()
        residual = (losses - rate * targets).std(ddof=1) / targets.mean() if len(losses) > 1 else math.nan
        error = float(residual / math.sqrt(len(losses)))
        spread = (float(math.exp(rate) * error), math.exp(rate - Z * error), math.exp(rate + Z * error))
        self.add(
            "ppl", estimator, math.exp(rate), texts=len(losses), samples=samples, spread=spread, column=column
        )

    def frame(self) -> pandas.DataFrame:
        """All columns, in single precision where they are not counts."""
        frame = pandas.DataFrame(self.columns)
        return frame.astype({c: "float32" for c in frame.columns if frame[c].dtype == np.float64})


def _number(value: float | None) -> float | None:
    """A finite number, or None: JSON has no NaN, and an unmeasured number is null."""
    return None if value is None or not math.isfinite(value) else float(value)
