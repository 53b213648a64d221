"""The multi-sample bound against its equation, written out, and what several codes of a text change."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.models.forward import Forward
from bench.models.model import TextModel
from bench.models.noise import Noise
from bench.objectives.divergences import KL
from bench.objectives.importance import ImportanceBound
from bench.objectives.objective import Objective
from bench.objectives.reconstruction import Reconstruction
from bench.training.composition import build_model
from tests.conftest import tiny_settings
from tests.plain import WORDS, collator

TEXTS = [[4, 5, 6, 7, 8], [8], [5, 5, 3], [6, 4]]
BATCH = collator(TEXTS)(range(len(TEXTS)))


def model(**changes: Any) -> TextModel:
    still: dict[str, Any] = {"encoder": {"hidden": 8, "dropout": 0.0}, "decoder": {"dropout": 0.0}}
    return build_model(tiny_settings("vae", **still, **changes), WORDS)


def logarithms(vae: TextModel, codes: int) -> tuple[Tensor, Tensor]:
    """ln P(x|z) and ln q(z|x) - ln p(z) (codes, texts), by the library's cross-entropy."""
    latent = Forward(vae, BATCH).main.latent
    noise = Noise("step").source("latent", codes * len(TEXTS)).normal(1, 4).view(codes, len(TEXTS), 4)
    likelihoods, ratios = [], []
    for each in noise:
        z = latent.parameters["mean"] + latent.parameters["log_std"].exp() * each
        assert vae.branch.signal is not None
        features = vae.branch.decoder(vae.embedding(BATCH.inputs), vae.branch.signal(z), BATCH.real, None, "")
        losses = F.cross_entropy(vae.branch.output(features).transpose(1, 2), BATCH.targets, reduction="none")
        log_q = latent.log_prob(z.unsqueeze(1)).squeeze(1)
        likelihoods.append(-(losses * BATCH.real).sum(0))
        ratios.append(log_q - vae.prior.log_prob(z))
    return torch.stack(likelihoods), torch.stack(ratios)


def written_out(vae: TextModel, codes: int) -> Tensor:
    """-ln of the mean weight of each text; its gradient is that of automatic differentiation."""
    likelihood, ratio = logarithms(vae, codes)
    return (math.log(codes) - (likelihood - ratio).logsumexp(0)).mean()


def moved(vae: TextModel) -> TextModel:
    """The model with a prior that is no longer the N(0, I) as which it begins."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in vae.prior.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return vae


@pytest.mark.parametrize("codes", [1, 3])
def test_the_bound_and_its_gradient_are_those_of_the_equation(codes: int) -> None:
    gradients, values = [], []
    for way in ("term", "written out"):
        vae = model()
        if way == "term":
            objective = Objective({"importance_bound": ImportanceBound(codes=codes)})
            assert objective.codes == codes
            value = objective.backward(vae, BATCH, Noise("step"), {})["total"]
        else:
            value = written_out(vae, codes)
            value.backward()
        values.append(value.item())
        gradients.append({n: p.grad for n, p in vae.named_parameters() if p.grad is not None})
    assert values[0] == pytest.approx(values[1], rel=1e-5)
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-6)


def test_a_mean_over_rows_is_one_over_texts_and_their_codes() -> None:
    vae, codes = model().requires_grad_(False), 3
    forward = Forward.repeated(vae, BATCH, Noise("step"), codes)
    assert forward.main.z.view(codes, len(TEXTS), -1).std(0).min() > 0
    torch.testing.assert_close(forward.encoded[: len(TEXTS)], Forward(vae, BATCH).encoded)
    assert forward.main.cross_entropy(forward.texts).item() == pytest.approx(
        forward.main.losses().mean().item(), rel=1e-6
    )
    assert forward.batch.tokens == codes * BATCH.tokens == int(forward.batch.real.sum())


def test_equation_seven_of_flow_prior_is_the_sum_of_its_terms_at_the_same_codes() -> None:
    """ln (1/N) sum_i p(x|z_i) p(z_i)/q(z_i|x), and (1/N) sum_i ln p(x|z_i), and -(1/N) sum_i ln q(z_i|x)/p(z_i)."""
    codes, prior = 3, {"kind": "real-nvp", "layers": 2, "hidden": 6}
    gradients, values = [], []
    for way in ("terms", "written out"):
        vae = moved(model(prior=prior))
        if way == "terms":
            objective = Objective(
                {"reconstruction": Reconstruction(), "kl": KL(), "bound": ImportanceBound(codes=codes)}
            )
            value = objective.backward(vae, BATCH, Noise("step"), {})["total"]
        else:
            likelihood, ratio = logarithms(vae, codes)
            first = (likelihood - ratio).exp().mean(0).log()
            value = -(first + likelihood.mean(0) - ratio.mean(0)).mean()
            value.backward()
        values.append(value.item())
        gradients.append({n: p.grad for n, p in vae.named_parameters() if p.grad is not None})
    assert values[0] == pytest.approx(values[1], rel=1e-5)
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-5)
    assert any(name.startswith("prior.") for name in gradients[0])


def test_the_loss_in_a_flat_ball_is_that_of_the_euclidean_model() -> None:
    """Tangent vectors of the convention that doubles distances: z = mean + v where the curvature is nearly 0."""
    flat = {"kind": "wrapped-normal", "curvature": 1e-8, "spread": 2.0}
    ball, plain = model(posterior=flat, prior="wrapped-normal"), model()
    ball.load_state_dict(plain.state_dict(), strict=False)
    terms = Objective({"reconstruction": Reconstruction(), "kl": KL()}, {})
    found = terms.backward(ball, BATCH, Noise("step"), {})["total"]
    likelihood, ratio = logarithms(plain, 1)
    wanted = (ratio - likelihood).mean()
    wanted.backward()
    assert found.item() == pytest.approx(wanted.item(), rel=1e-5)
    gradients = [
        {n: p.grad for n, p in vae.named_parameters() if p.grad is not None} for vae in (ball, plain)
    ]
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-5)
