"""The three means of the cross-entropy, against losses of single tokens computed anew."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bench.objectives.objective import looks_across
from bench.training.composition import build_procedure
from tests.conftest import tiny_settings
from tests.objectives.test_objective import DRY, TEXTS, built, check_gradients, forward
from tests.plain import Plain


def tokens(plain: Plain) -> list[Tensor]:
    """The losses of the tokens of each text of a deterministic autoencoder, the end symbol among them."""
    signals = (
        plain.signal("branch", plain.affine("branch.posterior.mean", plain.encode(text))) for text in TEXTS
    )
    return [plain.losses("branch", text, signal) for text, signal in zip(TEXTS, signals, strict=True)]


@pytest.mark.parametrize("mean", ["texts", "tokens", "tokens-of-texts"])
def test_each_mean_and_its_gradient_and_the_log_in_nats_per_text(mean: str) -> None:
    model, objective = built("dae", objective={"reconstruction": {"mean": mean}})
    plain = Plain(model)
    each = tokens(plain)
    expected = {
        "texts": torch.stack([losses.sum() for losses in each]).mean(),
        "tokens": torch.cat(each).mean(),
        "tokens-of-texts": torch.stack([losses.mean() for losses in each]).mean(),
    }
    assert len({round(value.item(), 4) for value in expected.values()}) == 3
    found = objective(forward(model), {})
    torch.testing.assert_close(found["total"].double(), expected[mean], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found["reconstruction"].double(), expected["texts"].detach())
    assert not found["reconstruction"].requires_grad
    found["total"].backward()
    expected[mean].backward()
    check_gradients(model, plain)


def test_a_mean_over_the_tokens_of_a_batch_looks_across_its_texts() -> None:
    for mean, across in (("tokens", True), ("tokens-of-texts", False)):
        settings = tiny_settings("dae", **DRY, objective={"reconstruction": {"mean": mean}})
        model, objective = built("dae", objective={"reconstruction": {"mean": mean}})
        assert bool(looks_across(model, objective, build_procedure(settings))) == across
