"""Forward and reverse perplexity by n-gram models as Fang et al. 2019 (table 5) measure them, and on held-out texts.

As released, unknown words are deleted from the texts of a model and cost their rest probability where they are scored,
ends of texts are not scored, each word of the vocabulary stands once alone among the samples, and the reverse model is
scored on the training texts.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.corpora.vocabulary import EOS, SPECIALS, UNK, Vocabulary
from bench.metrics.definitions import DECODED, TRAINING_TEXTS, Definition, Metric
from bench.metrics.measures import measure
from bench.metrics.ngram_model import ARPA, NgramModel, perplexity, write_model
from bench.metrics.ngrams import without

if TYPE_CHECKING:
    from bench.metrics.context import Context
    from bench.metrics.record import Record

ORDER = 5
Texts = Sequence[Sequence[int]]
_ENDS = " Ends are scored only of texts without words; unknown words are deleted from the texts of the model."


def model_of(texts: Texts, vocabulary: Vocabulary, order: int = ORDER) -> NgramModel:
    """The n-gram model of texts of ids without ends, read by kenlm."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ARPA
        write_model(texts, vocabulary, order, path)
        return NgramModel(path, vocabulary)


def perplexity_of_words(model: NgramModel, texts: Texts) -> float:
    """exp(-sum ln p / words): ends are not scored, but for a text without words, whose end stands as one."""
    words = sum(max(1, len(text)) for text in texts)
    return math.exp(sum(model.loss(text, end=not text) for text in texts) / words)


def with_words(texts: Texts, vocabulary: Vocabulary) -> list[list[int]]:
    """The texts behind each word of the vocabulary on a line of its own, the special ones as empty lines."""
    words = [[index] if index >= len(SPECIALS) else [] for index in range(len(vocabulary))]
    return [*words, *map(list, texts)]


@measure(
    "released-ngrams",
    version=2,
    changed="symbols of begin and of padding in a sample count as unknown words",
    needs=("prior",),
    only_named=True,
    library="kenlm",
    metrics=(
        Metric("fwd_ppl", "forward PPL, 5-grams", 1, place=136),
        Metric("rev_ppl", "reverse PPL, 5-grams", 1, place=137),
    ),
    gives=(
        Definition(
            "fwd_ppl",
            "as-released",
            "none",
            "exact",
            "Perplexity of greedy samples from the prior under a 5-gram model of the training texts." + _ENDS,
            "Low for samples that are all alike, and for those without unknown words.",
            "lower",
            main=True,
            cost="a 5-gram model of the training texts for each run",
            counted=DECODED,
        ),
        Definition(
            "rev_ppl",
            "as-released",
            "none",
            "exact",
            "Perplexity of the training texts under a 5-gram model of greedy samples from the prior, each word of the"
            " vocabulary added once." + _ENDS,
            "Falls with the number of samples; unknown words of the texts cost what the model leaves for them.",
            "lower",
            cost="greedy decoding of each sample, and a 5-gram model of them",
            counted=TRAINING_TEXTS,
        ),
        Definition(
            "rev_ppl",
            "held-out",
            "none",
            "exact",
            "Perplexity of the test texts under a 5-gram model of greedy samples from the prior, ends scored, the"
            " unknown word a word; words that no sample has share what the discounts leave.",
            "Falls with the number of samples, so that only runs with the same number compare.",
            "lower",
            main=True,
            cost="a 5-gram model of the samples",
        ),
    ),
)
def released_ngrams(context: Context, record: Record) -> None:
    """Perplexities of and by samples from the prior, among whose words the unknown one is."""
    vocabulary, splits = context.corpus.vocabulary, context.corpus.splits
    samples = without(context.prior_texts_with_unknown, EOS)
    train, test = ([text.tolist() for text in splits[name]] for name in ("train", record.split))
    forward = model_of(without(train, UNK), vocabulary)
    record.add("fwd_ppl", "as-released", perplexity_of_words(forward, samples), texts=len(samples))
    reverse = model_of(with_words(without(samples, UNK), vocabulary), vocabulary)
    record.add("rev_ppl", "as-released", perplexity_of_words(reverse, train), texts=len(train))
    held_out = model_of(without(context.reverse_texts, EOS), vocabulary)
    record.add_summary("rev_ppl", "held-out", perplexity(held_out, test))
