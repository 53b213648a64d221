"""The NLL with fewer samples: with one it is minus the ELBO, with more it is lower."""

from __future__ import annotations

import math

import pytest
import torch

from bench.estimators.likelihood import of_fewer


def test_one_sample_gives_minus_the_elbo_and_ten_their_groups() -> None:
    weights = 3 * torch.randn(3, 25, generator=torch.Generator().manual_seed(0))
    found = of_fewer(weights)
    assert found["nll_hundredth_of_fewer"] == pytest.approx(-weights.mean(1), rel=1e-5)
    pairs = weights[:, :24].view(3, 12, 2)
    expected = math.log(2) - torch.logsumexp(pairs, 2).mean(1)
    assert found["nll_tenth_of_fewer"] == pytest.approx(expected, rel=1e-5)
    whole = math.log(25) - torch.logsumexp(weights, 1)
    assert (whole < found["nll_hundredth_of_fewer"]).all()
