"""Sign tests: whether one side of a paper's pairs is higher more often than a coin would say, over corpora."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy import stats

from bench.analysis.pairs import MeasuredTerm, Pairing, Setting, printed_pairs
from bench.analysis.statistics import holm


@dataclass(frozen=True)
class SignTest:
    """In how many of the pairs (baseline and other, on one corpus) the other is higher, and how likely that is.

    Pairs that share a training history count once, by their mean; ``pairs`` is their number, each counted.
    ``p``: of a two-sided binomial test against one half, pairs without a difference left out. ``corrected``: the same
    for all tests of its source together (Holm).
    """

    source: tuple[str, str]
    metric: str
    higher: int
    lower: int
    equal: int
    pairs: int
    corpora: tuple[str, ...]
    seeds: tuple[int, int]
    texts: tuple[int, int] | None
    p: float
    corrected: float
    tests: int

    @property
    def decided(self) -> bool:
        """Whether the corrected probability is below five percent."""
        return self.corrected < 0.05


@dataclass(frozen=True)
class _Counts:
    metric: str
    means: tuple[float, ...]  # one for each witness
    pairs: int
    corpora: tuple[str, ...]
    seeds: tuple[int, ...]
    texts: tuple[int, ...]

    def sides(self) -> tuple[int, int, int]:
        higher, lower = sum(mean > 0 for mean in self.means), sum(mean < 0 for mean in self.means)
        return higher, lower, len(self.means) - higher - lower


def sign_tests(pairings: Mapping[Setting, Pairing], metrics: Sequence[str]) -> list[SignTest]:
    """One test per metric and source (origin and tier), over all printed pairs of all its corpora.

    Each pair counts once, by the mean over its seeds: runs of one system are no independent witnesses. Neither are
    variants of one pair; so each baseline counts with the first system that the paper compares with it, and no other.
    Nor are pairs that share a training history on both sides: they count once, by the mean of their differences.
    """
    by_source: dict[tuple[str, str], list[Pairing]] = {}
    for (origin, tier, _, _), pairing in pairings.items():
        by_source.setdefault((origin, tier), []).append(pairing)
    tests = []
    for source, found in by_source.items():
        counts = [counted for metric in metrics if (counted := _counts(metric, found)) is not None]
        tests += _tests(source, counts)
    return tests


def _counts(metric: str, pairings: Sequence[Pairing]) -> _Counts | None:
    found: dict[tuple[str, ...], list[float]] = {}
    corpora, seeds, texts = [], [], []
    for pairing in pairings:
        for pair in printed_pairs(pairing.catalog, pairing.setting[2]).items():
            terms = [MeasuredTerm(system, metric) for system in pair]
            if (difference := pairing.contrast(terms).difference) is not None:
                witness = (*pairing.setting, *pairing.witness(pair))
                found.setdefault(witness, []).append(difference.mean)
                corpora.append(pairing.corpus)
                seeds.append(difference.seeds)
                texts += [difference.texts] if difference.texts is not None else []
    if not found:
        return None
    means = tuple(sum(of) / len(of) for of in found.values())
    return _Counts(metric, means, len(seeds), tuple(dict.fromkeys(corpora)), tuple(seeds), tuple(texts))


def _tests(source: tuple[str, str], counts: Sequence[_Counts]) -> list[SignTest]:
    plain = []
    for found in counts:
        higher, lower, _ = found.sides()
        plain.append(float(stats.binomtest(higher, higher + lower).pvalue) if higher + lower else 1.0)
    return [
        SignTest(
            source,
            found.metric,
            *found.sides(),
            found.pairs,
            found.corpora,
            (min(found.seeds), max(found.seeds)),
            (min(found.texts), max(found.texts)) if found.texts else None,
            p,
            corrected,
            len(counts),
        )
        for found, p, corrected in zip(counts, plain, holm(plain), strict=True)
    ]
