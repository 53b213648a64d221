"""How many different n-grams samples have, and how alike samples are: the diversity that ControlVAE prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.metrics.definitions import DECODED, Definition, Metric
from bench.metrics.measures import measure
from bench.metrics.ngrams import Words, ngrams

if TYPE_CHECKING:
    from bench.metrics.context import Context
    from bench.metrics.record import Record

FIRST = 1_000  # samples that are held against each other: the first ones, as in the released code
ORDERS = (2, 3)
RESPONSES = 10  # to each post
_SMALL = 0.1  # in place of no n-gram that is right (Chen & Cherry 2014, smoothing method 1)
_COST = "greedy decoding of each sample from the prior"


@measure(
    "sample-diversity",
    needs=("prior",),
    metrics=(
        *(Metric(f"distinct{n}", f"distinct {n}-grams", 0, place=134) for n in (1, 2)),
        *(Metric(f"self_bleu{n}", f"self-BLEU-{n}", 0, 1, place=135) for n in ORDERS),
    ),
    gives=(
        *(
            Definition(
                f"distinct{n}",
                "prior-samples",
                "count",
                "exact",
                f"Number of distinct {n}-grams in all greedy samples from the prior, one written after the other.",
                "Grows with the number of samples.",
                "higher",
                main=True,
                cost=_COST,
                counted=DECODED,
            )
            for n in (1, 2)
        ),
        *(
            Definition(
                f"self_bleu{n}",
                "first-samples",
                "ratio",
                "exact",
                f"Mean BLEU of {n}-grams and shorter of each of the first {FIRST:,} greedy samples from the prior"
                " against all others of them; 0.1 in place of no right n-gram. A lack of diversity.",
                "Grows with the number of samples.",
                "lower",
                main=True,
                cost=_COST,
                counted=DECODED,
            )
            for n in ORDERS
        ),
    ),
    only_named=True,
)
def sample_diversity(context: Context, record: Record) -> None:
    """Of the texts that Dist-1 and Dist-2 are measured of."""
    _record(record, context.prior_texts, "", "prior-samples", "first-samples")


@measure(
    "response-diversity",
    needs=("condition", "prior"),
    metrics=(
        *(Metric(f"response_distinct{n}", f"distinct {n}-grams of responses", 0, place=134) for n in (1, 2)),
        *(Metric(f"response_self_bleu{n}", f"self-BLEU-{n} of responses", 0, 1, place=135) for n in ORDERS),
    ),
    gives=(
        *(
            Definition(
                f"response_distinct{n}",
                "all-responses",
                "count",
                "exact",
                f"Number of distinct {n}-grams in {RESPONSES} greedy responses to each post, of codes of p(z|y), one"
                " written after the other.",
                "Grows with the number of posts.",
                "higher",
                main=True,
                cost=f"greedy decoding of {RESPONSES} responses to each post",
                counted="responses",
            )
            for n in (1, 2)
        ),
        *(
            Definition(
                f"response_self_bleu{n}",
                "first-responses",
                "ratio",
                "exact",
                f"Mean BLEU of {n}-grams and shorter of each of the first {FIRST:,} of these responses against all"
                f" others, {RESPONSES - 1} of which answer the same post; 0.1 in place of no right n-gram. A lack"
                " of diversity.",
                "Higher than of as many responses to different posts.",
                "lower",
                main=True,
                cost=f"greedy decoding of {RESPONSES} responses to each post",
                counted="responses",
            )
            for n in ORDERS
        ),
    ),
    only_named=True,
)
def response_diversity(context: Context, record: Record) -> None:
    """As the released code of ControlVAE has it: the responses to a post stand together."""
    written = context.several_responses(RESPONSES)
    _record(record, written, "response_", "all-responses", "first-responses")


def _record(record: Record, texts: Sequence[Words], kind: str, of_all: str, of_first: str) -> None:
    """Note both of some texts, of ``kind`` before the names."""
    joined = list(chain.from_iterable(texts))
    for n in (1, 2):
        record.add(f"{kind}distinct{n}", of_all, len(ngrams(joined, n)), texts=len(texts))
    first = texts[:FIRST]
    for n in ORDERS:
        record.add(f"{kind}self_bleu{n}", of_first, float(self_bleu(first, n).mean()), texts=len(first))


def self_bleu(texts: Sequence[Words], most: int) -> np.ndarray:
    """BLEU (texts,) of each of two or more texts against all others, from 0 to 1, of n-grams up to ``most`` words.

    Each text has a score of its own (Papineni et al. 2002, several references). Where no n-gram of some n is right,
    0.1 takes the place of their number; a text none of whose words is right has 0.
    """
    lengths = np.array([len(text) for text in texts])
    logarithms = np.zeros(len(texts))
    for n in range(1, most + 1):
        right, total = _right(texts, n)
        if n == 1:
            none = right == 0
        logarithms += np.log(np.where(right == 0, _SMALL, right) / np.maximum(total, 1)) / most
    penalty = 1 - _closest(lengths) / np.maximum(lengths, 1)
    scores: np.ndarray = np.where(none, 0.0, np.exp(logarithms + np.minimum(penalty, 0.0)))
    return scores


def _right(texts: Sequence[Words], n: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each text, how many n-grams it has that are in another, none more often than there, and how many in all."""
    counts = [ngrams(text, n) for text in texts]
    largest, second = _most(counts)
    right = [
        sum(min(k, second[g] if largest[g] == k else largest[g]) for g, k in found.items())
        for found in counts
    ]
    return np.array(right), np.array([found.total() for found in counts])


Counts = Counter[tuple[Hashable, ...]]


def _most(counts: Sequence[Counts]) -> tuple[dict[Any, int], dict[Any, int]]:
    """How often each n-gram is in the text that has most of it, and in the one that has most but for that one."""
    largest, second = Counts(), Counts()
    for found in counts:
        for gram, k in found.items():
            second[gram] = max(second[gram], min(k, largest[gram]))
            largest[gram] = max(largest[gram], k)
    return largest, second


def _closest(lengths: np.ndarray) -> np.ndarray:
    """Of each text, the length of another that is nearest to its own; of two as near, the shorter."""
    counts = Counter(lengths.tolist())
    nearest = {
        own: min(counts - Counter([own]), key=lambda other: (abs(other - own), other)) for own in counts
    }
    return np.array([nearest[own] for own in lengths.tolist()])
