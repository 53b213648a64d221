"""Wrapped distributions: densities that integrate to 1, and the Gaussian model that they become."""

from __future__ import annotations

import math
from operator import itemgetter

import pytest
import torch
from scipy.stats import chi
from torch import Tensor
from torch.testing import assert_close

from bench.estimators.proposals import gaussians_around
from bench.models.distributions import DiagonalGaussian, Latent, joined
from bench.models.mixture_priors import WrappedVampPrior
from bench.models.poincare import Ball
from bench.models.sampled import FactorGaussian
from bench.models.wrapped import Wrapped, WrappedImplicitPosterior, WrappedNormal, WrappedNormalPosterior
from tests.plain import Averaged, numbers

BATCH, SAMPLES, LATENT = 3, 5, 4


def wrapped(ball: Ball, latent: int = LATENT) -> Wrapped:
    torch.manual_seed(0)
    mean = ball.exp(torch.zeros(BATCH, latent), 0.5 * torch.randn(BATCH, latent))
    return Wrapped(mean, DiagonalGaussian(torch.zeros_like(mean), 0.3 * torch.randn(BATCH, latent)), ball)


def of_grid(ball: Ball) -> tuple[Tensor, Tensor]:
    """Codes (n, 2) over the whole of a ball, and the volume (n,) that each stands for."""
    r = (torch.arange(600).double() + 0.5) / 600
    angle = (torch.arange(128).double() + 0.5) / 128 * 2 * math.pi
    radius = (1 - (1 - r) ** 3)[:, None] / math.sqrt(ball.curvature)  # closer to each other near the border
    width = 3 * (1 - r)[:, None] ** 2 / 600 / math.sqrt(ball.curvature)
    z = radius.unsqueeze(-1) * torch.stack([angle.cos(), angle.sin()], dim=-1)
    area = radius * width * (2 * math.pi / 128) * ball.factor(z).squeeze(-1).square()
    return z.flatten(0, 1), area.flatten()


@pytest.mark.parametrize("spread", [1.0, 2.0])
def test_densities_integrate_to_one(spread: float) -> None:
    posterior = WrappedNormalPosterior(3, 2, curvature=0.7, spread=spread)
    z, area = of_grid(posterior.ball)
    prior = WrappedNormal(2, posterior)
    assert (prior.log_prob(z).exp() @ area).item() == pytest.approx(1, abs=2e-3)
    q = wrapped(posterior.ball, 2).map(Tensor.double)
    assert (q.cross_log_prob(z).exp().t() @ area).tolist() == pytest.approx([1] * BATCH, abs=5e-3)


@pytest.mark.parametrize("spread", [1.0, 2.0])
def test_the_density_of_a_code_is_the_same_from_its_noise_and_from_the_code(spread: float) -> None:
    q = wrapped(Ball(0.3, spread))
    z, density = q.sample(numbers(BATCH), SAMPLES)
    v, normal = q.tangent.sample(numbers(BATCH), SAMPLES)
    assert density is not None
    assert normal is not None
    assert_close(density, (normal - q.ball.log_volume(v)).float(), rtol=1e-4, atol=1e-4)
    crossed = q.cross_log_prob(z[:, 0])
    assert_close(crossed.diagonal(), density[:, 0], rtol=1e-4, atol=1e-4)
    assert_close(q.ball.distance(q.mean, q.center()), torch.zeros(BATCH), rtol=0, atol=1e-5)
    parts = [q.map(itemgetter(slice(0, 1))), q.map(itemgetter(slice(1, None)))]
    assert_close(joined(parts).log_prob(z), q.log_prob(z))


def test_codes_that_are_drawn_back_from_the_border_have_no_weight_beyond_it() -> None:
    """Deviations so large that v leads out of single precision: posterior and prior see the same place."""
    posterior = WrappedNormalPosterior(3, LATENT, curvature=0.3)
    origin = torch.zeros(BATCH, LATENT)
    q = Wrapped(origin, DiagonalGaussian(origin, origin + 5.0), posterior.ball)
    z, density = q.sample(numbers(BATCH), 50)
    assert density is not None
    log_ratio = density - WrappedNormal(LATENT, posterior).log_prob(z)
    assert (log_ratio > 30).any()
    assert (-log_ratio).logsumexp(1).max() - math.log(50) < 1  # a mean of weights near or below 1


@pytest.mark.parametrize("deviation", [4.0, 8.0, 40.0])
def test_the_share_of_codes_at_the_border_is_that_of_lengths_beyond_it(deviation: float) -> None:
    """Of v ~ N(0, s^2 I) in d dimensions, |v| / s has a chi distribution; the border is 2 artanh(.) / sqrt(c) away."""
    ball, codes, zeros = Ball(0.5), 4000, torch.zeros(1, LATENT)
    q = Wrapped(zeros, DiagonalGaussian(zeros, zeros + math.log(deviation)), ball)
    away = 2 * math.atanh(1 - 1e-5) / math.sqrt(0.5)
    expected = chi.sf(away / (ball.spread * deviation), LATENT)
    found = float(ball.at_border(q.sample(numbers(1), codes)[0]).double().mean())
    assert abs(found - expected) < 4 * math.sqrt(expected * (1 - expected) / codes) + 1e-9
    assert 0 < expected < 1


def test_the_prior_is_the_posterior_at_the_origin() -> None:
    posterior = WrappedNormalPosterior(3, LATENT, curvature=0.3)
    prior, zeros = WrappedNormal(LATENT, posterior), torch.zeros(1, LATENT)
    z = prior.sample(6, torch.Generator().manual_seed(0))
    q = Wrapped(zeros, DiagonalGaussian(zeros, zeros), posterior.ball)
    assert_close(prior.log_prob(z), q.cross_log_prob(z).squeeze(1))


def test_a_flat_ball_gives_the_gaussian_model() -> None:
    """Volumes are 2^d times those of the plane, which cancels in every difference of densities."""
    q = wrapped(Ball(1e-7)).map(Tensor.double)
    plain = DiagonalGaussian(q.mean, q.parameters["tangent_log_std"])
    z = torch.randn(BATCH, SAMPLES, LATENT).double()
    assert_close(q.log_prob(z) + LATENT * math.log(2), plain.log_prob(z), rtol=1e-5, atol=1e-5)


def test_a_vamp_prior_is_the_mean_of_posteriors() -> None:
    encoder, posterior = Averaged(2), WrappedNormalPosterior(4, LATENT, curvature=0.3)
    prior = WrappedVampPrior(2, encoder, posterior, components=6, length=2, deviation=1.0)
    z = prior.sample(5, torch.Generator().manual_seed(0))
    components = posterior(encoder(prior.pseudo_inputs, torch.full((6,), 2), None))
    assert_close(prior.log_prob(z), components.cross_log_prob(z).exp().mean(1).log())
    z.sum().backward()  # reparameterised
    assert prior.pseudo_inputs.grad is not None
    assert prior.pseudo_inputs.grad.abs().sum() > 0


def test_the_proposal_of_an_implicit_posterior_matches_its_tangent_vectors() -> None:
    torch.manual_seed(0)
    network = WrappedImplicitPosterior(3, 2, curvature=0.3, hidden=8, noise=4)
    q = network(torch.randn(BATCH, 3))
    assert not q.has_density
    found = gaussians_around(q, numbers(BATCH), 4000)[0]
    assert isinstance(found, Wrapped)
    assert isinstance(found.tangent, FactorGaussian)
    assert found.has_density
    drawn: Latent = q.tangent
    v = drawn.sample(numbers(BATCH), 4000)[0]
    assert_close(found.tangent.mean, v.mean(1), rtol=0.1, atol=0.05)
    covariance = found.tangent.factor @ found.tangent.factor.mT
    assert_close(covariance[0], 1.5 * torch.cov(v[0].t()), rtol=0.2, atol=0.02)
    assert torch.equal(found.mean, q.mean)
