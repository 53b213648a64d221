"""BLEU beside whole replies, where texts are cut; and of pairs that the training split has too, apart from others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bench.base.seeds import derive_seed
from bench.metrics.combine import OfCounts
from bench.metrics.corpus_bleu import CODES, COUNTS, METRICS, corpus_bleu, counted
from bench.metrics.definitions import Definition, Metric
from bench.metrics.measures import measure

if TYPE_CHECKING:
    from bench.corpora.prepared import Prepared
    from bench.metrics.context import Context
    from bench.metrics.record import Record

KNOWN, SAMPLE = "with-training", "whole-sample-known"  # estimators, of each part of the examples


def _bleu(metric: str, columns: Sequence[str]) -> OfCounts:
    return OfCounts(tuple(columns), partial(corpus_bleu, n=METRICS.index(metric) + 1))


def _definition(metric: str, estimator: str, said: str, columns: Sequence[str] = ()) -> Definition:
    n = METRICS.index(metric) + 1
    return Definition(
        metric,
        estimator,
        "percent",
        "exact",
        f"Cumulative corpus BLEU-{n} without smoothing of greedy reconstructions {said}, beside whole texts: they are "
        "not cut, and no unknown word is right.",
        "Lower than beside texts that are cut, by the penalty for short texts.",
        "higher",
        cost="greedy decoding of each text",
        over=_bleu(metric, columns) if columns else None,
    )


def _columns(name: str) -> list[str]:
    return [f"whole_bleu_{name}_{count}" for count in COUNTS]


@measure(
    "whole-bleu",
    needs=("posterior",),
    gives=[
        _definition(metric, f"whole-{code}", said, _columns(code))
        for code, said in CODES.items()
        for metric in METRICS
    ],
    only_named=True,
)
def whole_bleu(context: Context, record: Record) -> None:
    """BLEU-1 to BLEU-4 of one reconstruction of each text, beside the texts before they were cut."""
    sampled = [texts[0] for texts in context.reconstructions(unknown=True)]
    for code, outputs in (("mean", context.mean_texts), ("sample", sampled)):
        record.columns |= counted(outputs, context.whole_references, _columns(code))
        for metric in METRICS:
            record.add(metric, f"whole-{code}", samples=None if code == "mean" else 1)


def known_pairs(corpus: Prepared, split: str) -> dict[str, np.ndarray]:
    """Which examples (texts,) are a ``pair`` of the training split, share a ``side`` with one, or ``no-side``.

    Texts are compared word by word, before they are cut; a side is the first text of an example, or the second.
    """
    fields = list(corpus.vocabularies)

    def sides(of: str) -> Iterator[tuple[str, ...]]:
        """The texts of each example."""
        texts = ([" ".join(words) for words in corpus.whole(of, field)] for field in fields)
        return zip(*texts, strict=True)

    pairs = set(sides("train"))
    each = [set(side) for side in zip(*pairs, strict=True)]
    examples = list(sides(split))
    side = np.array([any(text in known for text, known in zip(one, each, strict=True)) for one in examples])
    return {"pair": np.array([one in pairs for one in examples]), "side": side, "no-side": ~side}


@measure(
    "overlap",
    needs=("reader", "posterior"),
    metrics=(Metric("overlap", "overlap with training", 0, 1, place=137),),
    gives=[
        Definition(
            "overlap",
            KNOWN,
            "ratio",
            "exact",
            "Examples of which it is true that they are a pair of the training split, that they have a side of one, or "
            "neither side, over all.",
            main=True,
            cost="none",
        ),
        *(
            _definition(metric, SAMPLE, f"{CODES['sample']}, of the examples of which that is true")
            for metric in ("bleu2", "bleu")
        ),
    ],
    only_named=True,
)
def overlap(context: Context, record: Record) -> None:
    """How many examples the training split knows, and BLEU of these and of the others; none where there are none."""
    outputs = [texts[0] for texts in context.reconstructions(unknown=True)]
    counts = counted(outputs, context.whole_references, COUNTS)
    for name, which in known_pairs(context.corpus, record.split).items():
        record.add("overlap", KNOWN, float(which.mean()), texts=len(which), part=name)
        for metric in ("bleu2", "bleu") if which.any() else ():
            bleu = _bleu(metric, COUNTS)
            found = bleu.summary(bleu.per_text(counts)[which], derive_seed("overlap", name))
            record.add_summary(metric, SAMPLE, found, samples=1, part=name)
