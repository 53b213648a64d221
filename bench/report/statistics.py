"""Intervals and paired tests: over the texts of a corpus, over the seeds of a system, over both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Values = NDArray[np.float64]
LEVEL = 0.95
RESAMPLES = 10_000
CHUNK = 250  # resamples drawn at once: bounds the memory at CHUNK x texts


def prediction_interval(values: Sequence[float], level: float = LEVEL) -> tuple[float, float]:
    """Where one further run would fall: mean +- t(n-1) s sqrt(1 + 1/n), for n >= 2 runs of other seeds.

    The printed number is one run too, so its spread counts as much as ours: not the interval of the mean.
    """
    sample = np.asarray(values, dtype=np.float64)
    n = len(sample)
    if n < 2:
        raise ValueError("a prediction interval needs two runs")
    half = stats.t.ppf(0.5 + level / 2, n - 1) * sample.std(ddof=1) * np.sqrt(1 + 1 / n)
    return float(sample.mean() - half), float(sample.mean() + half)


@dataclass(frozen=True)
class Difference:
    """Twin minus baseline, on the same texts: mean and 95 % bootstrap interval."""

    mean: float
    low: float
    high: float
    texts: int
    seeds: int

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of zero."""
        return self.low > 0 or self.high < 0


def paired_difference(
    baseline: Mapping[int, Values], twin: Mapping[int, Values], seed: int, level: float = LEVEL
) -> Difference:
    """Bootstrap of the mean of twin - baseline, over texts and, with several seeds, over seeds.

    ``baseline`` and ``twin`` hold one array (texts,) per seed, the same texts in the same order. Seeds that
    both have are paired, others left out; if they share none, each side is averaged over its seeds and only
    texts are resampled. Texts and seeds are resampled independently (the pigeonhole bootstrap of Owen 2007),
    ends are percentiles.
    """
    common = sorted(set(baseline) & set(twin))
    if common:
        rows = np.stack([twin[s] - baseline[s] for s in common])
    else:
        rows = (np.mean(list(twin.values()), axis=0) - np.mean(list(baseline.values()), axis=0))[None]
    means = _resampled_means(rows, np.random.default_rng(seed))
    low, high = np.quantile(means, [0.5 - level / 2, 0.5 + level / 2])
    return Difference(float(rows.mean()), float(low), float(high), rows.shape[1], len(rows))


def _resampled_means(rows: Values, generator: np.random.Generator) -> Values:
    """Means (RESAMPLES,) of ``rows`` (seeds, texts) with both axes drawn anew with replacement."""
    seeds, texts = rows.shape
    means = []
    for start in range(0, RESAMPLES, CHUNK):
        size = min(CHUNK, RESAMPLES - start)
        of_texts = generator.multinomial(texts, np.full(texts, 1 / texts), size=size) / texts
        of_seeds = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=size) / seeds
        means.append(np.einsum("rs,rs->r", of_texts @ rows.T, of_seeds))
    return np.concatenate(means)
