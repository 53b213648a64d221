"""Proposals for posteriors without a density, where the true likelihood is known: a linear model with an affine G."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.estimators.likelihood import amortised, conditional_losses, effective_samples, text_likelihoods
from bench.estimators.proposals import (
    Defensive,
    Smoothed,
    best_deviation,
    external,
    isotropic,
    matched,
    moment_matched,
    smoothed,
    with_prior,
)
from bench.models.distributions import Latent
from bench.models.forward import Forward
from bench.models.priors import StandardNormal
from bench.models.sampled import FactorGaussian, Implicit
from bench.training.composition import Composition
from tests.ivae import ivae_settings
from tests.linear_gaussian import LinearGaussian
from tests.plain import WORDS, all_texts, collator, numbers, small_model

MODEL = LinearGaussian()
PRIOR = StandardNormal(3)


def implicit(factor: Tensor) -> Implicit:
    """G(e, noise) = e + A noise, which is N(e, A A') and is not asked for its density."""
    return Implicit(MODEL.mean, lambda e, noise: e + noise @ factor.t(), 3)


def mixture(*near: Latent) -> Defensive:
    """A mixture of these and of the prior."""
    generator = torch.Generator().manual_seed(1)
    return Defensive(near, PRIOR, lambda samples: torch.randn(40, samples, 3, generator=generator))


def defensive(narrow: float) -> Defensive:
    """What is proposed for posteriors with the right mean and deviations ``narrow`` times too small."""
    codes = implicit(narrow * torch.linalg.cholesky(MODEL.covariance)).sample(numbers(40), 1024)[0]
    return mixture(*(matched(codes, 1.5, added) for added in (0.0, 0.01, 0.1)))


@pytest.mark.parametrize("narrow", [1.0, 0.1, 0.001])
def test_the_mixture_gives_the_likelihood_however_narrow_the_posterior_is(narrow: float) -> None:
    error = MODEL.sampled(defensive(narrow), 1_000)[0] - MODEL.nll
    assert -0.02 < float(error.mean()) < 0.05
    alone = MODEL.sampled(defensive(narrow).near[0], 500)[0] - MODEL.nll
    assert narrow == 1.0 or float(alone.mean()) > 1


def test_the_shares_of_a_mixture_are_those_that_were_drawn() -> None:
    codes, density = defensive(1.0).sample(numbers(40), 6)
    first, *others = defensive(1.0).near
    parts = [first.log_prob(codes) + math.log(2), others[0].log_prob(codes) + math.log(2)]
    wanted = torch.stack([*parts, others[1].log_prob(codes), PRIOR.log_prob(codes)]).logsumexp(0) - math.log(
        6
    )
    torch.testing.assert_close(density, wanted.double(), rtol=1e-4, atol=1e-4)


def test_effective_samples() -> None:
    weights = torch.tensor([[0.0, 0.0, 0.0, 0.0], [0.0, -80.0, -80.0, -80.0], [0.0, 0.0, -80.0, -80.0]])
    torch.testing.assert_close(effective_samples(weights - 500), torch.tensor([4.0, 1.0, 2.0]).double())


def test_the_semi_implicit_bound_falls_with_more_codes_to_the_bound_of_the_smoothed_posterior() -> None:
    factor, deviation = 0.7 * torch.linalg.cholesky(MODEL.covariance), 0.2
    law = implicit(factor)
    found = []
    for others in (1, 20, 300):
        codes = law.sample(numbers(40, seed=5), others)[0]
        bound = MODEL.sampled(Smoothed(law, codes, deviation), 100)[1]
        assert float((bound - MODEL.nll).mean()) > 0
        found.append(float(bound.mean()))
    whole = FactorGaussian(MODEL.mean, torch.cat([factor, deviation * torch.eye(3)], dim=1))
    closed = float(MODEL.sampled(whole, 100)[1].mean())
    assert found[0] > found[1] > found[2]
    assert found[2] == pytest.approx(closed, abs=0.1)
    # Without the code that noise was added to, too few codes give less than the true value.
    z = Smoothed(law, law.sample(numbers(40), 1)[0], deviation).sample(numbers(40), 100)[0]
    other = FactorGaussian(law.sample(numbers(40, seed=6), 1)[0].squeeze(1), deviation * torch.eye(3))
    wrong = MODEL.losses(z) + other.log_prob(z) - PRIOR.log_prob(z)
    assert float(wrong.mean()) < float(MODEL.nll.mean())


def test_both_are_measured_of_an_implicit_posterior() -> None:
    made = Composition(ivae_settings("ivae-mlp", posterior={"hidden": 5}), WORDS)
    texts, infer = collator([[4, 5, 6], [8], [5, 5, 3, 4]]), amortised(made.model)
    near = moment_matched(made.model, infer, "seed", draws=50)
    found = text_likelihoods(made.model, texts, 40, "codes", infer=near)
    assert np.all((found["effective_samples"] >= 1) & (found["effective_samples"] <= 40))
    deviation = best_deviation(made.model, infer, texts, "seed")
    bound = text_likelihoods(
        made.model, texts, 40, "codes", infer=smoothed(infer, deviation, "other", draws=50)
    )
    assert np.all(-bound["elbo"] > found["nll"] - 0.5)
    assert np.all(np.isfinite(bound["kl_monte_carlo"]))


@pytest.mark.parametrize("off", [0.3, 0.7])
def test_the_external_proposal_bounds_the_likelihood_and_nears_it_with_more_codes(off: float) -> None:
    """Around a deterministic code that is off the mean of the posterior."""
    proposed = isotropic(MODEL.mean + off)
    found = [
        float((MODEL.sampled(mixture(*proposed), codes)[0] - MODEL.nll).mean()) for codes in (6, 60, 6_000)
    ]
    assert found[0] > found[1] > found[2] > -0.01
    assert found[2] < 0.03


def test_the_external_proposal_bounds_the_likelihood_of_a_text_model() -> None:
    """Of a code of one dimension the integral of p(z) P(x|z) is known."""
    model = small_model("dae", latent=1, prior="standard-normal", objective={"mmd": {"kind": "mmd"}})
    signal: Any = model.branch.signal
    with torch.no_grad():
        for weight in (signal.inner.weight, model.branch.output.weight):
            weight.mul_(8)  # else no code would make a text much likelier than another
        texts = collator(all_texts([4, 5, 6], 2))
        codes = torch.linspace(-8, 8, 4_001)
        losses = conditional_losses(Forward(model, texts(np.arange(12))), codes.expand(12, -1).unsqueeze(2))
    density = torch.distributions.Normal(0, 1).log_prob(codes) + math.log(16 / 4_000)
    exact = -(density - losses.double()).logsumexp(1).numpy()

    def bound(samples: int, seed: int) -> dict[str, np.ndarray]:
        infer = external(model, amortised(model), "prior", seed)
        return text_likelihoods(model, texts, samples, "codes", seed, infer=infer)

    few = [bound(6, seed) for seed in range(40)]
    many = bound(3_000, 0)["nll"] - exact
    assert np.mean([one["nll"] - exact for one in few]) > many.mean() + 0.03
    assert np.abs(many).max() < 0.1
    assert np.all(few[0]["effective_samples"] <= 6)


@pytest.mark.parametrize("far", [0.0, 5.0])
def test_half_of_the_codes_from_the_prior_bound_what_a_posterior_away_from_it_costs(far: float) -> None:
    """Where the decoder does not read the code, the NLL is the reconstruction, wherever the posterior is."""
    made = Composition(ivae_settings("ivae"), WORDS)
    weights = dict(made.model.named_parameters())
    with torch.no_grad():
        weights["branch.decoder.first_state.weight"].zero_()
        weights["branch.decoder.lstm.weight_ih_l0"][:, -4:].zero_()
        weights["branch.posterior.map.bias"].add_(far)
    texts, infer = collator([[4, 5, 6], [8], [5, 5, 3, 4]]), amortised(made.model)
    half = with_prior(made.model, infer, "seed")
    found = text_likelihoods(made.model, texts, 400, "codes", infer=half)
    alone = text_likelihoods(made.model, texts, 400, "codes")
    np.testing.assert_allclose(found["nll"], found["reconstruction"], atol=0.1)
    assert (alone["nll"] > alone["reconstruction"] + 1).all() == (far > 0)
