"""An n-gram language model of a text that the user names, and the perplexity that samples have under it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from bench.base.errors import BenchError
from bench.base.registry import part
from bench.corpora.raw import Treatments, decoded_lines, read_bytes
from bench.corpora.vocabulary import UNK
from bench.metrics.definitions import DECODED, Definition
from bench.metrics.measures import measure
from bench.metrics.ngram_model import KneserNey, add_perplexities, estimated

if TYPE_CHECKING:
    from bench.corpora.prepared import Prepared
    from bench.metrics.context import Context
    from bench.metrics.record import Record

FOREIGN = 0.5  # share of its words without an id, from which on a text is of another vocabulary


@part("evaluator", "kneser-ney-text")
class KneserNeyOfText(KneserNey):
    """The model of ``kneser-ney`` for a text of the user's own: a file with one text a line, words parted by blanks.

    Words that the vocabulary of the corpus lacks are the unknown word, as in the corpus.
    """

    def __init__(
        self, *, text: Annotated[str, Field(min_length=1)], order: Annotated[int, Field(ge=2, le=6)] = 5
    ) -> None:
        super().__init__(order=order)
        self.text = Path(text)

    def make(self, corpus: Prepared, folder: Path) -> Mapping[str, Any]:
        """Estimate the model and write it as ARPA.

        Raises :class:`BenchError` for a file that cannot be read, that holds no words, or most of whose words the
        vocabulary lacks.
        """
        texts = list(self._texts(corpus))
        words = sum(map(len, texts))
        unknown = sum(text.count(UNK) for text in texts)
        if not words:
            raise BenchError("no words to estimate an n-gram model of", where=self.text)
        if unknown > FOREIGN * words:
            raise BenchError(
                f"{unknown} of {words} words are not in the vocabulary of {corpus.name}: another vocabulary",
                where=self.text,
                remedy="write its words as those of the corpus: lower-case, punctuation apart",
            )
        return {**estimated(texts, corpus, folder, self.order), "words": words, "unknown_words": unknown}

    def _texts(self, corpus: Prepared) -> list[list[int]]:
        lines = decoded_lines(read_bytes(self.text), self.text, "train", Treatments())
        lower = corpus.rules.lowercase
        return [corpus.vocabulary.encode((line.lower() if lower else line).split()) for _, line in lines]


@measure(
    "sample-ppl-of-text",
    version=2,
    changed="symbols of begin and of padding in a sample count as unknown words",
    needs=("prior", "evaluator text"),
    library="kenlm",
    gives=[
        Definition(
            metric,
            "ngram-of-text",
            "none",
            "exact",
            f"Perplexity of {texts} under an n-gram language model of a text that the user names, end symbol counted.",
            bias,
            cost=cost,
            counted=DECODED if metric == "sample_ppl" else "",
        )
        for metric, texts, bias, cost in (
            (
                "sample_ppl",
                "greedy samples from the prior",
                "Low for samples that are all alike: it says nothing of what is never sampled.",
                "greedy decoding of each sample from the prior; the n-gram model is made once for a corpus",
            ),
            ("held_out_ppl", "the test texts", None, "none beyond that of the samples"),
        )
    ],
)
def sample_ppl_of_text(context: Context, record: Record) -> None:
    """The perplexity of samples from the prior under a model of the user's text, that of the test texts beside it."""
    add_perplexities(context, record, context.evaluator("text"), "ngram-of-text")
