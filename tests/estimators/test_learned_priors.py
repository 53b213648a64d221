"""Likelihoods and divergences under other priors than N(0, 1), in one dimension, against quadrature."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, Normal

from bench.estimators.information import mutual_information
from bench.estimators.likelihood import text_likelihoods
from bench.metrics.information import aggregate_kl
from bench.models.distributions import DiagonalGaussian
from bench.models.mixture_priors import MixtureOfGaussians
from bench.models.model import TextModel
from tests.plain import Plain, collator, numbers, small_model

COPIES = 64
AXIS = torch.linspace(-9, 9, 361, dtype=torch.double)
NORMAL = Normal(torch.tensor(0.0).double(), 1.0).log_prob(AXIS).exp()
Pushed = Callable[[Any, TextModel], tuple[Tensor, Tensor]]  # codes (n,), and the density dp of each over AXIS
CURVED = {"kind": "wrapped-normal", "curvature": 0.4, "spread": 1.0}


def through_the_flow(prior: Any, model: TextModel) -> tuple[Tensor, Tensor]:
    """Codes to which the flow leads from z_0 ~ N(0, 1): neither its inverse nor its determinant is asked."""
    return prior.push(AXIS[:, None].float())[0].squeeze(1).double(), NORMAL


def of_components(prior: Any, model: TextModel) -> tuple[Tensor, Tensor]:
    """The mixture by the library."""
    each = Normal(prior.mean[:, 0].double(), prior.log_std[:, 0].double().exp())
    mixture = MixtureSameFamily(Categorical(logits=prior.logits.double()), each)
    return AXIS, mixture.log_prob(AXIS).exp()


def of_pseudo_inputs(prior: Any, model: TextModel) -> tuple[Tensor, Tensor]:
    """The mean of the posteriors that encoder and posterior give of the pseudo-inputs."""
    count = prior.pseudo_inputs.shape[1]
    assert model.encoder is not None
    encoded = model.encoder(prior.pseudo_inputs, torch.full((count,), len(prior.pseudo_inputs)), None)
    mean, log_std = (getattr(model.branch.posterior, name)(encoded) for name in ("mean", "log_std"))
    each = Normal(mean.double(), log_std.double().exp())  # (count, 1)
    return AXIS, each.log_prob(AXIS[None]).exp().mean(0)


def around_the_ball(prior: Any, model: TextModel) -> tuple[Tensor, Tensor]:
    """Codes at the distance |v| from the origin, of v ~ N(0, 1): 2 artanh(sqrt(c) |z|) / sqrt(c) = |v|."""
    root = math.sqrt(0.4)
    return torch.tanh(root * AXIS / 2) / root, NORMAL


def model_with(prior: dict[str, Any], posterior: Any) -> TextModel:
    """A large signal, a posterior unlike the prior, and a prior away from where it begins."""
    model = small_model("vae", words=6, latent=1, prior=prior, posterior=posterior)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        model.branch.get_parameter("signal.outer.weight").mul_(6)
        model.branch.get_parameter("posterior.mean.bias").fill_(0.4)
        for parameter in model.prior.parameters():
            parameter.add_(0.4 * torch.randn(parameter.shape, generator=generator))
    return model.requires_grad_(False)


@pytest.mark.parametrize("text", [[4], [5, 4, 4, 5]])
@pytest.mark.parametrize(
    ("prior", "posterior", "pushed"),
    [
        ({"kind": "real-nvp", "layers": 3, "hidden": 6}, "gaussian", through_the_flow),
        ({"kind": "mixture-of-gaussians", "components": 3}, "gaussian", of_components),
        ({"kind": "vamp", "components": 3, "length": 2, "deviation": 2.0}, "gaussian", of_pseudo_inputs),
        ({"kind": "wrapped-normal"}, CURVED, around_the_ball),
    ],
    ids=["flow", "mixture", "vamp", "wrapped"],
)
def test_importance_sampling_agrees_with_quadrature(
    prior: dict[str, Any], posterior: Any, pushed: Pushed, text: list[int]
) -> None:
    model = model_with(prior, posterior)
    plain = Plain(model)
    codes, density = pushed(model.prior, model)
    losses = [plain.losses("branch", text, plain.signal("branch", z[None])).sum().detach() for z in codes]
    exact = float(torch.trapezoid((-torch.stack(losses)).exp() * density, AXIS))
    columns = text_likelihoods(model, collator([text] * COPIES), 400, "test")
    weights = np.exp(-columns["nll"])
    spread = weights.std(ddof=1) / math.sqrt(COPIES)
    assert float(torch.trapezoid(density, AXIS)) == pytest.approx(1, abs=1e-3)
    assert abs(weights.mean() - exact) < 4 * spread
    assert spread < 0.03 * exact
    assert -columns["elbo"].mean() > -math.log(exact)


def test_the_divergence_of_the_aggregated_posterior_from_a_learned_prior_agrees_with_quadrature() -> None:
    torch.manual_seed(0)
    texts, samples = 300, 10
    prior = MixtureOfGaussians(1, components=3).requires_grad_(False)
    prior.log_std.fill_(-0.3)
    q = DiagonalGaussian(1.5 + torch.randn(texts, 1), -1 + 0.3 * torch.randn(texts, 1))
    codes, density = q.sample(numbers(texts), samples)
    kl = (density - prior.log_prob(codes)).mean(1).double()
    found = mutual_information(q, codes, kl, torch.ones(texts, dtype=torch.long), prior, 100)
    record: Any = SimpleNamespace(columns={}, add=lambda *given, **more: None)
    context: Any = SimpleNamespace(kl=kl.numpy(), information=found, wanted=SimpleNamespace(samples=samples))
    aggregate_kl(context, record)

    mixture = Normal(q.mean.double(), q.log_std.double().exp()).log_prob(AXIS[None]).exp().mean(0)
    _, learned = of_components(prior, None)  # type: ignore[arg-type]
    exact = float(torch.trapezoid(mixture * (mixture.clamp_min(1e-300) / learned).log(), AXIS))
    values = record.columns["aggregate_kl_mixture"]
    assert exact > 0.5
    assert values.mean() == pytest.approx(exact, abs=0.05)
    assert kl.mean() > exact + 0.5  # the information of the codes, which is no part of it
