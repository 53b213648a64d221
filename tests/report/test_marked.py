"""Differences between two texts, marked."""

from __future__ import annotations

import pytest

from bench.report.marked import marked


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
