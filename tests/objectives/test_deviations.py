"""What is logged of the standard deviations of a posterior, against closed forms."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from bench.models.distributions import DiagonalGaussian
from bench.objectives.deviations import Deviation, DeviationGradient
from tests.plain import known

MEAN, SIGMA, NOISE = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.5, 2.0]]), torch.tensor([[1.0, -1.0]])


def forward(texts: int = 3) -> Any:
    """Texts with one posterior, the code of each one deviation from its mean."""
    mean, sigma, noise = (values.repeat(texts, 1) for values in (MEAN, SIGMA, NOISE))
    latent = DiagonalGaussian(mean.requires_grad_(), sigma.log().requires_grad_())
    return known(latent, latent.mean + latent.log_std.exp() * noise, None, None)


def test_the_mean_deviation() -> None:
    found = Deviation()(forward())
    assert found.tolist() == [1.25] * 3
    assert not found.requires_grad


def bowl(curvature: float) -> Any:
    """J = k |z|^2 / 2, of each text."""
    return lambda forward: curvature * forward.main.z.square().sum(-1) / 2


def test_the_gradient_of_a_quadratic_loss() -> None:
    """dJ/ds = k (m + s e) e: of the dimensions here 3 (1 + 0.5), 3 (0 + 2)."""
    found = DeviationGradient({"bowl": bowl(3.0)}, of="bowl")(forward())
    assert found.tolist() == pytest.approx([3 * (1.5 + 2.0) / 2] * 3)
    assert not found.requires_grad


def test_its_expectation_is_proportional_to_the_deviation_as_the_theorem_says() -> None:
    noise = torch.randn(200_000, 1, generator=torch.Generator().manual_seed(0))
    for sigma in (0.1, 1.0):
        mean, log_std = torch.ones_like(noise), torch.full_like(noise, sigma).log()
        z = (mean + sigma * noise).requires_grad_()
        given: Any = SimpleNamespace(main=SimpleNamespace(latent=DiagonalGaussian(mean, log_std), z=z))
        found = DeviationGradient({"bowl": bowl(3.0)}, of="bowl")(given)
        assert float(found.mean()) == pytest.approx(3 * sigma, abs=5 * float(found.std()) / 200_000**0.5)


def test_a_loss_without_a_gradient_gives_none() -> None:
    term = DeviationGradient({"constant": lambda forward: torch.zeros(())}, of="constant")
    assert term(forward()).tolist() == [0.0] * 3
