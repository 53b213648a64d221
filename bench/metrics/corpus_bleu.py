"""BLEU-1 to BLEU-4 of reconstructions from the mean of the posterior and from a sample, as Bahuleyan et al. 2019."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bench.metrics.combine import OfCounts, Values
from bench.metrics.definitions import Definition, Metric
from bench.metrics.measures import measure
from bench.metrics.ngrams import Words, ngrams, without

if TYPE_CHECKING:
    from bench.metrics.context import Context
    from bench.metrics.record import Record

MOST = 4
# Of the logarithms of the precisions, in BLEU-1 to BLEU-4; those of BLEU-3 are not thirds in the paper's program.
WEIGHTS = ((1.0,), (0.5, 0.5), (0.34, 0.33, 0.33), (0.25, 0.25, 0.25, 0.25))
COUNTS = (
    *(f"match{n + 1}" for n in range(MOST)),
    *(f"total{n + 1}" for n in range(MOST)),
    "words",
    "reference",
)
METRICS = ("bleu1", "bleu2", "bleu3", "bleu")  # of 1, 2, 3 and 4 words
CODES = {"mean": "from the mean of the posterior", "sample": "from one code of the posterior"}


def text_counts(output: Words, reference: Words) -> list[int]:
    """Counts of one text: see :data:`COUNTS`. A text too short for an n-gram counts as one that does not match."""
    matches, totals = [], []
    for n in range(1, MOST + 1):
        found = ngrams(output, n)
        matches.append((found & ngrams(reference, n)).total())
        totals.append(max(1, found.total()))
    return [*matches, *totals, len(output), len(reference)]


def corpus_bleu(counts: Values, n: int) -> Values:
    """BLEU of n-grams up to ``n`` in percent, without smoothing, from summed counts (..., 10) of :func:`text_counts`.

    exp(sum_i w_i ln p_i) times the brevity penalty, as Papineni et al. 2002, with the weights of :data:`WEIGHTS`: 0
    where no n-gram is right.
    """
    words, reference = counts[..., 2 * MOST], counts[..., 2 * MOST + 1]
    with np.errstate(divide="ignore", invalid="ignore"):  # invalid: of no texts at all
        logarithms = np.log(counts[..., :n] / counts[..., MOST : MOST + n])
    brevity = np.minimum(0.0, 1.0 - reference / np.maximum(words, 1))
    percent: Values = 100 * np.exp(logarithms @ np.array(WEIGHTS[n - 1]) + brevity)
    return percent


def _columns(code: str) -> tuple[str, ...]:
    return tuple(f"corpus_bleu_{code}_{count}" for count in COUNTS)


def _definitions() -> Iterator[Definition]:
    for code, said in CODES.items():
        for n, metric in enumerate(METRICS, 1):
            yield Definition(
                metric,
                f"corpus-{code}",
                "percent",
                "exact",
                f"Cumulative corpus BLEU-{n} without smoothing of greedy reconstructions {said}, in which the unknown "
                "word may be written, and is right where a text has a word of no id; the end symbol is no word.",
                better="higher",
                main=metric == "bleu3" and code == "mean",
                cost="greedy decoding of each text",
                over=OfCounts(_columns(code), partial(corpus_bleu, n=n)),
            )


@measure(
    "corpus-bleu",
    needs=("posterior",),
    metrics=(Metric("bleu3", "BLEU-3", 0, 100, place=105),),
    gives=_definitions(),
    only_named=True,
)
def measure_corpus_bleu(context: Context, record: Record) -> None:
    """BLEU-1 to BLEU-4 of one reconstruction of each text, from its mean and from a sample."""
    references = [text.tolist() for text in context.corpus.splits[record.split]]
    sampled = [texts[0] for texts in context.reconstructions(unknown=True)]
    for code, outputs in (("mean", context.mean_texts), ("sample", sampled)):
        record.columns |= counted(outputs, references, _columns(code))
        for metric in METRICS:
            record.add(metric, f"corpus-{code}", samples=None if code == "mean" else 1)


def counted(
    outputs: Iterable[Sequence[int]], references: Iterable[Sequence[int]], names: Sequence[str]
) -> dict[str, Values]:
    """Columns ``names`` of the counts of each of ``outputs`` beside its reference; the end symbol is no word."""
    from bench.corpora.vocabulary import EOS

    counts = [text_counts(*pair) for pair in zip(without(outputs, EOS), references, strict=True)]
    return dict(zip(names, np.array(counts, dtype=np.int64).T, strict=True))
