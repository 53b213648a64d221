"""Gradients of von Mises-Fisher samples against finite differences, and the sampler of the released code."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
import torch
from scipy.special import ive
from torch import Tensor
from torch.nn import functional as F

from bench.models.von_mises_fisher import (
    UniformSphere,
    VonMisesFisher,
)
from tests.models.spheres import (
    CASES,
    Array,
    angles,
    log_density,
    modes,
    one_minus_cosines,
    source,
    vmf,
)

# Gradients of samples


def test_the_gradient_of_a_cosine_in_three_dimensions() -> None:
    """At a fixed quantile u, w = 1 + ln(u + (1 - u) exp(-2k)) / k, whose derivative is known."""
    k = torch.logspace(-3, 6, 400, dtype=torch.float64).requires_grad_()
    q = VonMisesFisher(modes(400, 3), k)
    z, _ = q.sample(source(400), 1)
    (slope,) = torch.autograd.grad(one_minus_cosines(q, z).sum(), k)
    fixed = k.detach().requires_grad_()
    beyond = one_minus_cosines(q, z.detach())[:, 0]  # 1 - w, so that u = (exp(-k beyond) - e) / (1 - e)
    e = torch.exp(-2 * fixed.detach())
    u, rest = torch.exp(-k.detach() * beyond) - e, -torch.expm1(-k.detach() * beyond)
    quantile = -torch.log((u + rest * torch.exp(-2 * fixed)) / (1 - e)) / fixed
    (expected,) = torch.autograd.grad(quantile.sum(), fixed)
    middle = k.detach() * beyond < 30  # further out this form of the quantile has no digits left
    assert middle.sum() > 390
    torch.testing.assert_close(slope[middle], expected[middle], rtol=1e-6, atol=1e-9)


def below(angle: Array, latent: int, k: float) -> tuple[Array, Array]:
    """P(angle to the mode <= ``angle``) and the density there, both (...) by integrals on either side."""
    nodes, weights = np.polynomial.legendre.leggauss(400)
    end, peak = angles(latent, k)[0][-1], log_density(angles(latent, k)[0], latent, k).max()

    def integral(start: Array, stop: Array) -> Array:
        at = (start + stop)[:, None] / 2 + (stop - start)[:, None] / 2 * nodes
        return np.asarray((stop - start) / 2 * (np.exp(log_density(at, latent, k) - peak) @ weights))

    inner, outer = integral(np.zeros_like(angle), angle), integral(angle, np.full_like(angle, end))
    return inner / (inner + outer), np.exp(log_density(angle, latent, k) - peak) / (inner + outer)


@pytest.mark.parametrize(("latent", "k"), [(2, 3.0), *CASES])
def test_the_gradient_of_a_cosine_equals_finite_differences(latent: int, k: float) -> None:
    """At a fixed quantile d(angle)/dk = -(dF/dk) / p(angle), and d(1 - w) = sin(angle) d(angle)."""
    concentration = torch.full((40,), k, dtype=torch.float64, requires_grad=True)
    q = VonMisesFisher(modes(40, latent), concentration)
    z, _ = q.sample(source(40), 1)
    drawn = one_minus_cosines(q, z)[:, 0]
    (slope,) = torch.autograd.grad(drawn.sum(), concentration)
    angle = 2 * np.arcsin(np.sqrt(drawn.detach().numpy() / 2))
    step = 1e-3 * min(k, 10 * math.sqrt(k))
    change = (below(angle, latent, k + step)[0] - below(angle, latent, k - step)[0]) / (2 * step)
    expected = -change / below(angle, latent, k)[1] * np.sin(angle)
    np.testing.assert_allclose(slope.numpy(), expected, rtol=1e-5, atol=1e-5 * np.abs(expected).mean())


@pytest.mark.parametrize("k", [0.5, 9.0, 30.0])
def test_the_gradient_of_an_expectation(k: float) -> None:
    """Of E exp(c.z) = C_d(k) / C_d(|k mode + c|), against finite differences of scipy's values."""
    latent, count = 8, 40_000
    c = 2 * modes(1, latent, seed=5)[0]
    parameters = torch.cat([3 * modes(1, latent)[0], torch.tensor([k], dtype=torch.float64)])

    def log_constant(norm: float) -> float:
        return (latent / 2 - 1) * math.log(norm) - math.log(ive(latent / 2 - 1, norm)) - norm

    def expectation(values: Tensor) -> float:
        mode, concentration = F.normalize(values[:-1], dim=0), float(values[-1])
        return math.exp(log_constant(concentration) - log_constant(float((concentration * mode + c).norm())))

    rows = parameters.expand(count, -1).clone().requires_grad_()
    q = VonMisesFisher(F.normalize(rows[:, :-1], dim=-1), rows[:, -1])
    values = torch.exp(q.sample(source(count), 1)[0].squeeze(1) @ c)
    (slopes,) = torch.autograd.grad(values.sum(), rows)
    step = 1e-5 * torch.eye(latent + 1, dtype=torch.float64)
    expected = [(expectation(parameters + h) - expectation(parameters - h)) / 2e-5 for h in step]
    error = 5 * slopes.std(0) / math.sqrt(count)
    assert abs(values.mean().item() - expectation(parameters)) < 5 * values.std().item() / math.sqrt(count)
    assert ((slopes.mean(0) - torch.tensor(expected)).abs() < error + 1e-8).all()


# The released sampler


@pytest.mark.parametrize(
    ("k", "exact", "released"),
    [
        (10, 0.288, 0.287),
        (11, 0.312, 0.168),
        (12, 0.335, 0.209),
        (15, 0.398, 0.309),
        (20, 0.484, 0.431),
        (30, 0.605, 0.580),
        (50, 0.735, 0.729),
        (150, 0.902, 0.902),
    ],
)
def test_the_cosines_of_the_released_sampler(k: float, exact: float, released: float) -> None:
    """Mean cosines drawn by the released code itself in 32 dimensions."""
    for q, expected in ((vmf(1, 32, k), exact), (vmf(1, 32, k, "released"), released)):
        cosine = 1 - one_minus_cosines(q, q.sample(source(1), 10_000)[0])
        assert cosine.mean().item() == pytest.approx(expected, abs=0.006), q.sampler


@pytest.mark.parametrize("k", [10.3, 10.8, 14.0])
def test_the_released_sampler_blends_into_its_approximation(k: float) -> None:
    """Mean cosine by an integral over its proposals e ~ Beta(15.5, 15.5) and their acceptance."""
    m, root = 31, math.sqrt(4 * k * k + 31 * 31)
    share = min(k - 10, 1)
    b = share * m / (4 * k) + (1 - share) * (root - 2 * k) / m
    e = np.linspace(0, 1, 2_001)[1:-1]
    below_one = 1 - (1 - b) * e
    t = 2 * (m + 2 * k + root) / 4 * b / below_one
    accepted = m * np.log(t) - t + (m + 2 * k + root) * b / (1 + b) - m * math.log(m)
    weight = np.exp(np.minimum(accepted, 0) + (m / 2 - 1) * np.log(e * (1 - e)))
    expected = float(weight @ ((1 - (1 + b) * e) / below_one) / weight.sum())
    q = vmf(1, 32, k, "released")
    cosine = 1 - one_minus_cosines(q, q.sample(source(1), 10_000)[0])
    error = 5 * cosine.std().item() / math.sqrt(10_000)
    assert cosine.mean().item() == pytest.approx(expected, abs=error)


def test_the_released_sampler_pays_for_another_distribution() -> None:
    """Its own samples give ln q - ln p far below the closed form of the KL, which stays that of q."""
    prior = UniformSphere(32)
    for k, closed, estimate in ((11.0, 1.63, 0.05), (20.0, 4.25, 3.17), (50.0, 12.25, 11.98)):
        q = vmf(1, 32, k, "released")
        z, own = q.sample(source(1), 10_000)
        kl = q.kl_terms(prior)
        assert kl is not None
        assert kl.item() == pytest.approx(closed, abs=5e-3)
        assert (own - prior.log_prob(z)).mean().item() == pytest.approx(estimate, abs=0.1)


def test_the_released_sampler_is_exact_up_to_ten() -> None:
    k = torch.tensor([1.0, 5.0, 10.0], dtype=torch.float64)
    exact, released = (
        VonMisesFisher(modes(3, 32), k, sampler).sample(source(3), 20)[0] for sampler in ("exact", "released")
    )
    torch.testing.assert_close(released, exact)


@pytest.mark.parametrize("k", [3.0, 10.4, 60.0])
def test_the_gradient_of_the_released_sampler_keeps_the_accepted_proposal(k: float) -> None:
    """It is the finite difference with the same numbers, which is not that of a fixed quantile."""

    def drawn(concentration: Tensor, sampler: Literal["exact", "released"]) -> Tensor:
        return VonMisesFisher(modes(50, 32), concentration, sampler).sample(source(50), 1)[0][:, 0]

    concentration = torch.full((50,), k, dtype=torch.float64, requires_grad=True)
    z = drawn(concentration, "released")
    (slope,) = torch.autograd.grad(z.sum(), concentration)
    with torch.no_grad():
        change = drawn(concentration + 1e-6, "released") - drawn(concentration - 1e-6, "released")
    torch.testing.assert_close(slope, change.sum(-1) / 2e-6, rtol=1e-5, atol=1e-7)
    (other,) = torch.autograd.grad(drawn(concentration, "exact").sum(), concentration)
    assert not torch.allclose(slope, other, rtol=1e-2)
