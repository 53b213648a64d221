"""An n-gram language model as an evaluator, and the perplexity that samples have under it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from bench.base.errors import BenchError
from bench.base.registry import part
from bench.corpora.vocabulary import EOS, GO, PAD, SPECIALS, UNK, Vocabulary
from bench.metrics.combine import Perplexity, Summary
from bench.metrics.definitions import DECODED, Definition, Metric
from bench.metrics.kneser_ney import Order, estimate, write_arpa
from bench.metrics.measures import measure
from bench.metrics.ngrams import without

if TYPE_CHECKING:
    from bench.corpora.prepared import Prepared
    from bench.metrics.context import Context
    from bench.metrics.record import Record

ARPA = "model.arpa"
NAMED = {GO: "<s>", EOS: "</s>", UNK: SPECIALS[UNK]}  # as kenlm knows them


@part("evaluator", "kneser-ney")
class KneserNey:
    """An n-gram language model of the training texts, with interpolated modified Kneser-Ney discounts."""

    def __init__(self, *, order: Annotated[int, Field(ge=2, le=6)] = 5) -> None:
        self.order = order

    def make(self, corpus: Prepared, folder: Path) -> Mapping[str, Any]:
        """Estimate the model of the training split and write it as ARPA; the padding symbol is no word of it."""
        return estimated((text.tolist() for text in corpus.splits["train"]), corpus, folder, self.order)

    def load(self, corpus: Prepared, folder: Path) -> NgramModel:
        """The model, read by kenlm."""
        return NgramModel(folder / ARPA, corpus.vocabulary)


def write_model(
    texts: Iterable[Sequence[int]], vocabulary: Vocabulary, order: int, path: Path
) -> list[Order]:
    """Estimate the model of texts of ids and write it as ARPA; the padding symbol is no word of it."""
    shifted = ([index - 1 for index in _words(text)] for text in texts)
    made = estimate(shifted, len(vocabulary) - 1, GO - 1, EOS - 1, order)
    write_arpa(made, _names(vocabulary)[1:], GO - 1, path)
    return made


def _words(ids: Sequence[int]) -> list[int]:
    """A model that has learned little may write symbols of padding and of begin, which are no words of any text."""
    return [UNK if index in (PAD, GO) else index for index in ids]


def estimated(texts: Iterable[Sequence[int]], corpus: Prepared, folder: Path, order: int) -> dict[str, Any]:
    """Write the model of texts of ids into ``folder``; what is to be known of it."""
    listed = list(texts)
    made = write_model(listed, corpus.vocabulary, order, folder / ARPA)
    return {
        "texts": len(listed),
        "orders": [
            {"ngrams": len(one.word), "discounts": list(one.discounts), "estimated": one.estimated}
            for one in made
        ],
    }


def _names(vocabulary: Vocabulary) -> list[str]:
    """The words of all ids in the file, each once: a word of the corpus that kenlm knows otherwise is marked."""
    taken = set(NAMED.values())
    return [
        NAMED.get(index, f"\\{word}" if word in taken else word)
        for index, word in enumerate(vocabulary.words)
    ]


class NgramModel:
    """An n-gram language model over the ids of a vocabulary."""

    def __init__(self, path: Path, vocabulary: Vocabulary) -> None:
        """Raises :class:`BenchError` where the model in the file at ``path`` lacks words of the vocabulary."""
        import kenlm

        config = kenlm.Config()
        config.show_progress = False
        config.arpa_complain = kenlm.ARPALoadComplain.NONE
        self._model = kenlm.Model(str(path), config)
        self._names = _names(vocabulary)
        lacking = [name for name in self._names[len(SPECIALS) :] if name not in self._model]
        if lacking:
            raise BenchError(
                f"an n-gram model of another vocabulary: it lacks {len(lacking)} of {len(vocabulary)} words, as "
                f"{lacking[0]!r}",
                where=path,
                remedy="delete the folder that it is in, and it is made again",
            )

    def loss(self, ids: Sequence[int], *, end: bool = True) -> float:
        """-ln P of a text of ids in nats, its ``end`` counted or not."""
        text = " ".join(self._names[index] for index in _words(ids))
        score: float = self._model.score(text, bos=True, eos=end)
        return -score * math.log(10)


def perplexity(model: NgramModel, texts: Sequence[Sequence[int]]) -> Summary:
    """The perplexity of texts of ids, ends counted, with its interval over texts.

    The end symbol alone stands for a text that a decoder ended at once: it has no words.
    """
    kept = without(texts, EOS)
    over = Perplexity("loss")
    losses = np.array([model.loss(text) for text in kept])
    return over.summary(over.per_text({"loss": losses, "words": [len(text) for text in kept]}), 0)


@measure(
    "sample-ppl",
    version=2,
    changed="symbols of begin and of padding in a sample count as unknown words",
    needs=("prior", "evaluator ngram"),
    library="kenlm",
    metrics=(
        Metric("sample_ppl", "forward PPL", 1, place=134),
        Metric("held_out_ppl", "PPL of test texts, n-gram model", 1, place=135),
    ),
    gives=(
        Definition(
            "sample_ppl",
            "ngram",
            "none",
            "exact",
            "Perplexity of greedy samples from the prior under an n-gram language model of the training texts, end "
            "symbol counted.",
            "Low for samples that are all alike: it says nothing of what is never sampled.",
            main=True,
            cost="greedy decoding of each sample from the prior; the n-gram model is made once for a corpus",
            counted=DECODED,
        ),
        Definition(
            "held_out_ppl",
            "ngram",
            "none",
            "exact",
            "Perplexity of the test texts under the same n-gram language model, to compare with.",
            main=True,
            cost="none beyond that of the samples",
        ),
    ),
)
def sample_ppl(context: Context, record: Record) -> None:
    """The perplexity of samples from the prior under an n-gram model, and that of the test texts beside it."""
    add_perplexities(context, record, context.evaluator("ngram"), "ngram")


def add_perplexities(context: Context, record: Record, model: NgramModel, estimator: str) -> None:
    """The perplexities of samples from the prior and of the test texts under a model, as one estimator."""
    record.add_summary("sample_ppl", estimator, perplexity(model, context.prior_texts))
    test = [text.tolist() for text in context.corpus.splits[record.split]]
    record.add_summary("held_out_ppl", estimator, perplexity(model, test))
