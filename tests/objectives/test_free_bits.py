"""Each form of the floor by hand, and where its gradient goes."""

from __future__ import annotations

import math
from typing import Literal

import pytest
import torch
from torch import Tensor

from bench.models.distributions import DiagonalGaussian, Latent, Point
from bench.models.flows import Flowed
from bench.models.priors import StandardNormal
from bench.objectives.divergences import KL
from bench.objectives.free_bits import FreeBits
from tests.plain import known

Form = Literal["dimension", "text", "batch"]
FORMS: tuple[Form, ...] = ("dimension", "text", "batch")
# KL per dimension of N(m, 1) to N(0, 1) is m^2 / 2: sums 3, 1 and 8 per text, 4 on average.
TERMS = [[3.0, 0.0], [0.5, 0.5], [1.0, 7.0]]


def gaussian(terms: list[list[float]] = TERMS) -> DiagonalGaussian:
    mean = (2 * torch.tensor(terms, dtype=torch.float64)).sqrt()
    return DiagonalGaussian(mean.requires_grad_(), torch.zeros_like(mean))


def apply(term: FreeBits | KL, latent: Latent, log_density: Tensor | None = None) -> Tensor:
    return term(known(latent, latent.center(), log_density, StandardNormal(2)))


@pytest.mark.parametrize(
    ("form", "target", "expected"),
    [
        ("dimension", 2.0, [3 + 1, 1 + 1, 1 + 7]),
        ("dimension", 6.0, [3 + 3, 3 + 3, 3 + 7]),
        ("text", 2.0, [3, 2, 8]),
        ("text", 6.0, [6, 6, 8]),
        ("batch", 2.0, [4, 4, 4]),
        ("batch", 6.0, [6, 6, 6]),
    ],
)
def test_values_by_hand(form: Form, target: float, expected: list[float]) -> None:
    found = apply(FreeBits(target=target, form=form), gaussian())
    assert found.tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("form", "target", "kept"),
    [
        ("dimension", 4.0, [[True, False], [False, False], [False, True]]),
        ("text", 4.0, [[False, False], [False, False], [True, True]]),
        ("batch", 3.9, [[True, True]] * 3),
        ("batch", 4.1, [[False, False]] * 3),
    ],
)
def test_the_gradient_is_that_of_the_kl_above_the_floor_and_zero_below(
    form: Form, target: float, kept: list[list[bool]]
) -> None:
    latent = gaussian()
    (found,) = torch.autograd.grad(apply(FreeBits(target=target, form=form), latent).mean(), latent.mean)
    (whole,) = torch.autograd.grad(apply(KL(), latent).mean(), latent.mean)
    torch.testing.assert_close(found, torch.where(torch.tensor(kept), whole, 0.0))


@pytest.mark.parametrize("form", FORMS)
def test_without_a_target_it_is_the_kl(form: Form) -> None:
    torch.manual_seed(0)
    latent = DiagonalGaussian(*torch.randn(2, 5, 2, dtype=torch.float64))
    found, kl = apply(FreeBits(target=0.0, form=form), latent), apply(KL(), latent)
    torch.testing.assert_close(found, kl.mean().expand(5) if form == "batch" else kl)


def test_the_default_is_six_nats_over_the_dimensions() -> None:
    collapsed = DiagonalGaussian(torch.zeros(1, 32), torch.zeros(1, 32))
    found = FreeBits()(known(collapsed, collapsed.mean, None, StandardNormal(32)))
    assert found.tolist() == pytest.approx([32 * 0.1875], rel=1e-6)


@pytest.mark.parametrize(
    ("form", "expected"), [("dimension", [2, 2, 5]), ("text", [2, 2, 5]), ("batch", [2, 2, 2])]
)
def test_without_a_closed_form_the_estimate_is_the_only_term(form: Form, expected: list[float]) -> None:
    latent = Flowed(gaussian(), ())
    at_prior = StandardNormal(2).log_prob(latent.center())
    log_density = at_prior + torch.tensor([-1.0, 1.0, 5.0])
    found = apply(FreeBits(target=2.0, form=form), latent, log_density)
    assert found.tolist() == pytest.approx(expected, rel=1e-9)


def test_a_deterministic_code_has_no_kl() -> None:
    with pytest.raises(TypeError, match="no KL"):
        apply(FreeBits(), Point(torch.zeros(3, 2)))


def test_values_are_in_nats() -> None:
    half = DiagonalGaussian(torch.zeros(1, 2), torch.full((1, 2), math.log(0.5)))
    expected = 2 * ((0.25 - 1) / 2 + math.log(2))
    assert apply(FreeBits(target=0.1), half).tolist() == pytest.approx([expected], rel=1e-6)
