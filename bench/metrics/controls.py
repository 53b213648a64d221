"""What diversity of responses is worth: that of responses which do not answer their posts."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from bench.metrics.definitions import Definition
from bench.metrics.measures import measure
from bench.metrics.ngrams import Words, distinct

if TYPE_CHECKING:
    from bench.metrics.context import Context
    from bench.metrics.record import Record

HUMAN, CONSTANT = "random-human", "constant-response"
_OF = {
    HUMAN: "a training response drawn at random for each post of the split",
    CONSTANT: "the most frequent training response, given to each post of the split",
}


@measure(
    "response-controls",
    needs=("condition",),
    gives=[
        Definition(
            f"response_dist{n}",
            control,
            "ratio",
            "exact",
            f"Distinct {what} over all, within responses, of {texts}.",
            "Falls as the number of posts grows.",
            "higher",
            cost="none",
        )
        for control, texts in _OF.items()
        for n, what in ((1, "unigrams"), (2, "bigrams"))
    ],
    only_named=True,
)
def controls(context: Context, record: Record) -> None:
    """Diversity of human responses without regard to the post, and of one response for all posts."""
    from bench.base.seeds import derive_seed

    train = [text.tolist() for text in context.corpus.splits["train"]]
    posts = len(context.texts.lengths)
    random = np.random.Generator(np.random.PCG64(derive_seed(*context.noise("controls"))))
    frequent = Counter(map(tuple, train)).most_common(1)[0][0]
    given: dict[str, list[Words]] = {
        HUMAN: [train[i] for i in random.integers(len(train), size=posts)],
        CONSTANT: [frequent] * posts,
    }
    for control, texts in given.items():
        for n in (1, 2):
            record.add(f"response_dist{n}", control, distinct(texts, n), texts=posts)
