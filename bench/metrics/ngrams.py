"""N-grams of decoded texts, in words or in ids: reconstruction BLEU and the share of distinct n-grams."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np

Words = Sequence[Hashable]  # one text: words or ids
COUNTS = ("match1", "total1", "match2", "total2", "words", "reference")


def without(texts: Iterable[Sequence[int]], *ids: int) -> list[list[int]]:
    """The texts without these ids: what is behind one closes up to what is before it."""
    return [[index for index in text if index not in ids] for text in texts]


def ngrams(words: Words, n: int) -> Counter[tuple[Hashable, ...]]:
    """The n-grams inside one text."""
    return Counter(zip(*(words[i:] for i in range(n)), strict=False))


def bleu_counts(outputs: Iterable[Words], reference: Words) -> list[int]:
    """Counts of all ``outputs`` for one reference: see :data:`COUNTS`; matches are clipped per output."""
    counts = dict.fromkeys(COUNTS, 0)
    wanted = {n: ngrams(reference, n) for n in (1, 2)}
    for words in outputs:
        for n in (1, 2):
            found = ngrams(words, n)
            counts[f"match{n}"] += (found & wanted[n]).total()
            counts[f"total{n}"] += found.total()
        counts["words"] += len(words)
        counts["reference"] += len(reference)
    return list(counts.values())


def corpus_counts(
    outputs: Iterable[Iterable[Words]], references: Iterable[Words], most: int
) -> dict[str, Any]:
    """The statistics of a corpus from which sacrebleu computes BLEU, for n-grams of 1 to ``most`` words.

    ``outputs`` are several texts for each reference; matches are clipped per output.
    """
    correct, total, lengths = [0] * most, [0] * most, [0, 0]
    for texts, reference in zip(outputs, references, strict=True):
        wanted = [ngrams(reference, n) for n in range(1, most + 1)]
        for words in texts:
            for n in range(most):
                found = ngrams(words, n + 1)
                correct[n] += (found & wanted[n]).total()
                total[n] += found.total()
            lengths[0] += len(words)
            lengths[1] += len(reference)
    return {"correct": correct, "total": total, "sys_len": lengths[0], "ref_len": lengths[1]}


def unsmoothed_bleu(outputs: Iterable[Iterable[Words]], references: Iterable[Words]) -> float:
    """BLEU of all ``outputs`` of each reference by sacrebleu (0 to 100): 0 where no four words in a row are right."""
    from sacrebleu.metrics.bleu import BLEU, MAX_NGRAM_ORDER

    counts = corpus_counts(outputs, references, MAX_NGRAM_ORDER)
    return float(BLEU.compute_bleu(**counts, smooth_method="none").score)


def precision_times_brevity(counts: np.ndarray, n: int) -> np.ndarray:
    """n-gram precision x brevity penalty in percent, from summed counts (..., 6) of :func:`bleu_counts`.

    This is what Wu et al. 2020 print as BLEU-n: one precision of Papineni et al. 2002, not the cumulative
    geometric mean.
    """
    match, total = counts[..., 2 * n - 2], counts[..., 2 * n - 1]
    words, reference = counts[..., 4], counts[..., 5]
    brevity = np.exp(np.minimum(0.0, 1.0 - reference / np.maximum(words, 1)))
    percent: np.ndarray = 100 * brevity * match / np.maximum(total, 1)
    return percent


def cumulative_bleu2(counts: np.ndarray) -> np.ndarray:
    """Cumulative BLEU-2 in percent (Papineni et al. 2002): brevity penalty x sqrt(precision 1 x precision 2)."""
    both: np.ndarray = np.sqrt(precision_times_brevity(counts, 1) * precision_times_brevity(counts, 2))
    return both


def distinct(texts: Iterable[Words], n: int) -> float:
    """Distinct n-grams over all n-grams, pooled over ``texts`` (Li et al. 2016); 0 without any n-gram."""
    pooled: Counter[tuple[Hashable, ...]] = Counter()
    for words in texts:
        pooled.update(ngrams(words, n))
    return len(pooled) / pooled.total() if pooled else 0.0
