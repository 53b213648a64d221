"""How far the divergence and the entropy of words move with the number of texts that they are counted in."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from bench.metrics.definitions import DECODED, Definition
from bench.metrics.measures import measure
from bench.metrics.ngrams import without
from bench.metrics.unigrams import word_divergence, word_entropy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.metrics.context import Context
    from bench.metrics.record import Record

COUNTS = (
    384,
    1000,
    2500,
    5000,
    10_000,
)  # the first is what the released program of Bahuleyan et al. 2019 writes
_OF = {
    "first-samples": "the first greedy samples from the prior",
    "first-test-texts": "the first test texts, which are as a perfect model would write them",
}


@measure(
    "unigram-budget",
    needs=("prior",),
    gives=[
        Definition(
            metric,
            estimator,
            "nats per word",
            "exact",
            f"{what} of {texts}, as many as the part says.",
            f"{bias} by about (V - 1) / 2N for N words of V kinds.",
            cost="none beyond the samples",
            counted=DECODED if estimator == "first-samples" else "",
        )
        for metric, what, bias in (
            ("unigram_kl", "KL to the training texts of the distribution of words", "Too high"),
            ("unigram_entropy", "Entropy of the distribution of words", "Too low"),
        )
        for estimator, texts in _OF.items()
    ],
    only_named=True,
)
def unigram_budget(context: Context, record: Record) -> None:
    """Both numbers of ever more samples and of ever more texts of the corpus; the last part is all of them."""
    from bench.corpora.vocabulary import EOS

    splits, words = context.corpus.splits, len(context.corpus.vocabulary)
    reference = _counts([text.tolist() for text in splits["train"]], words)
    texts = {
        "first-samples": without(context.prior_texts, EOS),
        "first-test-texts": [text.tolist() for text in splits[record.split]],
    }
    for estimator, found in texts.items():
        for count in (*(c for c in COUNTS if c < len(found)), len(found)):
            counts = _counts(found[:count], words)
            values = {
                "unigram_kl": word_divergence(counts, reference),
                "unigram_entropy": word_entropy(counts),
            }
            for metric, value in values.items():
                record.add(metric, estimator, value, texts=count, part=str(count))


def _counts(texts: Sequence[Sequence[int]], words: int) -> np.ndarray:
    """How often each word occurs (words,)."""
    return np.bincount(np.fromiter(chain.from_iterable(texts), dtype=np.int64), minlength=words)
