"""Batches: every text once, little padding, an order that its names alone decide, tensors that are right."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from bench.corpora.batches import POOL, batches_of_epoch, by_length, epoch_order
from bench.corpora.vocabulary import EOS, GO, PAD
from tests.plain import collator

TEXTS = [[4, 5, 6], [7], [8, 9], [5, 5, 5, 5]]
TENSORS = ("words", "lengths", "inputs", "targets", "index", "places")
LENGTHS = 1 + np.random.default_rng(0).gamma(4, 5, size=3777).astype(int)  # 21 words, give or take 10


@pytest.mark.parametrize(("texts", "batch"), [(3777, 32), (3777, 7), (32, 32), (33, 32), (5, 32), (1, 1)])
def test_every_text_exactly_once_an_epoch(texts: int, batch: int) -> None:
    batches = epoch_order(LENGTHS[:texts], batch, "c", 0, 0)
    assert sorted(np.concatenate(batches).tolist()) == list(range(texts))
    assert len(batches) == -(-texts // batch)  # the loop counts on it
    assert sorted(len(b) for b in batches)[1:] == [batch] * (len(batches) - 1)


def padding(batches: list[np.ndarray]) -> float:
    """The share of padding in batches of all texts."""
    padded = sum(LENGTHS[b].max() * len(b) for b in batches)
    return float(1 - LENGTHS.sum() / padded)


def test_texts_of_like_length_are_together_and_little_is_padding() -> None:
    assert padding(epoch_order(LENGTHS, 32, "c", 0, 0)) < 0.06
    unsorted = np.random.default_rng(1).permutation(len(LENGTHS))
    assert padding(np.array_split(unsorted, len(LENGTHS) // 32)) > 0.5
    assert padding(list(by_length(LENGTHS, 2000))) < 0.06


def test_pools_of_one_batch_mix_lengths_and_hold_every_text_once() -> None:
    batches = epoch_order(LENGTHS, 32, "c", 0, 0, pool=1)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(LENGTHS)))
    assert padding(batches) > 3 * padding(epoch_order(LENGTHS, 32, "c", 0, 0))


def test_batches_of_equal_length_have_no_padding_and_are_as_many_as_the_lengths_ask_for() -> None:
    batches = epoch_order(LENGTHS, 32, "c", 0, 0, equal=True)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(LENGTHS)))
    assert all(len(set(LENGTHS[b])) == 1 and len(b) <= 32 for b in batches)
    counts = [int((length == LENGTHS).sum()) for length in set(LENGTHS)]
    assert len(batches) == sum(-(-count // 32) for count in counts)
    assert len(batches) == batches_of_epoch(LENGTHS, 32, equal=True)
    assert batches_of_epoch(LENGTHS, 32) == len(epoch_order(LENGTHS, 32, "c", 0, 0))


def test_batches_that_stay_are_the_same_in_each_epoch_and_come_in_another_order() -> None:
    first, second = (epoch_order(LENGTHS, 32, "c", 0, epoch, equal=True, fixed=True) for epoch in (0, 1))
    kept = [sorted(map(tuple, each)) for each in (first, second)]
    assert kept[0] == kept[1]
    assert [b.tolist() for b in first] != [b.tolist() for b in second]
    anew = epoch_order(LENGTHS, 32, "c", 0, 1, equal=True)
    assert sorted(map(tuple, anew)) != kept[0]


def test_the_order_of_the_batches_is_not_that_of_the_lengths() -> None:
    batches = epoch_order(LENGTHS, 32, "c", 0, 0)
    first = [LENGTHS[b].mean() for b in batches[:POOL]]
    # Independent of position: five standard errors of a correlation, 1/sqrt(50).
    assert abs(np.corrcoef(first, np.arange(POOL))[0, 1]) < 5 / POOL**0.5
    assert sorted(first) != first


def test_the_order_depends_on_the_names_alone() -> None:
    def order(*names: object) -> list[list[int]]:
        return [b.tolist() for b in epoch_order(LENGTHS, 32, *names)]

    np.random.seed(0)  # the state that must not matter
    first = order("c", 0, 3)
    np.random.seed(1)
    assert first == order("c", 0, 3)
    for other in (("c", 0, 4), ("c", 1, 3), ("d", 0, 3)):
        assert first != order(*other)


def test_tensors_of_a_batch() -> None:
    batch = collator(TEXTS)([2, 0, 1])
    assert batch.words.t().tolist() == [[8, 9, PAD], [4, 5, 6], [7, PAD, PAD]]
    assert batch.lengths.tolist() == [2, 3, 1]
    assert batch.inputs.t().tolist() == [[GO, 8, 9, PAD], [GO, 4, 5, 6], [GO, 7, PAD, PAD]]
    assert batch.targets.t().tolist() == [[8, 9, EOS, PAD], [4, 5, 6, EOS], [7, EOS, PAD, PAD]]
    assert batch.real.t().tolist() == [[True, True, True, False], [True] * 4, [True, True, False, False]]
    assert batch.index.tolist() == [2, 0, 1]
    assert {t.dtype for t in (batch.words, batch.inputs, batch.targets, batch.index)} == {torch.int64}


def test_places_filled_up_with_padding_count_for_nothing() -> None:
    exact, batch = collator(TEXTS)([2, 0, 1]), collator(TEXTS, multiple=4)([2, 0, 1])
    assert (len(exact.places), len(batch.places), batch.tokens) == (9, 12, 9)
    assert batch.places[:9].tolist() == exact.places.tolist()
    assert batch.real.flatten()[batch.places].tolist() == [True] * 9 + [False] * 3
    assert len(collator(TEXTS, multiple=64)([2, 0, 1]).places) == 12  # there is no more padding


def test_a_batch_takes_the_texts_of_another() -> None:
    one, other = collator(TEXTS)([2, 0]), collator(TEXTS)([0, 2])
    copied = one.copy()
    copied.copy_(other)
    assert all(torch.equal(getattr(copied, name), getattr(other, name)) for name in TENSORS)
    assert one.index.tolist() == [2, 0]


def test_a_batch_of_one_word_texts_alone() -> None:
    batch = collator(TEXTS)([1])
    assert batch.words.tolist() == [[7]]
    assert batch.inputs.tolist() == [[GO], [7]]
    assert batch.targets.tolist() == [[7], [EOS]]
    assert batch.real.all()


def test_every_text_of_a_split_is_reproduced_from_the_flat_tensor() -> None:
    random = np.random.default_rng(2)
    texts = [random.integers(4, 100, size=n).tolist() for n in LENGTHS[:200]]
    cut = collator(texts)
    for index in epoch_order(cut.lengths, 8, "c"):
        batch = cut(index)
        for column, number in enumerate(batch.index.tolist()):
            assert batch.words[: batch.lengths[column], column].tolist() == texts[number]
            assert batch.targets[batch.lengths[column], column] == EOS


@pytest.mark.parametrize("copies", [1, 10])
@pytest.mark.parametrize("tokens", [1, 100, 5000])
def test_by_length_covers_all_within_the_budget(tokens: int, copies: int) -> None:
    batches = list(by_length(LENGTHS, tokens, copies))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(LENGTHS)))
    assert (np.diff(LENGTHS[np.concatenate(batches)]) >= 0).all()
    sizes = [len(b) * (int(LENGTHS[b].max()) + 1) * copies for b in batches]
    assert all(size <= tokens or len(b) == 1 for size, b in zip(sizes, batches, strict=True))
    # Each batch is full: the next text would not have fitted.
    for one, after in pairwise(batches):
        assert (len(one) + 1) * (LENGTHS[after[0]] + 1) * copies > tokens


def test_texts_whose_end_was_cut_off_have_no_end_symbol_to_learn() -> None:
    whole, cut = collator(TEXTS), collator(TEXTS, unended=3)
    one, other = whole(range(4)), cut(range(4))
    assert other.real.sum(0).tolist() == [
        3,
        2,
        3,
        4,
    ]  # words and eos, but for texts of three words and of four
    assert other.tokens == one.tokens - 2 == len(other.places)
    assert torch.equal(other.words, one.words)
    learnt = other.targets.flatten()[other.places]
    assert int((learnt == EOS).sum()) == 2
    assert other.part(slice(1, 3)).tokens == 5
    assert torch.equal(cut([1, 2]).places, whole([1, 2]).places)
