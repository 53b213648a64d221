"""How often which word is sampled from the prior: divergence from the training texts, entropy, mean length."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from bench.metrics.combine import Mean, Values
from bench.metrics.definitions import DECODED, TRAINING_TEXTS, Definition, Metric
from bench.metrics.measures import measure
from bench.metrics.ngrams import without

if TYPE_CHECKING:
    from bench.metrics.context import Context
    from bench.metrics.record import Record

SAMPLES, TEST, TRAINING = "prior-samples", "test-texts", "training-texts"
_OF = {SAMPLES: "greedy samples from the prior", TEST: "the test texts", TRAINING: "the training texts"}
_BIAS = "by about (V - 1) / 2N for N words of V kinds: it falls as the number of samples grows."
_COUNTED = {SAMPLES: DECODED, TRAINING: TRAINING_TEXTS}
_COST = {SAMPLES: "greedy decoding of each sample from the prior"}


def word_entropy(counts: Values) -> float:
    """-sum_w p(w) ln p(w) in nats per word, with p(w) the share of each word in counts (words,); NaN of no words."""
    if not counts.any():
        return math.nan
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log(share)).sum())


def word_divergence(counts: Values, reference: Values) -> float:
    """KL(p || r) of the shares p, r of words in two arrays of counts (words,), in nats per word.

    Words that ``reference`` lacks are left out with their share, as the program of Bahuleyan et al. 2019 does; so it
    may be below 0. NaN where they have no word in common.
    """
    both = (counts > 0) & (reference > 0)
    if not both.any():
        return math.nan
    share, other = counts[both] / counts.sum(), reference[both] / reference.sum()
    return float((share * np.log(share / other)).sum())


def _definitions() -> Iterator[Definition]:
    for estimator in (SAMPLES, TEST):
        yield Definition(
            "unigram_kl",
            estimator,
            "nats per word",
            "exact",
            f"KL of the distribution of words in {_OF[estimator]} to that in the training texts; words that the "
            "training texts lack are left out.",
            f"Too high {_BIAS}",
            "lower",
            main=estimator == SAMPLES,
            cost=_COST.get(estimator, "none"),
            counted=_COUNTED.get(estimator, ""),
        )
    for estimator, texts in _OF.items():
        yield Definition(
            "unigram_entropy",
            estimator,
            "nats per word",
            "exact",
            f"Entropy of the distribution of words in {texts}.",
            f"Too low {_BIAS}",
            main=estimator == SAMPLES,
            cost=_COST.get(estimator, "none"),
            counted=_COUNTED.get(estimator, ""),
        )
    for estimator, texts in _OF.items():
        yield Definition(
            "average_length",
            estimator,
            "words",
            "exact",
            f"Mean number of words in {texts}, without the end symbol.",
            main=estimator == SAMPLES,
            cost=_COST.get(estimator, "none"),
            counted=_COUNTED.get(estimator, ""),
        )


@measure(
    "unigrams",
    needs=("prior",),
    metrics=(
        Metric("unigram_kl", "UniKL", place=131),
        Metric("unigram_entropy", "entropy of words", 0, place=132),
        Metric("average_length", "AvgLen", 0, place=133),
    ),
    gives=_definitions(),
    only_named=True,
)
def unigrams(context: Context, record: Record) -> None:
    """The words of samples from the prior, and those of the corpus beside them."""
    from bench.corpora.vocabulary import EOS

    samples = without(context.prior_texts, EOS)
    flat = {SAMPLES: np.concatenate([np.array(text, dtype=np.int64) for text in samples])}
    lengths = {SAMPLES: np.array([len(text) for text in samples])}
    for estimator, split in ((TEST, record.split), (TRAINING, "train")):
        texts = context.corpus.splits[split]
        flat[estimator] = texts.tokens[: int(texts.offsets[-1])].numpy()
        lengths[estimator] = texts.lengths.numpy()
    words = len(context.corpus.vocabulary)
    counts = {estimator: np.bincount(found, minlength=words) for estimator, found in flat.items()}
    for estimator, found in lengths.items():
        if estimator != TRAINING:
            divergence = word_divergence(counts[estimator], counts[TRAINING])
            record.add("unigram_kl", estimator, divergence, texts=len(found))
        record.add("unigram_entropy", estimator, word_entropy(counts[estimator]), texts=len(found))
        record.add_summary("average_length", estimator, Mean("length").summary(found[:, None], 0))
