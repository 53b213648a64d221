"""Systems over all corpora and seeds: relative perplexity, its interquartile mean and its profile.

Agarwal et al. (2021) aggregate scores of few runs on several tasks: a score per run that means the same on every
task, the mean of its middle half, an interval from a bootstrap that resamples the runs of each task by themselves
(stratified), and the share of runs that reach each threshold (the profile). Here a task is a corpus, a run is a seed,
and the score is the perplexity over that of a reference system on the same corpus. The bootstrap of few runs is too
narrow: of two it never leaves them, and covers half of the time. Hence the interval reaches at least as far as
Student's t over the runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from bench.analysis.pairs import Pairing, Setting
from bench.analysis.statistics import LEVEL, RESAMPLES, Values
from bench.base.seeds import derive_seed
from bench.metrics.measures import on_list

THRESHOLDS = 101


@dataclass(frozen=True)
class Aggregate:
    """One system of one source: relative perplexities (lower is better) by corpus, one per seed."""

    system: str
    scores: dict[str, tuple[float, ...]]
    mean: float
    low: float | None
    high: float | None

    @property
    def runs(self) -> int:
        """How many runs it rests on."""
        return sum(map(len, self.scores.values()))


@dataclass(frozen=True)
class Aggregates:
    """The systems of one source (origin and tier) that were run on all of its corpora, the best first.

    ``corpora_left_out``: those of its corpora on which the reference was not run.
    """

    source: tuple[str, str]
    reference: str
    corpora: tuple[str, ...]
    systems: tuple[Aggregate, ...]
    left_out: tuple[str, ...]
    corpora_left_out: tuple[str, ...]
    thresholds: tuple[float, ...]
    profiles: dict[str, tuple[float, ...]]


def aggregates(pairings: Mapping[Setting, Pairing], reference: str) -> list[Aggregates]:
    """For each source with the reference system and more than one corpus or seed."""
    by_source: dict[tuple[str, str], dict[str, Pairing]] = {}
    for (origin, tier, _, corpus), pairing in pairings.items():
        by_source.setdefault((origin, tier), {})[corpus] = pairing
    found = (_of_source(source, by_corpus, reference) for source, by_corpus in by_source.items())
    return [one for one in found if one is not None]


def _of_source(
    source: tuple[str, str], by_corpus: Mapping[str, Pairing], reference: str
) -> Aggregates | None:
    relative: dict[str, dict[str, tuple[float, ...]]] = {}
    corpora = []
    for corpus, pairing in by_corpus.items():
        base = _perplexities(pairing, reference)
        if not base:
            continue
        corpora.append(corpus)
        for system in pairing.runs:
            if values := _perplexities(pairing, system):
                scores = tuple(value / float(np.mean(base)) for value in values)
                relative.setdefault(system, {})[corpus] = scores
    everywhere = {system: s for system, s in relative.items() if len(s) == len(corpora)}
    if len(corpora) < 2 and all(len(v) < 2 for scores in everywhere.values() for v in scores.values()):
        return None
    systems = sorted((_aggregate(system, s) for system, s in everywhere.items()), key=lambda one: one.mean)
    thresholds = _thresholds([score for s in everywhere.values() for v in s.values() for score in v])
    return Aggregates(
        source,
        reference,
        tuple(corpora),
        tuple(systems),
        tuple(system for system in relative if system not in everywhere),
        tuple(corpus for corpus in by_corpus if corpus not in corpora),
        thresholds,
        {one.system: profile(one.scores, thresholds) for one in systems},
    )


def _perplexities(pairing: Pairing, system: str) -> list[float]:
    (metric,) = on_list("relative")
    measured = (pairing.find(run, metric) for run in pairing.runs.get(system, ()))
    return [float(m.value) for m in measured if m is not None and m.value is not None]


def interquartile_mean(scores: Sequence[float]) -> float:
    """The mean of the middle half: a quarter is cut off at each end, rounded down."""
    return float(stats.trim_mean(scores, 0.25))


def _aggregate(system: str, scores: dict[str, tuple[float, ...]]) -> Aggregate:
    pooled = [score for values in scores.values() for score in values]
    low, high = stratified_interval(list(scores.values()))
    return Aggregate(system, scores, interquartile_mean(pooled), low, high)


def stratified_interval(strata: Sequence[Sequence[float]]) -> tuple[float | None, float | None]:
    """95 % of the interquartile mean when each stratum is resampled by itself, at least as far as Student's t.

    None where a stratum has one value only: its spread is not known.
    """
    if any(len(values) < 2 for values in strata):
        return None, None
    generator = np.random.default_rng(derive_seed("stratified", *(len(values) for values in strata)))
    samples = [np.asarray(values, dtype=np.float64) for values in strata]
    drawn = [sample[generator.integers(0, len(sample), (RESAMPLES, len(sample)))] for sample in samples]
    means = stats.trim_mean(np.concatenate(drawn, axis=1), 0.25, axis=1)
    low, high = np.quantile(means, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
    centre, half = interquartile_mean(np.concatenate(samples).tolist()), _student(samples)
    return min(float(low), centre - half), max(float(high), centre + half)


def _student(samples: Sequence[Values]) -> float:
    """Half the width of Student's t for the mean of all values, with the spread within strata pooled."""
    count = sum(map(len, samples))
    freedom = count - len(samples)
    squares = sum(float(((sample - sample.mean()) ** 2).sum()) for sample in samples)
    return float(stats.t.ppf(0.5 + LEVEL / 2, freedom) * np.sqrt(squares / freedom / count))


def _thresholds(scores: Sequence[float]) -> tuple[float, ...]:
    if not scores:
        return ()
    return tuple(np.linspace(min(scores), max(scores), THRESHOLDS).tolist())


def profile(scores: Mapping[str, Sequence[float]], thresholds: Sequence[float]) -> tuple[float, ...]:
    """The share of runs at or below each threshold, every corpus counting the same."""
    shares = [[np.mean(np.asarray(values) <= t) for t in thresholds] for values in scores.values()]
    return tuple(np.mean(shares, axis=0).tolist())
