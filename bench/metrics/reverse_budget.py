"""How far the reverse perplexity falls with the number of samples that the n-gram model is estimated from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.corpora.vocabulary import EOS
from bench.metrics.definitions import Definition
from bench.metrics.measures import measure
from bench.metrics.ngram_model import perplexity
from bench.metrics.ngrams import without
from bench.metrics.released_ngrams import model_of

if TYPE_CHECKING:
    from bench.metrics.context import Context
    from bench.metrics.record import Record

# The second is what Fang et al. 2019 draw, the last what the authors of the measure draw.
COUNTS = (320, 1280, 5000, 20_000, 100_000)
_OF = {
    "first-samples": "the first greedy samples from the prior",
    "first-training-texts": "the first training texts, which are as a perfect model would write them",
}


@measure(
    "reverse-budget",
    version=2,
    changed="symbols of begin and of padding in a sample count as unknown words",
    needs=("prior",),
    only_named=True,
    library="kenlm",
    gives=[
        Definition(
            "rev_ppl",
            estimator,
            "none",
            "exact",
            f"Perplexity of the test texts under a 5-gram model of {texts}, as many as the part says; ends scored, the"
            " unknown word a word.",
            "Falls with the number of texts, so that only models of the same number compare.",
            "lower",
            cost="greedy decoding of each sample, and a 5-gram model of each number of texts",
        )
        for estimator, texts in _OF.items()
    ],
)
def reverse_budget(context: Context, record: Record) -> None:
    """The perplexity of the test texts by models of ever more samples and of ever more training texts."""
    splits, vocabulary = context.corpus.splits, context.corpus.vocabulary
    train, test = ([text.tolist() for text in splits[name]] for name in ("train", record.split))
    samples = without(context.reverse_texts, EOS)
    for estimator, texts in zip(_OF, (samples, train), strict=True):
        for count in (*(c for c in COUNTS if c < len(texts)), len(texts)):
            found = perplexity(model_of(texts[:count], vocabulary), test)
            record.add_summary("rev_ppl", estimator, found, part=str(count))
