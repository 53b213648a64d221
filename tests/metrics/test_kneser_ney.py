"""Kneser-Ney estimates: sums to one, the discounts of the paper, a transcription of the formulas, and kenlm."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from pathlib import Path

import kenlm
import numpy as np
import pytest

from bench.metrics.kneser_ney import FALLBACK, Order, discounts, estimate, write_arpa

START, END, WORDS = 0, 1, 9  # ids; the last of them stands in no text
NAMES = ["<s>", "</s>", "<unk>", *"abcdef"]
Ngram = tuple[int, ...]


def texts(seed: int, count: int = 60) -> list[list[int]]:
    """Texts of ids 2 to 7 with a preference for some, some of them empty."""
    random = np.random.default_rng(seed)
    weights = np.array([1, 8, 5, 3, 2, 1]) / 20
    return [(random.choice(6, size=random.integers(0, 7), p=weights) + 2).tolist() for _ in range(count)]


class Plain:
    """The formulas of Chen and Goodman (1998), one n-gram at a time."""

    def __init__(self, found: list[list[int]], order: int) -> None:
        self.order = order
        padded = [(START, *map(int, text), END) for text in found]
        self.counts = {
            n: Counter(text[i : i + n] for text in padded for i in range(len(text) - n + 1))
            for n in range(1, order + 1)
        }

    def adjusted(self, ngram: Ngram) -> int:
        n = len(ngram)
        if ngram == (START,):
            return 0
        if n == self.order or ngram[0] == START:
            return self.counts[n][ngram]
        return sum(longer[1:] == ngram for longer in self.counts[n + 1])

    def discount(self, n: int, count: int) -> float:
        if count == 0:
            return 0.0
        of_counts = Counter(self.adjusted(ngram) for ngram in self.counts[n])
        n1, n2, n3, n4 = (of_counts[k] for k in (1, 2, 3, 4))
        if not n1 * n2 * n3 * n4:
            return FALLBACK[min(count, 3) - 1]
        y = n1 / (n1 + 2 * n2)
        found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
        return (found if min(found) > 0 else FALLBACK)[min(count, 3) - 1]

    def probability(self, history: Ngram, word: int) -> float:
        history = history[max(0, len(history) - self.order + 1) :]
        n = len(history) + 1
        following = [ngram for ngram in self.counts[n] if ngram[:-1] == history]
        total = sum(map(self.adjusted, following))
        lower = self.probability(history[1:], word) if history else 1 / (WORDS - 1)
        if total == 0:
            return lower
        count = self.adjusted((*history, word)) if (*history, word) in self.counts[n] else 0
        freed = sum(self.discount(n, self.adjusted(ngram)) for ngram in following)
        return (count - self.discount(n, count)) / total + freed / total * lower


@pytest.fixture(scope="module", params=[2, 3, 4])
def order(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def model(tmp_path: Path, found: list[list[int]], order: int) -> kenlm.Model:
    write_arpa(estimate(found, WORDS, START, END, order), NAMES, START, tmp_path / "model.arpa")
    config = kenlm.Config()
    config.show_progress = False
    config.arpa_complain = kenlm.ARPALoadComplain.NONE
    return kenlm.Model(str(tmp_path / "model.arpa"), config)


def kenlm_probability(found: kenlm.Model, history: Ngram, word: int) -> float:
    """The probability of a word after a history that begins a text, or is in its middle."""
    state, after = kenlm.State(), kenlm.State()
    (found.BeginSentenceWrite if history[:1] == (START,) else found.NullContextWrite)(state)
    for index in history[history[:1] == (START,) :]:
        found.BaseScore(state, NAMES[index], after)
        state, after = after, kenlm.State()
    return float(10 ** found.BaseScore(state, NAMES[word], after))


def histories(found: list[list[int]], order: int) -> set[Ngram]:
    """All contexts that occur, of every length, and some that do not."""
    padded = [(START, *map(int, text)) for text in found]
    seen = {text[i : i + n] for text in padded for n in range(order) for i in range(len(text) - n + 1)}
    return seen | {(8,) * (order - 1), (2, 8)[: order - 1], (8, 3)[: order - 1]}


def test_probabilities_are_those_of_the_formulas_and_kenlm_reads_them(order: int, tmp_path: Path) -> None:
    found = texts(order)
    plain, read = Plain(found, order), model(tmp_path, found, order)
    for history in sorted(histories(found, order))[:: 1 + order // 3 * 7]:
        for word in range(1, WORDS):
            expected = plain.probability(history, word)
            assert kenlm_probability(read, history, word) == pytest.approx(expected, rel=2e-5)  # in float32


def test_probabilities_sum_to_one_after_every_context(order: int, tmp_path: Path) -> None:
    found = texts(10 + order, count=200)
    read = model(tmp_path, found, order)
    for history in histories(found, order):
        total = math.fsum(kenlm_probability(read, history, word) for word in range(1, WORDS))
        assert total == pytest.approx(1, abs=3e-6)


def test_a_text_is_scored_from_its_start_to_its_end(tmp_path: Path) -> None:
    found = texts(0)
    plain, read = Plain(found, 3), model(tmp_path, found, 3)
    for text in itertools.chain(found[:10], [[8, 2, 8], [3, 3, 3, 3]]):
        ids = (START, *map(int, text), END)
        expected = sum(math.log10(plain.probability(ids[:i], ids[i])) for i in range(1, len(ids)))
        assert read.score(" ".join(NAMES[i] for i in text), bos=True, eos=True) == pytest.approx(
            expected, rel=1e-5
        )


def test_discounts_are_those_of_the_closed_formulas() -> None:
    counts = np.repeat([0, 1, 2, 3, 4, 5, 9], [50, 40, 20, 11, 7, 3, 2])
    y = 40 / (40 + 2 * 20)
    expected = (1 - 2 * y * 20 / 40, 2 - 3 * y * 11 / 20, 3 - 4 * y * 7 / 11)
    found, estimated = discounts(counts)
    assert estimated
    assert found == pytest.approx(expected)
    assert discounts(np.array([1, 1, 2, 3])) == (FALLBACK, False)  # no n-gram occurs four times
    assert discounts(np.repeat([1, 2, 3, 4], [2, 1, 60, 1])) == (FALLBACK, False)  # D(2) would be negative


def test_a_model_of_one_text_and_of_empty_ones(tmp_path: Path) -> None:
    few: list[list[list[int]]] = [[[2, 3]], [[], []]]
    for found in few:
        made: list[Order] = estimate(found, WORDS, START, END, 3)
        assert not any(one.estimated for one in made)
        read = model(tmp_path, found, 3)
        total = math.fsum(kenlm_probability(read, (START,), word) for word in range(1, WORDS))
        assert total == pytest.approx(1, abs=3e-6)
