"""N-gram counts by hand, and the precisions and the brevity penalty of sacrebleu on random texts."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sacrebleu

from bench.metrics.ngrams import (
    COUNTS,
    bleu_counts,
    cumulative_bleu2,
    distinct,
    precision_times_brevity,
    unsmoothed_bleu,
)


def counted(outputs: list[str], reference: str) -> dict[str, int]:
    counts = bleu_counts([output.split() for output in outputs], reference.split())
    return dict(zip(COUNTS, counts, strict=True))


def test_counts_by_hand() -> None:
    # Matches are clipped by the reference: "the" twice, "the cat" once.
    found = counted(["the the the cat", "a cat"], "the cat saw the dog")
    expected = {
        "match1": 3 + 1,
        "total1": 4 + 2,
        "match2": 1 + 0,
        "total2": 3 + 1,
        "words": 6,
        "reference": 10,
    }
    assert found == expected


def test_without_four_words_in_a_row_bleu_is_zero() -> None:
    reference = ["a", "b", "c", "d", "e"]
    assert unsmoothed_bleu([[["a", "b", "c", "x", "e"]]], [reference]) == 0
    assert unsmoothed_bleu([[reference]], [reference]) == pytest.approx(100)


def test_score_by_hand() -> None:
    counts = np.array(bleu_counts([["the", "cat", "sat"]], ["the", "cat", "saw", "it"]))
    brevity = math.exp(1 - 4 / 3)
    assert precision_times_brevity(counts, 1) == pytest.approx(100 * brevity * 2 / 3, rel=1e-12)
    assert precision_times_brevity(counts, 2) == pytest.approx(100 * brevity * 1 / 2, rel=1e-12)
    longer = np.array(bleu_counts([["the", "cat", "sat", "on", "it"]], ["the", "cat", "saw", "it"]))
    assert precision_times_brevity(longer, 1) == pytest.approx(100 * 3 / 5, rel=1e-12)  # no reward for length


@pytest.mark.parametrize("longest", [4, 24])
def test_corpus_scores_are_sacrebleus_precisions_times_its_brevity_penalty(longest: int) -> None:
    random = np.random.default_rng(longest)

    def text(most: int) -> list[str]:
        return [f"w{i}" for i in random.integers(0, 6, size=random.integers(1, most + 1))]

    references = [text(12) for _ in range(60)]
    outputs = [[text(longest) for _ in range(3)] for _ in references]
    pooled = np.array([bleu_counts(o, r) for o, r in zip(outputs, references, strict=True)])
    hypotheses = [" ".join(words) for group in outputs for words in group]
    repeated = [" ".join(words) for words in references for _ in range(3)]
    bleu = sacrebleu.corpus_bleu(hypotheses, [repeated], tokenize="none", force=True, smooth_method="none")
    assert (bleu.bp < 1) == (longest == 4)
    for n in (1, 2):
        found = precision_times_brevity(pooled.sum(0), n)
        assert found == pytest.approx(bleu.precisions[n - 1] * bleu.bp, rel=1e-12)
    assert unsmoothed_bleu(outputs, references) == pytest.approx(bleu.score, rel=1e-12)
    two = sacrebleu.BLEU(max_ngram_order=2, tokenize="none", force=True, smooth_method="none")
    wanted = two.corpus_score(hypotheses, [repeated]).score
    assert cumulative_bleu2(pooled.sum(0)) == pytest.approx(wanted, rel=1e-12)


def test_rows_of_counts_are_scored_row_by_row() -> None:
    rows = np.array([bleu_counts([["a", "b"]], ["a", "b"]), bleu_counts([["c"]], ["a"])])
    assert precision_times_brevity(rows, 1).tolist() == [100, 0]
    assert precision_times_brevity(rows, 2).tolist() == [100, 0]


def test_texts_of_one_word_and_of_none() -> None:
    assert counted(["the"], "the") == dict(zip(COUNTS, (1, 1, 0, 0, 1, 1), strict=True))
    assert counted([""], "the") == dict(zip(COUNTS, (0, 0, 0, 0, 0, 1), strict=True))
    nothing = np.array(bleu_counts([[]], ["the"]))
    assert precision_times_brevity(nothing, 1) == 0
    assert precision_times_brevity(nothing, 2) == 0


@pytest.mark.parametrize(
    ("texts", "n", "expected"),
    [
        (["a b a", "a"], 1, 2 / 4),
        (["a b a", "a"], 2, 2 / 2),
        (["a b", "a b", "b a"], 2, 2 / 3),  # bigrams do not cross texts
        (["a", "b"], 2, 0.0),
        (["", ""], 1, 0.0),
        ([], 1, 0.0),
    ],
)
def test_distinct_by_hand(texts: list[str], n: int, expected: float) -> None:
    assert distinct([text.split() for text in texts], n) == expected
