"""KL divergences against the library's and against Monte Carlo."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from bench.models.distributions import DiagonalGaussian, Point
from bench.models.priors import StandardNormal
from bench.objectives.divergences import KL, analytic_kl, gaussian_kl

PRIOR = StandardNormal(3)


@pytest.fixture
def gaussian() -> DiagonalGaussian:
    torch.manual_seed(0)
    return DiagonalGaussian(torch.randn(6, 3), torch.randn(6, 3) * 0.7)


def test_closed_form_equals_the_library_per_dimension(gaussian: DiagonalGaussian) -> None:
    expected = kl_divergence(Normal(gaussian.mean, gaussian.log_std.exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(gaussian_kl(gaussian), expected)
    found = analytic_kl(gaussian, PRIOR)
    assert found is not None
    torch.testing.assert_close(found, expected.sum(-1))


def test_closed_form_equals_monte_carlo(gaussian: DiagonalGaussian) -> None:
    z = gaussian.sample(torch.randn(6, 50_000, 3))
    ratio = gaussian.log_prob(z) - PRIOR.log_prob(z)
    error = ratio.std(1) / math.sqrt(ratio.shape[1])
    assert ((ratio.mean(1) - gaussian_kl(gaussian).sum(-1)).abs() < 4 * error).all()  # 4 s.e., six texts


def test_it_is_zero_for_the_prior_alone() -> None:
    same = DiagonalGaussian(torch.zeros(1, 3), torch.zeros(1, 3))
    assert gaussian_kl(same).tolist() == [[0.0, 0.0, 0.0]]
    # One unit of the mean costs a half; a deviation of 2 costs 3/2 - ln 2.
    moved = DiagonalGaussian(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, math.log(2)]]))
    assert gaussian_kl(moved)[0].tolist() == pytest.approx([0.5, 1.5 - math.log(2)], rel=1e-6)


class Shifted:
    """A prior for which no closed form is declared: N(1, I)."""

    def log_prob(self, z: Tensor) -> Tensor:
        return PRIOR.log_prob(z - 1)


def test_the_regulariser_uses_the_closed_form_where_it_is_one_and_the_code_otherwise(
    gaussian: DiagonalGaussian,
) -> None:
    z = torch.randn(6, 3)
    torch.testing.assert_close(KL()(gaussian, z, PRIOR), gaussian_kl(gaussian).sum(-1))
    assert analytic_kl(Point(z), PRIOR) is None


def test_a_prior_without_a_closed_form_is_measured_by_the_code(gaussian: DiagonalGaussian) -> None:
    z = gaussian.sample(torch.randn(6, 50_000, 3))
    std = gaussian.log_std.exp()
    exact = kl_divergence(Normal(gaussian.mean, std), Normal(1.0, 1.0)).sum(-1)
    prior: Any = Shifted()
    values = torch.stack([KL()(gaussian, z[:, i], prior) for i in range(0, 50_000, 100)], dim=1)
    error = values.std(1) / math.sqrt(values.shape[1])
    assert ((values.mean(1) - exact).abs() < 4 * error).all()  # 4 s.e., six texts
