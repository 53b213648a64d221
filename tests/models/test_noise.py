"""Streams of random numbers: what they depend on, and the scale and rate of dropout."""

from __future__ import annotations

import math

import pytest
import torch

from bench.models.noise import Noise

LIKE = torch.empty(3, 4)


def test_a_stream_depends_on_the_names_and_its_own_name_alone() -> None:
    first = Noise("noise", "ptb", 0, 7).normal(LIKE, "latent")
    assert torch.equal(first, Noise("noise", "ptb", 0, 7).normal(LIKE, "latent"))
    for other in (Noise("noise", "ptb", 0, 8), Noise("noise", "ptb", 1, 7), Noise("noise", "yelp", 0, 7)):
        assert not torch.equal(first, other.normal(LIKE, "latent"))
    assert not torch.equal(first, Noise("noise", "ptb", 0, 7).normal(LIKE, "another"))


def test_a_stream_goes_on_and_others_do_not_move_it() -> None:
    baseline, coupled = Noise("a"), Noise("a")
    coupled.dropout(torch.ones(5, 5), 0.5, "twin decoder input dropout")
    first = baseline.normal(LIKE, "latent")
    assert torch.equal(first, coupled.normal(LIKE, "latent"))
    coupled.normal(LIKE, "twin decoder")
    second = baseline.normal(LIKE, "latent")
    assert torch.equal(second, coupled.normal(LIKE, "latent"))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("probability", [0.2, 0.5])
def test_dropout_rate_and_scale(probability: float) -> None:
    count = 100_000
    dropped = Noise("a").dropout(torch.full((count,), 3.0), probability, "d")
    kept = dropped != 0
    torch.testing.assert_close(dropped[kept], torch.full_like(dropped[kept], 3 / (1 - probability)))
    error = math.sqrt(probability * (1 - probability) / count)
    assert abs(float((~kept).float().mean()) - probability) < 5 * error  # five standard errors of a share


def test_dropout_of_nothing_returns_the_values() -> None:
    assert Noise("a").dropout(LIKE, 0.0, "d") is LIKE


def test_the_gradient_of_dropout_is_its_mask() -> None:
    values = torch.ones(50, requires_grad=True)
    dropped = Noise("a").dropout(values, 0.4, "d")
    dropped.sum().backward()
    torch.testing.assert_close(values.grad, dropped.detach())
