"""What one measure hands over: numbers, columns of values per text, texts to show, histograms."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from bench.base.errors import unknown
from bench.metrics.combine import Summary, Values
from bench.metrics.definitions import Definition, base
from bench.metrics.measures import Measure
from bench.store.shown import Shown, ShownColumn


class Record:
    """The result of one measure on one split."""

    def __init__(self, measure: Measure, split: str, words: np.ndarray, seed: int) -> None:
        """``words`` (texts,): lengths of the texts, without the end symbol; ``seed``: of resamplings of texts."""
        self.measure, self.split, self._seed = measure, split, seed
        self._words = words
        self.columns: dict[str, Values] = {}
        self.measurements: list[dict[str, Any]] = []
        self.shown: list[Shown] = []
        self.histograms: dict[str, Any] = {}

    def add(
        self,
        metric: str,
        estimator: str,
        value: float | None = None,
        *,
        texts: int | None = None,
        samples: int | None = None,
        part: str | None = None,
    ) -> None:
        """Record a number; ``part`` names one of several things that the metric is of, as one of several attributes.

        A number that follows from columns of values per text is computed here, with its interval; any other is
        given, with the number of ``texts`` that it rests on. ``samples``: codes per text, None where none were
        drawn. Raises :class:`BenchError` for an estimator that the measure does not declare.
        """
        what = self._definition(metric, estimator)
        if what.over is not None:
            values = what.over.per_text({"words": self._words} | self.columns)
            found = what.over.summary(values, self._seed)
        else:
            found = Summary(math.nan if value is None else value, *(math.nan,) * 3, texts or 0)
        self.add_summary(metric, estimator, found, samples=samples, part=part)

    def add_summary(
        self,
        metric: str,
        estimator: str,
        found: Summary,
        *,
        samples: int | None = None,
        part: str | None = None,
    ) -> None:
        """Record a number whose interval the measure has computed itself."""
        what = self._definition(metric, estimator)
        counted = f"{estimator}-{samples}" if estimator == "importance-sampling" else estimator
        columns = what.over.columns if what.over is not None else ()
        self.measurements.append(
            {
                "measure": self.measure.name,
                "version": self.measure.version,
                "metric": metric,
                "part": part,
                "estimator": counted,
                "value": _number(found.value),
                "unit": what.unit,
                "validity": what.validity,
                "bias": what.bias,
                "better": what.better,
                "split": self.split,
                "texts": found.texts,
                "samples": samples,
                "standard_error": _number(found.error),
                "low": _number(found.low),
                "high": _number(found.high),
                "column": columns[0] if len(columns) == 1 else None,
                "definition": what.definition,
                "main": what.main,
            }
        )

    def show(self, kind: str, columns: Sequence[ShownColumn], rows: Iterable[Sequence[Any]]) -> None:
        """Keep texts to be shown. Raises :class:`BenchError` for a kind that the measure does not declare."""
        known = [one.name for one in self.measure.shows]
        if kind not in known:
            raise unknown("kind of texts", kind, known, where=f"measure {self.measure.name}")
        self.shown.append(Shown(kind=kind, columns=list(columns), rows=[list(row) for row in rows]))

    def given(self) -> set[tuple[str, str]]:
        """The estimators of which there is a number, as (metric, estimator)."""
        return {(one["metric"], base(one["estimator"])) for one in self.measurements}

    def _definition(self, metric: str, estimator: str) -> Definition:
        for found in self.measure.gives:
            if (found.metric, found.estimator) == (metric, estimator):
                return found
        known = [f"{found.metric}, {found.estimator}" for found in self.measure.gives]
        raise unknown("estimator", f"{metric}, {estimator}", known, where=f"measure {self.measure.name}")


def _number(value: float | None) -> float | None:
    """A finite number, or None: JSON has no NaN, and an unmeasured number is null."""
    return None if value is None or not math.isfinite(value) else float(value)
