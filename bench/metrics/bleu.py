"""BLEU of greedy reconstructions from sampled codes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from bench.metrics.combine import OfCounts, Values
from bench.metrics.definitions import Definition, Metric
from bench.metrics.measures import measure
from bench.metrics.ngrams import (
    COUNTS,
    bleu_counts,
    cumulative_bleu2,
    precision_times_brevity,
    unsmoothed_bleu,
)

if TYPE_CHECKING:
    from bench.metrics.context import Context
    from bench.metrics.record import Record

_COST = "greedy decoding of each text for each code"


def _unigrams(counts: Values) -> Values:
    return precision_times_brevity(counts, 1)


def _bigrams(counts: Values) -> Values:
    return precision_times_brevity(counts, 2)


_STATISTICS = (
    ("bleu1", "precision-times-brevity", _unigrams, True),
    ("bleu2", "precision-times-brevity", _bigrams, True),
    ("bleu2", "cumulative", cumulative_bleu2, False),
)
_MASKED = (
    "Unigram precision x brevity penalty of greedy reconstructions from sampled codes; no unknown words.",
    "Bigram precision x brevity penalty (not cumulative BLEU-2) of the same reconstructions.",
    "Cumulative BLEU-2, the geometric mean of both precisions x brevity penalty, of the same reconstructions.",
)
_SAME = "of reconstructions in which the unknown word may be written."
_UNMASKED = (
    f"Unigram precision x brevity penalty, {_SAME}",
    f"Bigram precision x brevity penalty, {_SAME}",
    f"Cumulative BLEU-2, {_SAME}",
)


def _definitions() -> Iterator[Definition]:
    for suffix, texts in (("", _MASKED), ("-unmasked", _UNMASKED)):
        columns = tuple(f"bleu_{count}{suffix.replace('-', '_')}" for count in COUNTS)
        for (metric, estimator, statistic, main), text in zip(_STATISTICS, texts, strict=True):
            yield Definition(
                metric,
                estimator + suffix,
                "percent",
                "exact",
                text,
                better="higher",
                main=main and not suffix,
                cost=_COST,
                over=OfCounts(columns, statistic),
            )
    yield Definition(
        "bleu",
        "sacrebleu",
        "percent",
        "exact",
        "Cumulative corpus BLEU of the same reconstructions by sacrebleu, without its tokeniser and smoothing.",
        better="higher",
        main=True,
        cost=_COST,
    )


@measure(
    "bleu",
    version=2,
    changed="BLEU of sacrebleu is without smoothing",
    needs=("posterior",),
    metrics=(
        Metric("bleu1", "BLEU-1", 0, 100, place=90, lists=("overview", "sign tests")),
        Metric("bleu2", "BLEU-2", 0, 100, place=100, lists=("overview",)),
        Metric("bleu", "BLEU", 0, 100, place=110),
    ),
    gives=_definitions(),
)
def bleu(context: Context, record: Record) -> None:
    """BLEU with and without the unknown word, and that of sacrebleu."""
    references, samples = context.references, context.reconstructed
    for suffix in ("", "-unmasked"):
        by_text = context.reconstructions(unknown=bool(suffix))
        counts = [bleu_counts(outputs, text) for outputs, text in zip(by_text, references, strict=True)]
        for column, values in zip(COUNTS, np.array(counts, dtype=np.int64).T, strict=True):
            record.columns[f"bleu_{column}{suffix.replace('-', '_')}"] = values
        for metric, estimator, *_ in _STATISTICS:
            record.add(metric, estimator + suffix, samples=samples)
    score = unsmoothed_bleu(context.reconstructions(), references)
    record.add("bleu", "sacrebleu", score, texts=len(references), samples=samples)
