"""Streams of random numbers: what they depend on, and the scale and rate of dropout."""

from __future__ import annotations

import math

import pytest
import torch

from bench.models.noise import Noise, TextSource

LIKE = torch.empty(3, 4)


def drawn(noise: Noise, stream: str = "latent") -> torch.Tensor:
    return noise.source(stream, 3).normal(4)


def test_a_stream_depends_on_the_names_and_its_own_name_alone() -> None:
    first = drawn(Noise("noise", "ptb", 0, 7))
    assert torch.equal(first, drawn(Noise("noise", "ptb", 0, 7)))
    for other in (Noise("noise", "ptb", 0, 8), Noise("noise", "ptb", 1, 7), Noise("noise", "yelp", 0, 7)):
        assert not torch.equal(first, drawn(other))
    assert not torch.equal(first, drawn(Noise("noise", "ptb", 0, 7), "another"))


def test_a_stream_goes_on_and_others_do_not_move_it() -> None:
    baseline, coupled = Noise("a"), Noise("a")
    coupled.dropout(torch.ones(5, 5), 0.5, "twin decoder input dropout")
    first = drawn(baseline)
    assert torch.equal(first, drawn(coupled))
    drawn(coupled, "twin decoder")
    second = drawn(baseline)
    assert torch.equal(second, drawn(coupled))
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


@pytest.mark.parametrize("kind", ["normal", "uniform", "gamma"])
def test_numbers_of_a_text_are_its_own_whatever_batch_it_is_in(kind: str) -> None:
    def drawn(*texts: int, name: int = 1) -> torch.Tensor:
        source = TextSource(torch.tensor(texts), "a", name)
        arguments = (2.5,) if kind == "gamma" else ()
        first = getattr(source, kind)(*arguments, 3, 4)
        return torch.cat([first, getattr(source, kind)(*arguments, 3, 4)], dim=1)

    together = drawn(5, 2, 9)
    assert together.shape == (3, 6, 4)
    assert torch.equal(drawn(2)[0], together[1])
    assert not torch.equal(together[0], together[1])
    assert not torch.equal(together[:, :3], together[:, 3:])
    assert not torch.equal(drawn(2, name=2)[0], together[1])


@pytest.mark.parametrize(
    ("kind", "mean", "variance"),
    [("normal", 0.0, 1.0), ("uniform", 0.5, 1 / 12), ("gamma", 15.5, 15.5)],
)
def test_moments_of_both_sources(kind: str, mean: float, variance: float) -> None:
    count = 40_000
    arguments = (15.5,) if kind == "gamma" else ()
    for source in (Noise("a").source("s", 2), TextSource(torch.tensor([3, 4]), "b")):
        values = getattr(source, kind)(*arguments, count)
        assert values.shape == (2, count)
        # Five standard errors; the relative one of a variance is below sqrt(2.4 / n) for all three.
        assert (values.mean(1) - mean).abs().max() < 5 * math.sqrt(variance / count)
        assert (values.var(1) / variance - 1).abs().max() < 5 * math.sqrt(2.4 / count)
        if kind != "normal":
            assert values.min() > 0


def test_one_stream_is_drawn_anew_and_the_others_stay() -> None:
    noise = Noise("step", 3)
    other = noise.anew("prior", 1)
    assert torch.equal(drawn(noise), drawn(other))
    prior = drawn(noise, "prior")
    found = [drawn(noise.anew("prior", number), "prior") for number in (1, 1, 2)]
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    assert not any(torch.equal(prior, one) for one in found)
    held = Noise("held")
    drawn(held, "prior")
    held.begin_as(noise.anew("prior", 1))
    assert torch.equal(drawn(held, "prior"), found[0])
    part = noise.anew("prior", 1).part(slice(1, 3), 3)
    assert torch.equal(part.source("prior", 2).normal(4), found[0][1:])


def test_noise_drawn_on_one_device_is_given_on_another() -> None:
    noise = Noise("a", device="meta", drawn_on="cpu")
    assert noise.source("s", 2).normal(3).device.type == "meta"
    assert noise.dropout(LIKE.to("meta"), 0.5, "d").device.type == "meta"
    assert [generator.device.type for generator in noise.generators] == ["cpu", "cpu"]
