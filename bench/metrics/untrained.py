"""What a test program prints that never loads the weights: BLEU of a network that has learnt nothing."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bench.metrics.combine import OfCounts
from bench.metrics.corpus_bleu import COUNTS, METRICS, corpus_bleu, counted
from bench.metrics.definitions import Definition
from bench.metrics.measures import measure

if TYPE_CHECKING:
    from bench.metrics.context import Context
    from bench.metrics.record import Record

ESTIMATOR = "untrained"
COLUMNS = tuple(f"untrained_bleu_{count}" for count in COUNTS)


@measure(
    "untrained",
    needs=("posterior",),
    gives=[
        Definition(
            metric,
            ESTIMATOR,
            "percent",
            "exact",
            f"The same as corpus-sample of BLEU-{n}, of the network with its initial values, as the released test "
            "program of the VAE of Bahuleyan et al. 2019 computes it.",
            better="higher",
            cost="greedy decoding of each text",
            over=OfCounts(COLUMNS, partial(corpus_bleu, n=n)),
        )
        for n, metric in enumerate(METRICS, 1)
    ],
    only_named=True,
)
def untrained(context: Context, record: Record) -> None:
    """BLEU-1 to BLEU-4 of one reconstruction of each text by the model as it is before its first step."""
    from bench.estimators.likelihood import conditions, posteriors
    from bench.metrics.decoding import greedy
    from bench.training.composition import compose
    from bench.training.vectors import give_vectors

    model = compose(context.settings, context.corpus).to(context.device).model.eval()
    give_vectors(model, context.settings, context.corpus, context.evaluators)
    infer = context.composition.procedure.inference(model)
    latent = posteriors(infer, context.texts, np.arange(len(context.texts.lengths)))
    codes = context.codes(latent, 1, "untrained").squeeze(1)
    given = model.given(conditions(model, context.texts))
    outputs = greedy(model, codes, context.wanted.longest, unknown=True, given=given)
    references = [text.tolist() for text in context.corpus.splits[record.split]]
    record.columns |= counted(outputs, references, COLUMNS)
    for metric in METRICS:
        record.add(metric, ESTIMATOR, samples=1)
