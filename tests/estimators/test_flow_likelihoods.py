"""Likelihoods with flows against closed forms: the prior after them, and the loss at the mean."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal

from bench.estimators.flows import _scored, after_flow, entropy, importance_weights
from bench.estimators.information import within_all
from bench.metrics.flow_information import batch_sizes
from bench.models.distributions import DiagonalGaussian
from bench.models.flows import PlanarFlowSignal
from bench.models.priors import StandardNormal
from tests.plain import numbers

W = torch.tensor([[1.0, 2.0], [2.0, -1.0], [0.5, 0.0]], dtype=torch.float64)
X = torch.tensor([1.5, -0.5, 0.3], dtype=torch.float64)
NOISE = 0.8


def model(d: int, flow: PlanarFlowSignal | None) -> Any:
    return SimpleNamespace(branch=SimpleNamespace(signal=flow), prior=StandardNormal(d))


def flows(d: int) -> PlanarFlowSignal:
    torch.manual_seed(0)
    return PlanarFlowSignal(d, flows=2).double()


def identity(d: int) -> PlanarFlowSignal:
    """The one flow whose constrained u is zero: softplus(w.u) = 1 with u along w."""
    flow = PlanarFlowSignal(d, flows=1).double()
    for one in flow.flows:
        w = torch.ones(d).double()
        one.w.data, one.u.data = w, math.log(math.e - 1) * w / d
    return flow


def loss(signals: Tensor) -> Tensor:
    """-ln N(x; W h, s^2 I) of what the decoder reads."""
    found: Tensor = -Normal(signals @ W.t(), NOISE).log_prob(X).sum(-1)
    return found


def wide(texts: int, d: int) -> DiagonalGaussian:
    return DiagonalGaussian(torch.zeros(texts, d).double(), torch.full((texts, d), 0.3).double())


def test_with_the_prior_after_the_flows_the_flows_change_no_likelihood() -> None:
    """The generative model has none of them: what they do to q the weights undo."""
    flow = flows(2)
    codes, density = wide(8, 2).sample(numbers(8), 20_000)
    with torch.no_grad():
        found = after_flow(model(2, flow), codes, density, loss(flow(codes)))
    covariance = W @ W.t() + NOISE**2 * torch.eye(3)
    exact = -float(MultivariateNormal(torch.zeros(3).double(), covariance).log_prob(X))
    nll = found["nll_after_flow"]
    assert float(nll.mean()) == pytest.approx(exact, abs=0.02)
    assert (-found["elbo_after_flow"] > exact).all()


def test_the_kl_after_the_flows_is_not_below_zero_and_zero_for_the_identity_at_the_prior() -> None:
    codes, density = DiagonalGaussian(torch.zeros(2, 3).double(), torch.zeros(2, 3).double()).sample(
        numbers(2), 4000
    )
    kl = importance_weights(model(3, identity(3)), codes, density)["log_ratio"].mean(1)
    torch.testing.assert_close(kl, torch.zeros(2).double(), atol=1e-10, rtol=0)
    assert (importance_weights(model(3, flows(3)), codes, density)["log_ratio"].mean(1) > 0.1).all()


@pytest.mark.parametrize(("deviation", "gap"), [(1.0, 16.0), (0.5, 4.0), (0.2, 0.64)])
def test_the_loss_at_the_mean_leaves_half_the_variances_out(deviation: float, gap: float) -> None:
    """Without a flow and without a decoder, minus the ELBO exceeds it by the sum of the variances over two."""
    torch.manual_seed(1)
    latent = DiagonalGaussian(torch.randn(3, 32).double(), torch.full((3, 32), math.log(deviation)).double())
    scored = _scored(model(32, identity(32)), latent, latent.mean, torch.zeros(3).double())["nll_at_mean"]
    terms = latent.kl_terms(StandardNormal(32))
    assert terms is not None
    torch.testing.assert_close(terms.sum(-1) - scored, torch.full((3,), gap).double())
    plain = _scored(model(32, None), latent, latent.mean, torch.zeros(3).double())["nll_at_mean"]
    torch.testing.assert_close(plain, terms.sum(-1))


def test_the_entropy_is_that_of_the_library() -> None:
    latent = wide(2, 5)
    expected = Normal(latent.mean, latent.log_std.exp()).entropy().sum(-1)
    torch.testing.assert_close(entropy(latent), expected)


def test_no_flow_changes_the_information_and_the_released_estimate_is_a_constant() -> None:
    torch.manual_seed(2)
    base, flow, prior = (
        DiagonalGaussian(torch.randn(40, 3).double(), -torch.ones(40, 3).double()),
        flows(3),
        StandardNormal(3),
    )
    codes, density = base.sample(numbers(40), 400)
    kl = base.kl_terms(prior)
    assert kl is not None
    ratio = importance_weights(model(3, flow), codes, density)["log_ratio"].mean(1)
    before = within_all(base, codes[:, :10], kl.sum(-1), prior).mean()
    after = within_all(flow.pushed(base), flow(codes[:, :10]), ratio, prior).mean()
    assert after.item() == pytest.approx(before.item(), abs=0.05)
    at_mean = -base.log_prob(base.mean.unsqueeze(1)).squeeze(1) - entropy(base)
    torch.testing.assert_close(at_mean, torch.full((40,), -1.5).double())


def test_the_batches_of_the_released_estimate() -> None:
    assert np.bincount(batch_sizes(70)).nonzero()[0].tolist() == [6, 32]
    assert (batch_sizes(70) == 6).sum() == 6
