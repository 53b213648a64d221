"""The dual KL and what follows from it."""

from __future__ import annotations

import numpy as np

from bench.metrics.dual import _derived


def test_the_dual_as_printed_lacks_the_constant_of_1() -> None:
    columns = {"kl_dual": np.array([0.25, 4.0]), "aggregate_kl_dual": np.array([0.125, 1.0])}
    found = _derived(columns, {"reconstruction": np.array([10.0, 20.0]), "kl_analytic": np.array([1.0, 6.0])})
    assert found["kl_dual_as_printed"].tolist() == [-0.75, 3.0]
    assert found["neg_elbo_dual"].tolist() == [10.25, 24.0]  # with the constant
    assert found["dual_gap"].tolist() == [0.75, 2.0]
    assert found["mi_dual"].tolist() == [0.125, 3.0]
