"""Intervals: over the texts of a corpus, over the seeds of a system, over both."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bench.base.seeds import derive_seed

Values = NDArray[np.float64]
LEVEL = 0.95
RESAMPLES = 4_000
CHUNK = 250  # resamples converted at once: bounds the memory at CHUNK x texts


def prediction_interval(values: Sequence[float], level: float = LEVEL) -> tuple[float, float]:
    """Where one further run would fall: mean +- t(n-1) s sqrt(1 + 1/n), for n >= 2 runs of other seeds.

    The printed number is one run too, so its spread counts as much as ours: not the interval of the mean.
    """
    return _student(values, level, further=1.0)


def mean_interval(values: Sequence[float], level: float = LEVEL) -> tuple[float, float]:
    """Where the mean over all seeds lies: mean +- t(n-1) s / sqrt(n), for n >= 2 runs of other seeds."""
    return _student(values, level, further=0.0)


def _student(values: Sequence[float], level: float, further: float) -> tuple[float, float]:
    sample = np.asarray(values, dtype=np.float64)
    n = len(sample)
    if n < 2:
        raise ValueError("an interval over seeds needs two runs")
    half = stats.t.ppf(0.5 + level / 2, n - 1) * sample.std(ddof=1) * np.sqrt(further + 1 / n)
    return float(sample.mean() - half), float(sample.mean() + half)


@functools.lru_cache(maxsize=4)
def _counts(texts: int) -> NDArray[np.uint8]:
    """How often each resample (RESAMPLES, texts) draws each text, with replacement."""
    generator = np.random.default_rng(derive_seed("resampled texts", texts))
    counts = np.empty((RESAMPLES, texts), dtype=np.uint8)  # a text is drawn once on average, never 256 times
    for row in counts:
        row[:] = np.bincount(generator.integers(0, texts, texts), minlength=texts)
    return counts


def resampled_sums(columns: Values) -> Values:
    """Sums (RESAMPLES, k) of ``columns`` (texts, k) over resamples of the texts.

    The resamples depend on the number of texts alone, so that runs on the same texts stay paired text by text. Sums of
    counts are whole: where nothing is counted they are 0, of which the products in float32 may miss a little.
    """
    centre = columns.mean(axis=0)
    counts, rest = _counts(len(columns)), (columns - centre).astype(np.float32)
    sums = [counts[i : i + CHUNK].astype(np.float32) @ rest for i in range(0, RESAMPLES, CHUNK)]
    summed: Values = np.concatenate(sums) + len(columns) * centre
    counted = (columns == np.rint(columns)).all(axis=0)
    summed[:, counted] = np.rint(summed[:, counted])
    return summed


@dataclass(frozen=True)
class Difference:
    """A difference, by seed and on average, with its 95 % interval if it has one."""

    by_seed: tuple[float, ...]
    low: float | None
    high: float | None
    texts: int | None

    @property
    def mean(self) -> float:
        """The average over seeds."""
        return sum(self.by_seed) / len(self.by_seed)

    @property
    def seeds(self) -> int:
        """How many seeds it rests on."""
        return len(self.by_seed)

    @property
    def excludes_zero(self) -> bool:
        """Whether there is an interval and it lies on one side of zero."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def difference(by_seed: Values, draws: Values | None, texts: int | None = None) -> Difference:
    """The average over seeds of ``by_seed`` (seeds,), with its interval.

    ``draws`` (seeds, RESAMPLES) are the same differences on resampled texts, None where there is no value per
    text. Seeds are resampled independently of texts (the pigeonhole bootstrap of Owen 2007), ends are
    percentiles. The bootstrap of few seeds is too narrow; hence, with two or more, the interval reaches at least
    as far as Student's t over the seeds. With one seed and no values per text there is none, nor where a number
    on resampled texts is not finite, as a perplexity of a model that did not learn.
    """
    ends: list[tuple[float, float]] = []
    seeds = len(by_seed)
    if draws is not None and np.isfinite(draws).all():
        generator = np.random.default_rng(derive_seed("resampled seeds", seeds))
        weights = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=RESAMPLES) / seeds
        means = np.einsum("rs,sr->r", weights, draws)
        low, high = np.quantile(means, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
        ends.append((float(low), float(high)))
    if seeds > 1:
        ends.append(mean_interval(by_seed.tolist()))
    return Difference(
        by_seed=tuple(by_seed.tolist()),
        low=min((low for low, _ in ends), default=None),
        high=max((high for _, high in ends), default=None),
        texts=texts,
    )


def holm(probabilities: Sequence[float]) -> list[float]:
    """Probabilities of several tests, each as if all were made together (Holm 1979).

    The k-th smallest of n is multiplied by n - k + 1; none is smaller than one before it, none above 1.
    """
    corrected = [0.0] * len(probabilities)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(probabilities)), key=probabilities.__getitem__)):
        largest = max(largest, min(1.0, (len(probabilities) - rank) * probabilities[index]))
        corrected[index] = largest
    return corrected
