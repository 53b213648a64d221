"""How diverse and how long responses are, counted as in the released code of Bahuleyan et al. 2019."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from bench.metrics.definitions import Definition, Metric
from bench.metrics.measures import measure
from bench.metrics.ngrams import ngrams, without
from bench.metrics.unigrams import word_entropy

if TYPE_CHECKING:
    from bench.metrics.context import Context
    from bench.metrics.record import Record

SAMPLE, MEAN, TEXTS = "one-code", "mean-code", "test-texts"
_OF = {
    SAMPLE: "one greedy response to each post from one code of it",
    MEAN: "one greedy response to each post from the mean of its codes",
    TEXTS: "the responses of the test split, cut as in training",
}
_SHARES = {
    "response_dist1": "Distinct words over all words",
    "response_dist2": "Distinct pairs of neighbouring words, over the ends of responses too, over the number of words",
}


def stream_scores(texts: Sequence[Sequence[int]]) -> dict[str, float]:
    """Dist-1, Dist-2, entropy in nats per word and mean length of responses, all laid end to end.

    Both shares are of the number of words, and pairs may begin in one response and end in the next (Bahuleyan et al.
    2019, released code). NaN without any word.
    """
    words = list(chain.from_iterable(texts))
    count = len(words) or math.nan
    return {
        "response_dist1": len(ngrams(words, 1)) / count,
        "response_dist2": len(ngrams(words, 2)) / count,
        "response_entropy": word_entropy(np.bincount(np.array(words, dtype=np.int64))),
        "response_length": len(words) / len(texts),
    }


def _definitions() -> Iterator[Definition]:
    for estimator, texts in _OF.items():
        cost = "none" if estimator == TEXTS else "greedy decoding of one response to each post"
        for metric, share in _SHARES.items():
            bias = "Falls as the number of posts grows."
            yield Definition(
                metric, estimator, "ratio", "exact", f"{share}, of {texts}.", bias, "higher", cost=cost
            )
        yield Definition(
            "response_entropy",
            estimator,
            "nats per word",
            "exact",
            f"Entropy of the distribution of words in {texts}.",
            "Too low, by about (V - 1) / 2N for N words of V kinds.",
            main=estimator == SAMPLE,
            cost=cost,
        )
        yield Definition(
            "response_length",
            estimator,
            "words",
            "exact",
            f"Mean number of words in {texts}, without the end symbol.",
            main=estimator == SAMPLE,
            cost=cost,
        )


@measure(
    "response-words",
    needs=("reader", "posterior"),
    metrics=(
        Metric("response_entropy", "entropy of responses", 0, place=134),
        Metric("response_length", "length of responses", 0, place=135),
    ),
    gives=_definitions(),
    only_named=True,
)
def response_words(context: Context, record: Record) -> None:
    """The words of the responses, in which the unknown word may be written, and those of the corpus beside them."""
    from bench.corpora.vocabulary import EOS

    sampled = [texts[0] for texts in context.reconstructions(unknown=True)]
    corpus = [text.tolist() for text in context.corpus.splits[record.split]]
    for estimator, texts in ((SAMPLE, sampled), (MEAN, context.mean_texts), (TEXTS, corpus)):
        written = without(texts, EOS)
        for metric, value in stream_scores(written).items():
            record.add(metric, estimator, value, texts=len(written))
