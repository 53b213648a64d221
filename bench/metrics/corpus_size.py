"""Sizes of a prepared corpus, for papers that print them in a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.metrics.definitions import Definition, Metric
from bench.metrics.measures import measure

if TYPE_CHECKING:
    from bench.metrics.context import Context
    from bench.metrics.record import Record

_OF = {
    "train_size": "Texts in the training split.",
    "dev_size": "Texts in the validation split.",
    "test_size": "Texts in the test split.",
    "vocab_size": "Words with an id of their own, special symbols not counted.",
}


@measure(
    "corpus-size",
    only_named=True,
    metrics=[Metric(name, name.replace("_", " "), 0) for name in _OF],
    gives=[
        Definition(name, "prepared", "count", "exact", text, main=True, cost="none")
        for name, text in _OF.items()
    ],
)
def corpus_size(context: Context, record: Record) -> None:
    """The texts of each split and the words of the vocabulary."""
    from bench.corpora.vocabulary import SPECIALS

    splits, tested = context.corpus.splits, len(context.texts.lengths)
    sizes = {
        "train_size": len(splits["train"]),
        "dev_size": len(splits["valid"]),
        "test_size": tested,
        "vocab_size": len(context.corpus.vocabulary) - len(SPECIALS),
    }
    for name, size in sizes.items():
        record.add(name, "prepared", size, texts=tested)
