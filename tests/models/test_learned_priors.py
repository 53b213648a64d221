"""Learned priors against what must hold of any density, and against what a mixture and a flow are by definition."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from bench.models.distributions import DiagonalGaussian
from bench.models.encoders import GRUEncoder
from bench.models.mixture_priors import MixtureOfGaussians, VampPrior
from bench.models.model import initialise
from bench.models.noise import Noise
from bench.models.posteriors import GaussianPosterior
from bench.models.priors import StandardNormal
from bench.models.real_nvp import AffineCoupling, RealNVP


def shaken(prior: Any, size: float = 0.4) -> Any:
    """The prior with parameters away from where they begin."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.add_(size * torch.randn(parameter.shape, generator=generator))
    return prior.requires_grad_(False)


def vamp(latent: int) -> VampPrior:
    torch.manual_seed(1)
    encoder = GRUEncoder(3, hidden=4).requires_grad_(False)
    posterior = GaussianPosterior(8, latent).requires_grad_(False)
    return VampPrior(3, encoder, posterior, components=5, length=2, deviation=2.0).requires_grad_(False)


def priors(latent: int) -> list[Any]:
    """One of each kind, of small size."""
    free = [
        MixtureOfGaussians(latent, components=3),
        MixtureOfGaussians(latent, components=3, weighted=False),
    ]
    return [*map(shaken, free), vamp(latent), shaken(RealNVP(latent, layers=4, hidden=8))]


def grid(points: int) -> tuple[Tensor, float]:
    """Codes (n, 2) that cover the plane where these priors have mass, and the area of each."""
    axis = torch.linspace(-14, 14, points, dtype=torch.float64)
    return torch.cartesian_prod(axis, axis), float(axis[1] - axis[0]) ** 2


@pytest.mark.parametrize("kind", range(4))
def test_the_density_integrates_to_one(kind: int) -> None:
    codes, area = grid(561)
    assert priors(2)[kind].log_prob(codes).exp().sum() * area == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("kind", range(4))
def test_samples_follow_the_density(kind: int) -> None:
    prior = priors(2)[kind]
    codes, area = grid(281)
    densities = prior.log_prob(codes)
    drawn = prior.log_prob(prior.sample(40_000, torch.Generator().manual_seed(3)))
    for level in drawn.quantile(
        torch.tensor([0.2, 0.5, 0.8])
    ):  # how much mass lies where p is lower than that
        assert densities[densities < level].exp().sum() * area == pytest.approx(
            (drawn < level).double().mean().item(), abs=0.015
        )


def test_a_mixture_is_that_of_the_library() -> None:
    prior = shaken(MixtureOfGaussians(3, components=4)).double()
    each = Independent(Normal(prior.mean, prior.log_std.exp()), 1)
    wanted = MixtureSameFamily(Categorical(logits=prior.logits), each)
    z = torch.randn(5, 2, 3, dtype=torch.float64)
    torch.testing.assert_close(prior.log_prob(z), wanted.log_prob(z))


def test_a_vamp_prior_is_the_mean_of_the_posteriors_of_its_pseudo_inputs() -> None:
    prior = vamp(3)
    encoder, posterior = prior._networks
    lengths = torch.full((5,), 2)
    latent: DiagonalGaussian = posterior(encoder(prior.pseudo_inputs, lengths, None))
    z = torch.randn(7, 3)
    each = [Normal(m, s).log_prob(z).sum(-1) for m, s in zip(latent.mean, latent.log_std.exp(), strict=True)]
    wanted = torch.logsumexp(torch.stack(each), 0) - math.log(5)
    torch.testing.assert_close(prior.log_prob(z), wanted, rtol=1e-4, atol=1e-4)
    assert [name for name, _ in prior.named_parameters()] == ["pseudo_inputs"]


@pytest.mark.parametrize("latent", [1, 2, 5])
def test_the_inverse_of_a_flow_and_its_determinant_against_automatic_differentiation(latent: int) -> None:
    flow = shaken(RealNVP(latent, layers=3, hidden=6)).double()
    start = torch.randn(4, latent, dtype=torch.float64)
    z, log_det = flow.push(start)
    back, same = flow.pull(z)
    torch.testing.assert_close(back, start)
    torch.testing.assert_close(same, log_det)
    for row, found in zip(start, log_det, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda code: flow.push(code)[0], row)
        assert isinstance(jacobian, Tensor)
        torch.testing.assert_close(jacobian.slogdet().logabsdet, found)
    torch.testing.assert_close(flow.log_prob(z), StandardNormal(latent).log_prob(start) - log_det)


def test_both_halves_move_and_no_scale_leaves_its_bound() -> None:
    flow = shaken(RealNVP(4, layers=2, hidden=6), size=3.0)
    z = torch.randn(6, 4)
    assert (flow.push(z)[0] != z).all()
    layer = flow.layers[0]
    assert isinstance(layer, AffineCoupling)
    scale, _ = layer._maps(1e6 * torch.randn(50, 2))
    assert (scale.abs() <= layer.bound.abs()).all()


@pytest.mark.parametrize("bound", [None, 0.01])
def test_a_flow_begins_as_the_identity_and_gives_the_gaussian_kl(bound: float | None) -> None:
    flow = RealNVP(3)
    initialise(flow, 0, weights=bound)
    q = DiagonalGaussian(torch.tensor([[0.3, -1.0, 0.0]]), torch.tensor([[-0.5, 0.2, -1.0]]))
    codes, density = q.sample(Noise("codes").source("codes", 1), 20_000)
    torch.testing.assert_close(flow.log_prob(codes), StandardNormal(3).log_prob(codes))
    exact = q.kl_terms(StandardNormal(3))
    assert exact is not None
    assert q.kl_terms(flow) is None
    assert (density - flow.log_prob(codes)).mean().item() == pytest.approx(exact.sum().item(), abs=0.05)
