"""Divergence, entropy and length of the words of samples: closed forms, and the corpus beside a run."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.corpora.prepared import Prepared
from bench.corpora.vocabulary import EOS
from bench.metrics.context import SPLIT, Context
from bench.metrics.measures import find_measure
from bench.metrics.record import Record
from bench.metrics.unigrams import word_divergence, word_entropy
from tests.conftest import tiny_settings


def test_known_distributions() -> None:
    even, half = np.array([2, 2, 2, 2]), np.array([4, 4, 0, 0])
    assert word_entropy(even) == pytest.approx(math.log(4))
    assert word_entropy(half) == pytest.approx(math.log(2))
    assert word_divergence(half, even) == pytest.approx(math.log(2))
    assert word_divergence(even, even) == 0
    assert math.isnan(word_entropy(0 * even))  # a decoder that writes nothing is not the nearest to any text
    assert math.isnan(word_divergence(0 * even, even))
    # The words that the reference lacks take their share with them.
    assert word_divergence(even, half) == pytest.approx(2 * 0.25 * math.log(0.25 / 0.5))


def test_samples_stand_beside_the_texts_of_the_corpus(runs: Path, corpus: Prepared) -> None:
    settings = tiny_settings("vae")
    context = Context(settings, corpus, runs / settings.name, torch.device("cpu"))
    first, second = corpus.splits["train"][0].tolist(), corpus.splits["train"][1].tolist()
    context.prior_texts = [first, [EOS], second]  # a decoder that ends at once has written no word
    record = Record(find_measure("unigrams"), SPLIT, context.texts.lengths, 0)
    find_measure("unigrams").function(context, record)
    values = {(one["metric"], one["estimator"]): one for one in record.measurements}
    assert values["average_length", "prior-samples"]["value"] == pytest.approx(len(first + second) / 3)
    assert values["unigram_kl", "prior-samples"]["texts"] == 3
    raw = [word for text in corpus.raw("train") for word in text]
    shares = np.unique(raw, return_counts=True)[1] / len(raw)
    assert values["unigram_entropy", "training-texts"]["value"] == pytest.approx(-shares @ np.log(shares))
    length = len(raw) / len(corpus.splits["train"])
    assert values["average_length", "training-texts"]["value"] == pytest.approx(length)
    assert 0 < values["unigram_kl", "test-texts"]["value"] < values["unigram_kl", "prior-samples"]["value"]
    assert ("unigram_kl", "training-texts") not in values
