"""The NLL with fewer samples: with one it is minus the ELBO, with more it is lower."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from bench.estimators.likelihood import of_fewer
from bench.models.priors import StandardNormal


def test_one_sample_gives_minus_the_elbo_and_ten_their_groups() -> None:
    generator = torch.Generator().manual_seed(0)
    codes = torch.randn(3, 25, 2, generator=generator)
    density, losses = (torch.randn(3, 25, generator=generator) for _ in range(2))
    model: Any = SimpleNamespace(prior=StandardNormal(2))
    weights = model.prior.log_prob(codes) - density - losses
    found = of_fewer(model, codes, density, losses)
    assert found["nll_hundredth_of_fewer"] == pytest.approx(-weights.mean(1), rel=1e-5)
    pairs = weights[:, :24].view(3, 12, 2)
    expected = math.log(2) - torch.logsumexp(pairs, 2).mean(1)
    assert found["nll_tenth_of_fewer"] == pytest.approx(expected, rel=1e-5)
    whole = math.log(25) - torch.logsumexp(weights, 1)
    assert (whole < found["nll_hundredth_of_fewer"]).all()
