"""What is made of codes: the perplexity of the reconstruction by hand, and texts between two codes."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.estimators.likelihood import text_likelihoods
from bench.metrics.bounds import reconstruction_ppl
from bench.metrics.combine import Perplexity
from bench.metrics.context import Context
from bench.metrics.measures import definitions
from bench.models.forward import Forward
from bench.models.noise import TextSource
from tests.plain import Plain, collator, small_model

TEXTS = [[4, 5, 6, 7, 8], [8], [5, 5, 3]]


def test_the_perplexity_of_the_reconstruction_is_that_of_all_losses_and_all_targets() -> None:
    """exp of the sum of losses over the sum of targets, where an end symbol is a target and the KL is no loss."""
    model, samples = small_model("vae").eval().requires_grad_(False), 3
    some = collator(TEXTS)
    batch, plain = some(np.arange(len(TEXTS))), Plain(model)
    codes, _ = Forward(model, batch).main.latent.sample(TextSource(batch.index, "test"), samples)
    losses = 0.0
    for text, own in zip(TEXTS, codes.double(), strict=True):
        losses += sum(
            float(plain.losses("branch", text, plain.signal("branch", z)).sum().detach()) for z in own
        )
    by_hand = math.exp(losses / samples / (6 + 2 + 4))

    record: Any = SimpleNamespace(columns={}, add=lambda *given, **more: None)
    columns = text_likelihoods(model, some, samples, "test")
    context: Any = SimpleNamespace(likelihoods=columns, wanted=SimpleNamespace(samples=samples))
    reconstruction_ppl(context, record)
    over = definitions()["reconstruction_ppl", "without-kl"].over
    assert isinstance(over, Perplexity)
    table = record.columns | {"words": np.array([len(text) for text in TEXTS])}
    assert over.summary(over.per_text(table), 0).value == pytest.approx(by_hand, rel=1e-5)
    mean = float(np.exp(columns["reconstruction"] / [6, 2, 4]).mean())
    assert abs(mean - by_hand) > 1e-3 * by_hand  # not the mean of the texts' own


def test_texts_between_two_are_of_codes_on_the_geodesic() -> None:
    curved = {"kind": "wrapped-normal", "curvature": 1.0, "spread": 1.0}
    model = small_model("vae", latent=2, posterior=curved, prior="wrapped-normal")
    ends = torch.tensor([[0.8, 0.1], [-0.1, 0.7]])
    asked: list[Tensor] = []

    def decoded(codes: Tensor, rows: list[int]) -> list[str]:
        asked.append(codes)
        return [str(rows)]

    own: Any = SimpleNamespace(device="cpu", model=model, decoded=decoded)
    latent: Any = SimpleNamespace(center=lambda: ends)
    assert Context.interpolated(own, latent, 0, 1, 3) == ["[0]"]
    (codes,) = asked

    def distance(x: Tensor, y: Tensor) -> float:
        """arcosh(1 + 2 |x - y|^2 / ((1 - |x|^2)(1 - |y|^2))), of curvature -1."""
        x, y = x.double(), y.double()
        within = (1 - x.square().sum()) * (1 - y.square().sum())
        return float(torch.acosh(1 + 2 * (x - y).square().sum() / within))

    whole = distance(*ends)
    for number, code in enumerate(codes):
        assert distance(ends[0], code) == pytest.approx(number / 4 * whole, abs=1e-3)
        assert distance(code, ends[1]) == pytest.approx((4 - number) / 4 * whole, abs=1e-3)
    middle = codes[2]
    assert middle.norm() < 0.9 * ends.mean(0).norm()  # the straight line passes further from the origin
