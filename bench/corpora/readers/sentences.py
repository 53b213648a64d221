"""Sentences without a split of their own: shuffled and divided as the stochastic-WAE paper's program does."""

from __future__ import annotations

import math

from pydantic import Field

from bench.base.text_rules import SPLITS
from bench.corpora.raw import RawCorpus, Texts, decoded_lines, read_bytes, tokens
from bench.corpora.readers import Files, Options, reader
from bench.corpora.tokenise import treebank, without_symbols

SHUFFLE_SEED, SPLIT_SEED = 1337, 10
HELD_OUT = 0.1  # half of it for validation, half for test


class SentencesOptions(Options):
    """``distinct`` drops sentences seen before (case aside); ``cut`` keeps so many Treebank tokens."""

    paths: tuple[str, ...] = Field(min_length=1)
    distinct: bool = False
    cut: int | None = Field(default=20, ge=1)

    def sources(self) -> list[str]:
        """All paths."""
        return list(self.paths)


@reader("sentences", SentencesOptions)
def read_sentences(name: str, options: SentencesOptions, files: Files) -> RawCorpus:
    """Tokenise, cut, remove symbols, then divide 90/5/5 by sentence.

    Near-duplicates (the hypotheses of one premise) can fall into different splits, as in the paper.
    """
    corpus = RawCorpus(name, {})
    seen: set[str] = set()
    texts: Texts = []
    for path in options.paths:
        for number, line in decoded_lines(read_bytes(files[path]), files[path], "train", corpus.treatments):
            key = line.strip().lower()
            if options.distinct and key in seen:
                corpus.treatments.add("repeated sentences dropped before the split", "train", number)
                continue
            seen.add(key)
            texts.append(tokens(" ".join(without_symbols(treebank(line)[: options.cut]))))
    for split, indices in zip(SPLITS, divide(len(texts)), strict=True):
        corpus.splits[split] = [texts[index] for index in indices]
    return corpus


def divide(count: int) -> tuple[list[int], list[int], list[int]]:
    """Indices of train, valid, test among ``count`` sentences.

    One shuffle with NumPy's legacy generator, then two random divisions, each of which permutes anew with
    the same seed and takes the held-out part from the front.
    """
    import numpy

    order = numpy.arange(count)
    numpy.random.RandomState(SHUFFLE_SEED).shuffle(order)
    held = math.ceil(HELD_OUT * count)
    first = numpy.random.RandomState(SPLIT_SEED).permutation(count)
    train, rest = order[first[held:]], order[first[:held]]
    second = numpy.random.RandomState(SPLIT_SEED).permutation(held)
    half = math.ceil(held / 2)
    return train.tolist(), rest[second[half:]].tolist(), rest[second[:half]].tolist()
