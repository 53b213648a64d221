"""Forward and reverse perplexity by 5-grams, on texts whose probabilities can be counted."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from bench.corpora.vocabulary import SPECIALS, UNK, Vocabulary
from bench.metrics.measures import measures
from bench.metrics.ngram_model import perplexity
from bench.metrics.ngrams import without
from bench.metrics.record import Record
from bench.metrics.released_ngrams import model_of, perplexity_of_words, with_words
from bench.metrics.reverse_budget import COUNTS, reverse_budget

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


def test_reverse_perplexities_rest_on_the_first_texts_of_each_number() -> None:
    """Of 500 samples there are the first 320 and all; training texts have numbers of their own, samples lack c."""
    random = np.random.default_rng(0)
    train = [random.choice([A, B, C], size=1 + length % 4).tolist() for length in range(700)]
    samples, test = [[A, B, A], [B, A]] * 250, train[:50]
    splits = {"train": [torch.tensor(text) for text in train], "test": [torch.tensor(text) for text in test]}
    corpus = SimpleNamespace(splits=splits, vocabulary=WORDS)
    record = Record(measures()["reverse-budget"], "test", np.array([len(text) for text in test]), 0)
    given: Any = SimpleNamespace(corpus=corpus, reverse_texts=samples)
    reverse_budget(given, record)
    found = {(one["estimator"], one["part"]): one["value"] for one in record.measurements}
    assert COUNTS[0] == 320
    assert set(found) == {
        ("first-samples", "320"),
        ("first-samples", "500"),
        ("first-training-texts", "320"),
        ("first-training-texts", "700"),
    }
    for estimator, texts in (("first-samples", samples), ("first-training-texts", train)):
        expected = perplexity(model_of(texts[:320], WORDS), test).value
        assert found[estimator, "320"] == pytest.approx(expected)
    assert found["first-training-texts", "700"] < found["first-samples", "500"]
