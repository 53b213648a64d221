"""Forward and reverse perplexity by 5-grams, on texts whose probabilities can be counted."""

from __future__ import annotations

import math

import pytest

from bench.corpora.vocabulary import SPECIALS, UNK, Vocabulary
from bench.metrics.ngrams import without
from bench.metrics.released_ngrams import model_of, perplexity_of_words, with_words

A, B, C = range(len(SPECIALS), len(SPECIALS) + 3)
WORDS = Vocabulary([*SPECIALS, "a", "b", "c"])
TEXTS = [[A, B], [A, B], [A, C], [B], [A, A, B]]


def test_ends_are_left_out_of_words_but_not_of_texts() -> None:
    model = model_of(TEXTS, WORDS, 3)
    words = sum(len(text) for text in TEXTS)
    parts = [model.loss(text, end=False) for text in TEXTS]
    assert perplexity_of_words(model, TEXTS) == pytest.approx(math.exp(sum(parts) / words))
    assert perplexity_of_words(model, [[], []]) == pytest.approx(math.exp(model.loss([])))
    assert all(model.loss(text) > part for text, part in zip(TEXTS, parts, strict=True))


def test_deleted_words_close_up_and_cost_where_they_are_scored() -> None:
    assert without([[A, UNK, B], [UNK]], UNK) == [[A, B], []]
    model = model_of(without([[A, UNK, B]] * 3 + TEXTS, UNK), WORDS, 3)
    assert model.loss([A, B], end=False) < model.loss([A, UNK, B], end=False) < math.inf


def test_each_word_stands_once_before_the_samples() -> None:
    made = with_words([[A, B]], WORDS)
    assert made == [[], [], [], [], [A], [B], [C], [A, B]]
    alone = model_of([[A, B]], WORDS, 3)
    assert model_of(made, WORDS, 3).loss([C], end=False) < alone.loss([C], end=False)
