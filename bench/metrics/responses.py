"""Responses: how diverse they are, and whether the model knows which post a response answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.metrics.combine import Mean
from bench.metrics.definitions import Definition, Metric, TextKind
from bench.metrics.measures import measure
from bench.metrics.ngrams import distinct

if TYPE_CHECKING:
    from bench.corpora.batches import Batch, Collator
    from bench.metrics.context import Context
    from bench.metrics.record import Record

AMONG = 10  # posts among which that of a response is looked for
TEXTS = 500  # pairs of which it is looked for, at most
SAMPLES = 10  # importance samples of each response given each post, at most


@measure(
    "responses",
    needs=("condition",),
    metrics=(
        Metric("response_dist1", "Dist-1 of responses", 0, 1, place=132),
        Metric("response_dist2", "Dist-2 of responses", 0, 1, place=133),
    ),
    gives=[
        Definition(
            f"response_dist{n}",
            "one-response",
            "ratio",
            "exact",
            f"Distinct {what} over all, within responses, pooled over one greedy response to each post of the split,"
            " from a code of p(z|y), or of the encoded post, where there are codes.",
            "Falls as the number of posts grows.",
            "higher",
            main=True,
            cost="greedy decoding of one response to each post",
        )
        for n, what in ((1, "unigrams"), (2, "bigrams"))
    ],
    shows=[
        TextKind(
            "responses", "Responses", "One greedy response to each of some posts, beside that of the corpus."
        )
    ],
)
def responses(context: Context, record: Record) -> None:
    """The share of distinct n-grams in one greedy response to each post, of which some are shown."""
    from bench.store.shown import ShownColumn

    written, field = context.responses, context.settings.conditions[0]
    for n in (1, 2):
        record.add(f"response_dist{n}", "one-response", distinct(written, n), texts=len(written))
    posts = context.corpus.raw(record.split, field)
    columns = [
        ShownColumn(name="index", role="key"),
        *(ShownColumn(name=name, role="corpus") for name in (field, context.corpus.decodes)),
        ShownColumn(name="decoded", role="decoded"),
    ]
    chosen = context.chosen(context.wanted.examples)
    rows = [[i, " ".join(posts[i]), " ".join(context.raw[i]), context.text(written[i])] for i in chosen]
    record.show("responses", columns, rows)


@measure(
    "retrieval",
    needs=("condition", "likelihood"),
    metrics=[Metric("post_retrieval", "posts found", 0, 1, place=136)],
    gives=[
        Definition(
            "post_retrieval",
            "among-ten",
            "ratio",
            "consistent",
            f"Responses that are likelier given their own post than given each of {AMONG - 1} others, by the exact or"
            f" importance-sampled likelihood; {1 / AMONG} by chance.",
            "Too few samples of a code blur the comparison.",
            "higher",
            main=True,
            cost=f"the likelihood of up to {TEXTS} texts, {AMONG} times",
            over=Mean("post_found", partial=True),
        )
    ],
)
def retrieval(context: Context, record: Record) -> None:
    """Which of some posts a response answers: the one that makes it likeliest.

    Posts are compared for one response, never responses for one post, so that no response wins for being frequent.
    Ties count as not found.
    """
    chosen = np.asarray(context.chosen(TEXTS))
    size = min(AMONG, len(chosen))
    groups = chosen[: len(chosen) // size * size].reshape(-1, size)
    losses = np.stack([_losses(context, groups, np.roll(groups, shift, axis=1)) for shift in range(size)])
    found = np.full(len(context.texts.lengths), np.nan)
    found[groups.ravel()] = (losses[1:] > losses[0]).all(0)
    record.columns["post_found"] = found
    drawn = context.model.encoder is not None and context.latent.stochastic
    record.add("post_retrieval", "among-ten", samples=min(SAMPLES, context.wanted.samples) if drawn else None)


def _losses(context: Context, texts: np.ndarray, posts: np.ndarray) -> np.ndarray:
    """-ln p of each response of ``texts`` given the post of the text that stands in its place in ``posts``."""
    from bench.estimators.likelihood import text_likelihoods

    exchanged = Exchanged(context.texts, texts.ravel(), posts.ravel())
    samples, names = min(SAMPLES, context.wanted.samples), context.noise("retrieval")
    return text_likelihoods(context.model, exchanged, samples, *names, infer=context.infer)["nll"]


class Exchanged:
    """Some ``texts`` of a split, each with all other fields of the text in its place in ``posts``."""

    def __init__(self, collator: Collator, texts: np.ndarray, posts: np.ndarray) -> None:
        self._collator, self._texts, self._posts = collator, texts, posts

    @property
    def lengths(self) -> np.ndarray:
        """Words of each text (texts,)."""
        lengths: np.ndarray = self._collator.lengths[self._texts]
        return lengths

    def __call__(self, index: np.ndarray) -> Batch:
        """The texts at these places, which draw the random numbers of their own, whatever their post."""
        from dataclasses import replace

        batch = self._collator(self._texts[index])
        return replace(batch, others=self._collator(self._posts[index]).others)
