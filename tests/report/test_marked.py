"""Differences between two texts, marked; words that repeat themselves, written once."""

from __future__ import annotations

import pytest

from bench.report.marked import folded, marked


@pytest.mark.parametrize(
    ("source", "output", "expected"),
    [
        ("the cat sleeps", "the cat sleeps", "the cat sleeps"),
        ("the cat sleeps", "the dog sleeps", "the <del>cat</del> <ins>dog</ins> sleeps"),
        ("a b", "a b c", "a b <ins>c</ins>"),
        ("a b", "", "<del>a b</del>"),
        ("<i>", "</del><script>", "<del>&lt;i&gt;</del> <ins>&lt;/del&gt;&lt;script&gt;</ins>"),
    ],
)
def test_words_that_are_lost_and_new(source: str, output: str, expected: str) -> None:
    assert marked(source, output) == expected


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("what is _UNK _UNK _UNK _UNK _UNK ?", "what is _UNK (5 times) ?"),
        ("a a a a", "a a a a"),
        ("ba a a a a a", "ba a (5 times)"),
        ("the cat the cat the cat the cat the cat", "the cat the cat the cat the cat the cat"),
    ],
)
def test_a_word_that_repeats_itself_is_written_once(text: str, shown: str) -> None:
    assert folded(text) == shown
    assert marked("", text) == f"<ins>{shown}</ins>"
