"""Order, limits and unknown words of the vocabulary."""

from __future__ import annotations

import pytest

from bench.base.errors import BenchError
from bench.base.text_rules import TextRules
from bench.corpora.vocabulary import EOS, GO, PAD, SPECIALS, UNK, Vocabulary, build_vocabulary

TEXTS = ["b a b c", "a d <unk>", "c e _UNK"]


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({}, "b a c d e _UNK"),  # first occurrence; <unk> is a special, _UNK a word
        ({"unknown": ("<unk>", "_UNK")}, "b a c d e"),
        ({"min_count": 2}, "b a c"),
        ({"max_words": 2}, "b a"),  # b, a, c occur twice: of equals the first
        ({"max_words": 4}, "b a c d"),
        ({"max_words": 99, "min_count": 2}, "b a c"),
    ],
)
def test_words_in_order(rules: dict[str, object], words: str) -> None:
    vocabulary = build_vocabulary((t.split() for t in TEXTS), TextRules.model_validate(rules))
    assert vocabulary.words == [*SPECIALS, *words.split()]
    assert vocabulary.size == len(vocabulary) == 4 + len(words.split())


def test_the_most_frequent_keep_the_order_of_first_occurrence() -> None:
    assert build_vocabulary([["x", "y", "y", "z", "z"]], TextRules(max_words=2)).words[4:] == ["y", "z"]


def test_ids_and_words() -> None:
    vocabulary = Vocabulary([*SPECIALS, "a", "b"], unknown=("_UNK",))
    assert (PAD, GO, EOS, UNK) == (0, 1, 2, 3)
    assert vocabulary.encode(["a", "b", "<unk>", "_UNK", "other"]) == [4, 5, UNK, UNK, UNK]
    assert vocabulary.id("b") == 5
    assert vocabulary.decode([4, UNK, 5]) == ["a", "<unk>", "b"]
    assert [word in vocabulary for word in ("a", "_UNK", "<unk>", "other")] == [True, True, True, False]


@pytest.mark.parametrize("words", [["a", *SPECIALS], [*SPECIALS, "a", "a"], []])
def test_a_bad_list_of_words(words: list[str]) -> None:
    with pytest.raises(BenchError, match="begins with the special symbols and holds no word twice"):
        Vocabulary(words)
