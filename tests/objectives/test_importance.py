"""The multi-sample bound against its equation, written out, and what several codes of a text change."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.models.forward import Forward
from bench.models.model import TextModel
from bench.models.noise import Noise
from bench.objectives.importance import ImportanceBound
from bench.objectives.objective import Objective
from bench.training.composition import build_model
from tests.conftest import tiny_settings
from tests.plain import WORDS, collator

TEXTS = [[4, 5, 6, 7, 8], [8], [5, 5, 3], [6, 4]]
BATCH = collator(TEXTS)(range(len(TEXTS)))


def model() -> TextModel:
    return build_model(
        tiny_settings("vae", encoder={"hidden": 8, "dropout": 0.0}, decoder={"dropout": 0.0}), WORDS
    )


def written_out(vae: TextModel, codes: int) -> Tensor:
    """-ln of the mean weight of each text, by the library's cross-entropy and automatic differentiation."""
    latent = Forward(vae, BATCH).main.latent
    noise = Noise("step").source("latent", codes * len(TEXTS)).normal(1, 4).view(codes, len(TEXTS), 4)
    bounds = []
    for each in noise:
        z = latent.parameters["mean"] + latent.parameters["log_std"].exp() * each
        assert vae.branch.signal is not None
        features = vae.branch.decoder(vae.embedding(BATCH.inputs), vae.branch.signal(z), BATCH.real, None, "")
        losses = F.cross_entropy(vae.branch.output(features).transpose(1, 2), BATCH.targets, reduction="none")
        log_q = latent.log_prob(z.unsqueeze(1)).squeeze(1)
        bounds.append(vae.prior.log_prob(z) - log_q - (losses * BATCH.real).sum(0))
    return (math.log(codes) - torch.stack(bounds).logsumexp(0)).mean()


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
