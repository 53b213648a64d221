"""How numbers follow from values of texts: what a missing value and one without end do."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.metrics.combine import Mean, OverTexts, Perplexity, Z

WORDS = np.array([3.0, 5.0, 2.0])


@pytest.mark.parametrize("over", [Mean("x"), Mean("x", 2), Perplexity("x")])
def test_a_text_without_a_value_leaves_the_number_without_one(over: OverTexts) -> None:
    values = over.per_text({"x": np.array([1.0, np.nan, 2.0]), "words": WORDS})
    assert len(values) == 3
    assert math.isnan(over.summary(values, 0).value)


def test_only_a_partial_column_leaves_texts_out_and_counts_the_others() -> None:
    over = Mean("x", partial=True)
    found = over.summary(over.per_text({"x": np.array([1.0, np.nan, 2.0])}), 0)
    assert (found.value, found.texts) == (1.5, 2)


def test_a_perplexity_beyond_any_number_ends_no_evaluation() -> None:
    over = Perplexity("x")
    found = over.summary(over.per_text({"x": np.array([9e3, 8e3, 7e3]), "words": WORDS}), 0)
    assert found.value == math.inf


def test_no_interval_of_squares_reaches_below_0() -> None:
    """One text with a large gradient among many: the normal interval would begin at -7.4."""
    found = Mean("x", 2).summary(np.array([[0.01]] * 99 + [[1000.0]]), seed=0)
    assert found.value == pytest.approx(10.0099)
    assert found.value - Z * found.error < 0 < found.low < found.value < found.high
    assert math.isnan(Mean("x", 2).summary(np.array([[2.0]]), seed=0).low)
