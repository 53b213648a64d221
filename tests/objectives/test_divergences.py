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
from bench.objectives.divergences import KL, DeviationKL, kl_terms
from tests.plain import known, numbers

PRIOR = StandardNormal(3)


@pytest.fixture
def gaussian() -> DiagonalGaussian:
    torch.manual_seed(0)
    return DiagonalGaussian(torch.randn(6, 3), torch.randn(6, 3) * 0.7)


def closed(latent: DiagonalGaussian) -> Tensor:
    terms = latent.kl_terms(PRIOR)
    assert terms is not None
    return terms


def test_closed_form_equals_the_library_per_dimension(gaussian: DiagonalGaussian) -> None:
    expected = kl_divergence(Normal(gaussian.mean, gaussian.log_std.exp()), Normal(0.0, 1.0))
    found = gaussian.kl_terms(PRIOR)
    assert found is not None
    torch.testing.assert_close(found, expected)


def test_closed_form_equals_monte_carlo(gaussian: DiagonalGaussian) -> None:
    z, _ = gaussian.sample(numbers(6), 50_000)
    ratio = gaussian.log_prob(z) - PRIOR.log_prob(z)
    error = ratio.std(1) / math.sqrt(ratio.shape[1])
    assert ((ratio.mean(1) - closed(gaussian).sum(-1)).abs() < 4 * error).all()  # 4 s.e., six texts


def test_it_is_zero_for_the_prior_alone() -> None:
    same = DiagonalGaussian(torch.zeros(1, 3), torch.zeros(1, 3))
    assert closed(same).tolist() == [[0.0, 0.0, 0.0]]
    # One unit of the mean costs a half; a deviation of 2 costs 3/2 - ln 2.
    moved = DiagonalGaussian(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, math.log(2)]]))
    assert closed(moved)[0].tolist() == pytest.approx([0.5, 1.5 - math.log(2)], rel=1e-6)


class Shifted:
    """A prior for which no closed form is declared: N(1, I)."""

    def log_prob(self, z: Tensor, condition: None) -> Tensor:
        return PRIOR.log_prob(z - 1)


def test_the_kl_uses_the_closed_form_where_it_is_one_and_the_code_otherwise(
    gaussian: DiagonalGaussian,
) -> None:
    z = torch.randn(6, 3)
    density = torch.full((6,), torch.nan)  # not read
    torch.testing.assert_close(KL()(known(gaussian, z, density, PRIOR)), closed(gaussian).sum(-1))
    with pytest.raises(TypeError, match="no KL"):
        kl_terms(known(Point(z), z, None, PRIOR))


def test_a_prior_without_a_closed_form_is_measured_by_the_code(gaussian: DiagonalGaussian) -> None:
    z, _ = gaussian.sample(numbers(6), 50_000)
    std = gaussian.log_std.exp()
    exact = kl_divergence(Normal(gaussian.mean, std), Normal(1.0, 1.0)).sum(-1)
    prior: Any = Shifted()
    density = gaussian.log_prob(z)
    some = range(0, 50_000, 100)
    values = torch.stack([KL()(known(gaussian, z[:, i], density[:, i], prior)) for i in some], dim=1)
    error = values.std(1) / math.sqrt(values.shape[1])
    assert ((values.mean(1) - exact).abs() < 4 * error).all()  # 4 s.e., six texts


def test_the_kl_of_deviations_equals_the_library_and_has_no_gradient_of_the_mean() -> None:
    torch.manual_seed(0)
    mean = torch.randn(6, 3, requires_grad=True)
    log_std = (torch.randn(6, 3) * 0.7).requires_grad_()
    std = log_std.exp()
    term = DeviationKL()(known(DiagonalGaussian(mean, log_std), mean))
    torch.testing.assert_close(term, kl_divergence(Normal(mean, std), Normal(mean, 1.0)).sum(-1))
    of_mean, of_std = torch.autograd.grad(term.sum(), (mean, log_std), allow_unused=True)
    assert of_mean is None
    torch.testing.assert_close(of_std, std.square() - 1)


def test_deviations_of_one_cost_nothing_and_a_point_has_none() -> None:
    mean = torch.full((2, 3), 5.0)
    assert DeviationKL()(known(DiagonalGaussian(mean, torch.zeros(2, 3)), mean)).tolist() == [0.0, 0.0]
    with pytest.raises(TypeError, match="Gaussian"):
        DeviationKL()(known(Point(mean), mean))
