"""Gradient norms with respect to e against finite differences and the library's Jacobian, in doubles."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.estimators.gradients import NAMES, gradient_norms
from bench.models.model import TextModel
from bench.models.noise import Noise
from bench.objectives.objective import Objective
from bench.training.composition import build_model, build_objective
from tests.conftest import tiny_settings
from tests.plain import WORDS, Plain, collator

TEXTS = [[4, 5, 6, 7, 8], [8], [5, 5, 3], [6, 4]]
ALL = np.arange(len(TEXTS))
BY_LENGTH = [1, 3, 2, 0]


def built(system: str, dropout: float = 0.2) -> tuple[TextModel, Objective]:
    settings = tiny_settings(system, encoder={"dropout": dropout, "hidden": 8}, decoder={"dropout": dropout})
    return build_model(settings, WORDS), build_objective(settings)


def norms(
    system: str, texts: np.ndarray = ALL, dropout: float = 0.2, training: bool = False
) -> dict[str, np.ndarray]:
    model, objective = built(system, dropout)
    return gradient_norms(model, objective, collator(TEXTS), texts, 16, "test", training_mode=training)


def by_differences(function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    """Central differences (outputs, features): errors of about 1e-9 for steps of 1e-5 in double precision."""
    steps = 1e-5 * torch.eye(len(at), dtype=torch.double)
    with torch.no_grad():
        return torch.stack([(function(at + s) - function(at - s)) / 2e-5 for s in steps], dim=-1)


@pytest.mark.parametrize("system", ["dae", "vae", "coupled-vae"])
def test_norms_equal_finite_differences(system: str) -> None:
    found = norms(system)
    expected = set(NAMES if system == "coupled-vae" else ["grad_norm_rec", "signal_sensitivity"])
    assert set(found) == expected | ({"grad_norm_reg"} if system == "vae" else set())
    plain = Plain(built(system)[0])
    noise = Noise("test", 0).source("latent", len(TEXTS)).normal(4).double()
    for position, number in enumerate(BY_LENGTH):
        text = TEXTS[number]

        def posterior(e: Tensor) -> tuple[Tensor, Tensor]:
            return plain.affine("branch.posterior.mean", e), plain.affine("branch.posterior.log_std", e)

        def signal(e: Tensor, numbers: Tensor = noise[position]) -> Tensor:
            if system == "dae":
                return plain.signal("branch", plain.affine("branch.posterior.mean", e))
            mean, log_std = posterior(e)
            return plain.signal("branch", mean + log_std.exp() * numbers)

        def rec(e: Tensor, text: list[int] = text) -> Tensor:
            return plain.losses("branch", text, signal(e)).sum()

        def rec_twin(e: Tensor, text: list[int] = text) -> Tensor:
            return plain.losses(
                "twin", text, plain.signal("twin", plain.affine("twin.posterior.mean", e))
            ).sum()

        def reg(e: Tensor) -> Tensor:
            mean, log_std = posterior(e)
            return (0.5 * (mean**2 + torch.exp(2 * log_std) - 1) - log_std).sum()

        def total(e: Tensor) -> Tensor:
            return rec(e) + rec_twin(e)

        e = plain.encode(text).detach()
        functions = {"rec": rec, "rec_coupled": rec_twin, "rec_total": total, "reg": reg}
        for name, function in functions.items():
            if f"grad_norm_{name}" in found:
                wanted = float(by_differences(function, e).norm())
                # The code under test computes in float32.
                assert found[f"grad_norm_{name}"][number] == pytest.approx(wanted, rel=1e-4), name
        jacobian = torch.autograd.functional.jacobian(signal, e)
        torch.testing.assert_close(jacobian, by_differences(signal, e), rtol=1e-6, atol=1e-8)
        wanted = float(jacobian.norm() / signal(e).detach().norm())
        assert found["signal_sensitivity"][number] == pytest.approx(wanted, rel=1e-4)


def test_the_gradient_of_the_sum_obeys_the_triangle_inequality() -> None:
    found = norms("coupled-vae", training=True)
    sums = found["grad_norm_rec"] + found["grad_norm_rec_coupled"]
    assert (found["grad_norm_rec_total"] <= sums).all()
    assert (
        found["grad_norm_rec_total"] >= abs(found["grad_norm_rec"] - found["grad_norm_rec_coupled"])
    ).all()


@pytest.mark.parametrize(
    ("system", "name"), [("dae", "grad_norm_rec"), ("coupled-vae", "grad_norm_rec_coupled")]
)
def test_a_text_has_the_same_norm_alone_and_in_any_order(system: str, name: str) -> None:
    """Only for what draws no code: sampled numbers belong to places in a batch."""
    together = norms(system)[name]
    for texts in ([0], [2], [3, 0, 2]):
        np.testing.assert_allclose(norms(system, np.array(texts))[name], together[texts], rtol=1e-5)


def test_training_mode_switches_dropout_on() -> None:
    evaluation, training = norms("coupled-vae"), norms("coupled-vae", training=True)
    for name in ("grad_norm_rec", "grad_norm_rec_coupled", "grad_norm_reg"):
        assert not np.isclose(evaluation[name], training[name], rtol=1e-3).any(), name
    again, dry = norms("coupled-vae", training=True), norms("coupled-vae", dropout=0.0, training=True)
    for name in NAMES:
        np.testing.assert_array_equal(again[name], training[name])
        np.testing.assert_array_equal(dry[name], evaluation[name])
