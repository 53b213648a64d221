"""Self-BLEU against its definition written out, and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.metrics.measures import find_measure
from bench.metrics.ngrams import ngrams
from bench.metrics.sample_diversity import self_bleu


def by_definition(texts: list[list[int]], own: int, most: int) -> float:
    others = texts[:own] + texts[own + 1 :]
    text, total = texts[own], 0.0
    for n in range(1, most + 1):
        found = ngrams(text, n)
        right = sum(min(k, max(ngrams(other, n)[gram] for other in others)) for gram, k in found.items())
        if n == 1 and right == 0:
            return 0.0
        total += math.log((right or 0.1) / max(1, len(text) - n + 1)) / most
    nearest = min((len(other) for other in others), key=lambda length: (abs(length - len(text)), length))
    return math.exp(total + min(0.0, 1 - nearest / len(text)))


@pytest.mark.parametrize("most", [2, 3])
def test_self_bleu_is_that_of_each_text_against_all_others(most: int) -> None:
    random = np.random.default_rng(0)
    texts = [random.integers(0, 4, size=size).tolist() for size in (1, 3, 5, 5, 7, 9)] + [[7, 8], [9, 9, 9]]
    expected = [by_definition(texts, i, most) for i in range(len(texts))]
    assert self_bleu(texts, most) == pytest.approx(expected)
    assert expected[-1] == 0  # none of its words is in another


def test_texts_that_are_all_alike_have_one() -> None:
    assert self_bleu([[1, 2, 3]] * 3, 3) == pytest.approx(1.0)
    assert self_bleu([[1, 2, 3], [1, 2, 4]], 2) == pytest.approx(math.sqrt(2 / 3 * 1 / 2))


def test_it_is_made_only_where_it_is_named() -> None:
    assert find_measure("sample-diversity").only_named
