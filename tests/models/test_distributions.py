"""Distributions over codes against the library's, values and moments."""

from __future__ import annotations

import math
from operator import itemgetter

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal

from bench.models.distributions import DiagonalGaussian, Latent, Point, joined
from bench.models.priors import StandardNormal
from tests.plain import numbers

BATCH, SAMPLES, LATENT = 5, 3, 4


@pytest.fixture
def gaussian() -> DiagonalGaussian:
    torch.manual_seed(0)
    return DiagonalGaussian(torch.randn(BATCH, LATENT), torch.randn(BATCH, LATENT) * 0.5)


def library(q: DiagonalGaussian) -> Independent[Normal]:
    return Independent(Normal(q.mean.double(), q.log_std.double().exp()), 1)


def test_log_prob_equals_the_library(gaussian: DiagonalGaussian) -> None:
    z = torch.randn(BATCH, SAMPLES, LATENT)
    expected = library(gaussian).log_prob(z.double().transpose(0, 1)).t()
    torch.testing.assert_close(gaussian.log_prob(z).double(), expected, rtol=1e-5, atol=1e-5)


def test_log_prob_of_all_pairs_equals_the_library(gaussian: DiagonalGaussian) -> None:
    z = torch.randn(7, LATENT)
    expected = library(gaussian).log_prob(z.double()[:, None])
    assert expected.shape == (7, BATCH)
    # The expanded square cancels: float32 keeps five digits, the doubles of the estimators twelve.
    torch.testing.assert_close(gaussian.cross_log_prob(z).double(), expected, rtol=1e-4, atol=1e-4)
    wide = DiagonalGaussian(gaussian.mean.double(), gaussian.log_std.double())
    torch.testing.assert_close(wide.cross_log_prob(z.double()), expected, rtol=1e-12, atol=1e-12)


def test_moments_of_the_samples(gaussian: DiagonalGaussian) -> None:
    count = 100_000
    z, _ = gaussian.sample(numbers(BATCH), count)
    std = gaussian.log_std.exp()
    # Five standard errors: of a mean, std / sqrt(n), and of a deviation, std / sqrt(2n).
    assert ((z.mean(1) - gaussian.mean).abs() < 5 * std / math.sqrt(count)).all()
    assert ((z.std(1) - std).abs() < 5 * std / math.sqrt(2 * count)).all()


def test_the_centre_and_the_parameters(gaussian: DiagonalGaussian) -> None:
    assert gaussian.center() is gaussian.mean
    assert gaussian.parameters == {"mean": gaussian.mean, "log_std": gaussian.log_std}


def test_a_point_repeats_its_code_and_has_no_density() -> None:
    point = Point(torch.randn(BATCH, LATENT))
    z, density = point.sample(numbers(BATCH), SAMPLES)
    assert density is None
    assert point.kl_terms(StandardNormal(LATENT)) is None
    assert torch.equal(z, torch.stack([point.code] * SAMPLES, dim=1))
    assert not point.has_density
    for density in (point.log_prob, point.cross_log_prob):
        with pytest.raises(TypeError, match="no log-density"):
            density(z)


def test_the_standard_normal_prior() -> None:
    prior = StandardNormal(LATENT)
    z = torch.randn(2, SAMPLES, LATENT)
    expected = Independent(Normal(torch.zeros(LATENT), torch.ones(LATENT)), 1).log_prob(z)
    torch.testing.assert_close(prior.log_prob(z), expected)

    def samples(count: int) -> Tensor:
        return prior.sample(count, torch.Generator().manual_seed(1))

    many = samples(100_000)
    assert torch.equal(many, samples(100_000))
    # Five standard errors, 1/sqrt(n) of the mean and sqrt(2/n) of the variance, for each of four dimensions.
    assert many.mean(0).abs().max() < 5 * math.sqrt(1 / 100_000)
    assert (many.var(0) - 1).abs().max() < 5 * math.sqrt(2 / 100_000)


def test_codes_come_with_their_density_and_are_those_of_the_numbers(gaussian: DiagonalGaussian) -> None:
    z, density = gaussian.sample(numbers(BATCH, 1), SAMPLES)
    assert z.shape == (BATCH, SAMPLES, LATENT)
    torch.testing.assert_close(density, gaussian.log_prob(z))
    drawn = numbers(BATCH, 1).normal(SAMPLES, LATENT)
    torch.testing.assert_close((z - gaussian.mean[:, None]) / gaussian.log_std.exp()[:, None], drawn)
    assert not torch.equal(z, gaussian.sample(numbers(BATCH, 2), SAMPLES)[0])


@pytest.mark.parametrize("kind", ["gaussian", "point"])
def test_parts_of_a_batch_are_joined_again(kind: str, gaussian: DiagonalGaussian) -> None:
    latent: Latent = gaussian if kind == "gaussian" else Point(gaussian.mean)
    pieces = [latent.map(itemgetter(part)) for part in (slice(2), slice(2, None))]
    whole = joined(pieces)
    assert type(whole) is type(latent)
    assert all(torch.equal(whole.parameters[name], value) for name, value in latent.parameters.items())
    assert whole.map(Tensor.double).center().dtype == torch.double
    turned = {name: -value for name, value in reversed(latent.parameters.items())}  # by name, in any order
    assert all(torch.equal(latent.with_parameters(turned).parameters[name], turned[name]) for name in turned)
