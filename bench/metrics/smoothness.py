"""How smooth the space of codes is: texts of codes near each other, and of codes between two."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bench.metrics.combine import Mean
from bench.metrics.definitions import Definition, Metric
from bench.metrics.measures import measure

if TYPE_CHECKING:
    from bench.metrics.context import Context
    from bench.metrics.record import Record

TEXTS, CODES = 200, 10  # texts that are looked at, and codes of each
SHARES = {
    "same_text": "Share of 10 codes of a posterior that decode greedily to the commonest of their texts",
    "other_texts": "Share of 10 codes of a posterior that decode greedily to any other text than the commonest",
}


@measure(
    "one-sentence",
    needs=("density",),
    metrics=(
        Metric("same_text", "codes of the commonest text", 0, 1, place=136),
        Metric("other_texts", "codes of other texts", 0, 1, place=137),
    ),
    gives=[
        Definition(
            metric,
            "posterior-samples",
            "ratio",
            "exact",
            f"{what}, over at most {TEXTS} test texts.",
            main=True,
            cost="greedy decoding of 2,000 codes",
            over=Mean(metric, partial=True),
        )
        for metric, what in SHARES.items()
    ],
    only_named=True,
)
def one_sentence(context: Context, record: Record) -> None:
    """What share of the codes of one posterior decodes to one sentence."""
    import numpy as np

    from bench.metrics.decoding import greedy

    chosen = context.chosen(TEXTS)
    codes = context.codes(context.latent, CODES, "one sentence")[chosen].flatten(0, 1)
    given = context.given([text for text in chosen for _ in range(CODES)])
    outputs = greedy(context.model, codes, context.wanted.longest, given=given)
    share = np.full(len(context.texts.lengths), np.nan)
    for row, text in enumerate(chosen):
        texts = Counter(map(tuple, outputs[row * CODES : (row + 1) * CODES]))
        share[text] = texts.most_common(1)[0][1] / CODES
    record.columns |= {"same_text": share, "other_texts": 1 - share}
    for metric in SHARES:
        record.add(metric, "posterior-samples", samples=CODES)


@measure(
    "midway",
    needs=("posterior", "evaluator ngram"),
    library="kenlm",
    metrics=(Metric("midway_ppl", "PPL midway", 1, place=138),),
    gives=(
        Definition(
            "midway_ppl",
            "ngram",
            "none",
            "exact",
            f"Perplexity, under the n-gram model of the training texts, of greedy texts of codes midway between the "
            f"centres of two of at most {TEXTS} test texts.",
            "Low where all codes decode to alike texts.",
            "lower",
            main=True,
            cost="greedy decoding of 200 codes",
        ),
    ),
    only_named=True,
)
def midway(context: Context, record: Record) -> None:
    """How fluent the texts are that stand halfway from one text to another."""
    import torch

    from bench.metrics.decoding import greedy
    from bench.metrics.ngram_model import perplexity

    chosen = context.chosen(TEXTS)
    centers, half = context.latent.center()[chosen], torch.tensor([0.5], device=context.device)
    pairs = zip(centers, centers.roll(1, 0), strict=True)
    codes = torch.cat([context.model.space.between(first, last, half) for first, last in pairs])
    texts = greedy(context.model, codes, context.wanted.longest, given=context.given(chosen))
    record.add_summary("midway_ppl", "ngram", perplexity(context.evaluator("ngram"), texts))
