"""Posteriors of a text and noise: against the library's Gaussian, and the network written out."""

from __future__ import annotations

import math
from operator import itemgetter

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal, Normal, kl_divergence
from torch.nn.functional import leaky_relu

from bench.base.errors import BenchError
from bench.models.distributions import joined
from bench.models.forward import Forward
from bench.models.noise import Noise
from bench.models.precision import products
from bench.models.priors import StandardNormal
from bench.models.real_nvp import RealNVP
from bench.models.sampled import (
    CENTER,
    AffineNoisePosterior,
    FactorGaussian,
    ImplicitPosterior,
)
from bench.training.composition import build_model
from tests.ivae import ivae_settings
from tests.plain import WORDS, collator, numbers

BATCH, SAMPLES, LATENT, NOISE, FEATURES = 5, 3, 4, 6, 7


@pytest.fixture(params=["shared", "own"])
def gaussian(request: pytest.FixtureRequest) -> FactorGaussian:
    torch.manual_seed(0)
    own = (BATCH,) if request.param == "own" else ()
    return FactorGaussian(torch.randn(BATCH, LATENT), torch.randn(*own, LATENT, NOISE))


def library(q: FactorGaussian) -> MultivariateNormal:
    factor = q.factor.double()
    return MultivariateNormal(q.mean.double(), factor @ factor.mT)


def test_densities_equal_the_library(gaussian: FactorGaussian) -> None:
    z = torch.randn(2, BATCH, SAMPLES, LATENT)
    expected = library(gaussian).log_prob(z.double().transpose(-3, -2)).transpose(-2, -1)
    torch.testing.assert_close(gaussian.log_prob(z).double(), expected, rtol=1e-5, atol=1e-5)
    codes = torch.randn(6, LATENT)
    crossed = library(gaussian).log_prob(codes.double()[:, None])
    torch.testing.assert_close(gaussian.cross_log_prob(codes).double(), crossed, rtol=1e-5, atol=1e-5)


def test_the_kl_equals_the_library(gaussian: FactorGaussian) -> None:
    q, origin = library(gaussian), torch.zeros(LATENT, dtype=torch.float64)
    expected = kl_divergence(q, MultivariateNormal(origin, torch.eye(LATENT, dtype=torch.float64)))
    found = gaussian.kl_terms(StandardNormal(LATENT))
    assert found is not None
    torch.testing.assert_close(found.sum(-1).double(), expected, rtol=1e-5, atol=1e-5)
    assert gaussian.kl_terms(object()) is None


def test_a_diagonal_factor_is_a_diagonal_gaussian() -> None:
    mean, std = torch.tensor([[1.0, -2.0]]), torch.tensor([0.1, 3.0])
    found = FactorGaussian(mean, torch.diag(std)).kl_terms(StandardNormal(2))
    assert found is not None
    expected = kl_divergence(Normal(mean, std), Normal(0.0, 1.0)).sum(-1, keepdim=True)
    torch.testing.assert_close(found, expected)


def test_moments_of_the_codes(gaussian: FactorGaussian) -> None:
    count = 50_000
    z, density = gaussian.sample(numbers(BATCH), count)
    assert density is None
    q = library(gaussian)
    # Five standard errors of a mean.
    assert ((z.mean(1) - q.mean).abs() < 5 * q.variance.sqrt() / math.sqrt(count)).all()
    deviations = (z - z.mean(1, keepdim=True)).double()
    covariance = deviations.mT @ deviations / count
    wanted, variance = q.covariance_matrix.double(), q.variance.double()
    error = ((variance.unsqueeze(-1) * variance.unsqueeze(-2) + wanted.square()) / count).sqrt()
    assert ((covariance - wanted).abs() < 5 * error).all()


def test_codes_are_drawn_in_float32_whatever_products_are_narrow(gaussian: FactorGaussian) -> None:
    implicit = ImplicitPosterior(4, LATENT, noise=3, hidden=8)(torch.randn(BATCH, 4))
    prior = RealNVP(LATENT, layers=2, hidden=8)
    for parameter in prior.parameters():
        nn.init.normal_(parameter, std=0.3)

    def drawn() -> list[Tensor]:
        codes = [one.sample(numbers(BATCH), 5)[0] for one in (gaussian, implicit)]
        return [*codes, prior.sample(5, torch.Generator().manual_seed(0))]

    exact = drawn()
    with products(torch.device("cpu"), torch.bfloat16):
        narrow = drawn()
    assert all(torch.equal(*pair) for pair in zip(exact, narrow, strict=True))


def test_some_of_the_texts_and_all_of_them_again(gaussian: FactorGaussian) -> None:
    z = torch.randn(BATCH, SAMPLES, LATENT)
    first, rest = gaussian.map(itemgetter(slice(0, 2))), gaussian.map(itemgetter(slice(2, None)))
    torch.testing.assert_close(first.log_prob(z[:2]), gaussian.log_prob(z)[:2])
    torch.testing.assert_close(joined([first, rest]).log_prob(z), gaussian.log_prob(z))
    assert gaussian.map(Tensor.double).cross_log_prob(z[0].double()).dtype == torch.float64


def test_a_nearly_singular_factor_keeps_its_density() -> None:
    """A A' would lose the small direction: its determinant is 1e-20."""
    factor = torch.tensor([[1.0, 0.0], [1.0, 1e-10]])
    found = FactorGaussian(torch.zeros(1, 2), factor).kl_terms(StandardNormal(2))
    assert found is not None
    assert found.item() == pytest.approx(10 * math.log(10), rel=1e-6)


def test_the_affine_posterior_is_one_map_of_text_and_noise() -> None:
    torch.manual_seed(0)
    network, encoded = AffineNoisePosterior(FEATURES, LATENT, noise=NOISE), torch.randn(BATCH, FEATURES)
    codes = network(encoded).sample(numbers(BATCH), SAMPLES)[0]
    noise = numbers(BATCH).normal(SAMPLES, NOISE)
    both = torch.cat([encoded.unsqueeze(1).expand(-1, SAMPLES, -1), noise], dim=-1)
    torch.testing.assert_close(codes, network.map(both))


def test_too_little_noise_has_no_density() -> None:
    with pytest.raises(BenchError, match="3 dimensions of noise for codes of 4"):
        AffineNoisePosterior(FEATURES, LATENT, noise=3)


@pytest.mark.parametrize("layers", [1, 2])
def test_the_implicit_posterior_is_its_network(layers: int) -> None:
    torch.manual_seed(0)
    network = ImplicitPosterior(FEATURES, LATENT, noise=NOISE, hidden=5, layers=layers)
    encoded = torch.randn(BATCH, FEATURES)
    latent = network(encoded)
    codes = latent.sample(numbers(BATCH), SAMPLES)[0]
    noise = numbers(BATCH).normal(SAMPLES, NOISE)
    for text in range(BATCH):
        for sample in range(SAMPLES):
            values = leaky_relu(network.first(torch.cat([encoded[text], noise[text, sample]])), 0.01)
            for layer in network.inner:
                values = leaky_relu(layer(values), 0.01)
            torch.testing.assert_close(codes[text, sample], network.last(values))
    assert len(network.inner) == layers - 1


def test_the_centre_of_an_implicit_posterior_is_a_mean_over_the_same_noise_for_all() -> None:
    torch.manual_seed(0)
    network, encoded = ImplicitPosterior(FEATURES, LATENT, hidden=5), torch.randn(BATCH, FEATURES)
    encoded[1] = encoded[0]
    latent = network(encoded)
    many = latent.sample(numbers(BATCH), 20_000)[0]
    error = many.std(1) / math.sqrt(CENTER)
    assert ((latent.center() - many.mean(1)).abs() < 5 * error).all()
    torch.testing.assert_close(latent.center()[0], latent.center()[1])
    assert latent.kl_terms(StandardNormal(LATENT)) is None
    for density in (latent.log_prob, latent.cross_log_prob):
        with pytest.raises(TypeError, match="no known log-density"):
            density(many)


def test_a_code_has_the_density_of_its_posterior_where_it_is_drawn_without() -> None:
    forward = Forward(
        build_model(ivae_settings(), WORDS), collator([[4, 5], [6]])(range(2)), Noise("density")
    )
    latent, z = forward.main.latent, forward.main.z
    assert forward.main.sampled[1] is None
    torch.testing.assert_close(forward.main.log_density, latent.log_prob(z.unsqueeze(1)).squeeze(1))
