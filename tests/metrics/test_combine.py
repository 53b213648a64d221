"""How numbers follow from values of texts: what a missing value and one without end do."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.metrics.combine import Mean, OverTexts, Perplexity

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
