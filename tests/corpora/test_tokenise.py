"""The papers' tokenisers."""

from __future__ import annotations

import pytest

from bench.corpora.tokenise import treebank, without_symbols, word_punct


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("i don't know, uh-huh.", "i don ' t know , uh - huh ."),
        ("that's too far.can we?!", "that ' s too far . can we ?!"),
        ("_num_ 3.5", "_num_ 3 . 5"),
    ],
)
def test_word_punct(text: str, words: str) -> None:
    assert word_punct(text) == words.split()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a woman weaves cloth.", "a woman weaves cloth ."),
        ("three dogs can't help but jump.", "three dogs ca n't help but jump ."),
        ("a car that's parked, at 4,300.", "a car that 's parked , at 4,300 ."),
        ("the man's bag; two boys' toys", "the man 's bag ; two boys ' toys"),
        ('a sign that says "tripe".', "a sign that says `` tripe '' ."),
        ("they cannot (or won't) go...", "they can not ( or wo n't ) go ..."),
        ("a st. patricks day parade", "a st. patricks day parade"),
    ],
)
def test_treebank(text: str, words: str) -> None:
    assert treebank(text) == words.split()


def test_symbols_become_blanks_and_may_split_a_word() -> None:
    words = ["A", "``", "b/c", "''", "d-e", "100%", "_x_", ".", ",", "?", "n't", "-LRB-", "#"]
    assert without_symbols(words) == ["a", "b", "c", "''", "d-e", "100", "_x_", ".", ",", "?", "n't", "-lrb-"]
