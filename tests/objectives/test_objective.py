"""The objective against equation 4 computed anew: its terms, its weights, the gradient of every parameter."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from bench.models.forward import Forward
from bench.models.model import TextModel
from bench.models.noise import Noise
from bench.models.precision import products
from bench.objectives.objective import Objective, Terms
from bench.training.composition import build_model, build_objective
from tests.conftest import tiny_settings
from tests.plain import WORDS, Plain, collator

TEXTS = [[4, 5, 6, 7, 8], [8], [5, 5, 3], [6, 4]]
BATCH = collator(TEXTS)(range(len(TEXTS)))
DRY: dict[str, Any] = {"encoder": {"hidden": 8, "dropout": 0.0}, "decoder": {"dropout": 0.0}}


def built(system: str, dry: bool = True, **changes: Any) -> tuple[TextModel, Objective]:
    settings = tiny_settings(system, **(DRY if dry else {}), **changes)
    return build_model(settings, WORDS), build_objective(settings)


def forward(model: TextModel) -> Forward:
    """What the first step knows."""
    return Forward(model, BATCH, Noise("step", 1))


def recomputed(plain: Plain, system: str, distance: str = "rational-quadratic") -> dict[str, Tensor]:
    """Batch means of each term, for one sampled code per text from the stream of step 1."""
    rows: dict[str, list[Tensor]] = {"rec": [], "reg": [], "rec_twin": [], "match": []}
    noise = Noise("step", 1).source("latent", len(TEXTS)).normal(4).double()
    for text, numbers in zip(TEXTS, noise, strict=True):
        if system == "gru-lm":
            rows["rec"].append(plain.losses("branch", text, None).sum())
            continue
        e = plain.encode(text)
        code = mean = plain.affine("branch.posterior.mean", e)
        if system != "dae":
            log_std = plain.affine("branch.posterior.log_std", e)
            code = mean + log_std.exp() * numbers
            rows["reg"].append((0.5 * (mean**2 + torch.exp(2 * log_std) - 1) - log_std).sum())
        h = plain.signal("branch", code)
        rows["rec"].append(plain.losses("branch", text, h).sum())
        if system == "coupled-vae":
            h_twin = plain.signal("twin", plain.affine("twin.posterior.mean", e))
            rows["rec_twin"].append(plain.losses("twin", text, h_twin).sum())
            d = (h - h_twin.detach()).square().sum()
            scaled = 64 * torch.tensor([0.1, 0.2, 0.5, 1, 2, 5, 10], dtype=torch.double)
            rows["match"].append(d if distance == "euclidean" else -(scaled / (scaled + d)).sum())
    return {name: torch.stack(values).mean() for name, values in rows.items() if values}


NAMES = {"reconstruction": "rec", "kl": "reg", "twin_reconstruction": "rec_twin", "matching": "match"}


def check(found: Terms, wanted: dict[str, Tensor], total: Tensor) -> None:
    assert set(found) == {"total"} | {long for long, short in NAMES.items() if short in wanted}
    for long, short in NAMES.items():
        if short in wanted:
            assert not found[long].requires_grad
            torch.testing.assert_close(found[long].double(), wanted[short].detach(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found["total"].double(), total, rtol=1e-5, atol=1e-6)


def check_gradients(model: TextModel, plain: Plain) -> None:
    """float32 against double: a relative error of 1e-4 where gradients are not tiny."""
    for name, parameter in model.named_parameters():
        wanted, found = plain.p[name].grad, parameter.grad
        if wanted is None:
            assert found is None or not found.any(), name
        else:
            assert found is not None, name
            torch.testing.assert_close(found.double(), wanted, rtol=1e-4, atol=2e-6, msg=name)


@pytest.mark.parametrize("system", ["gru-lm", "dae", "vae"])
def test_terms_and_gradients_without_a_twin(system: str) -> None:
    model, objective = built(system)
    found, plain = objective(forward(model), {"kl": 0.3}), Plain(model)
    wanted = recomputed(plain, system)
    total = wanted["rec"] + (0.3 * wanted["reg"] if "reg" in wanted else 0)
    check(found, wanted, total)
    found["total"].backward()
    total.backward()
    check_gradients(model, plain)


@pytest.mark.parametrize(
    ("lambda_r", "lambda_m", "weight", "distance"),
    [
        (1.0, 0.1, 1.0, "rational-quadratic"),
        (0.5, 5.0, 0.2, "rational-quadratic"),
        (5.0, 0.1, 0.0, "euclidean"),
    ],
)
def test_the_weights_enter_as_in_equation_4(
    lambda_r: float, lambda_m: float, weight: float, distance: str
) -> None:
    matching = {"weight": lambda_m, "distance": distance, "constant": 64.0}
    terms = {"matching": matching, "twin_reconstruction": {"weight": lambda_r}}
    model, objective = built("coupled-vae", objective=terms)
    weights = objective.weights_at(1, dict) | {"kl": weight}
    found, plain = objective(forward(model), weights), Plain(model)
    wanted = recomputed(plain, "coupled-vae", distance)
    total = (
        wanted["rec"] + weight * wanted["reg"] + lambda_r * wanted["rec_twin"] + lambda_m * wanted["match"]
    )
    check(found, wanted, total)
    found["total"].backward()
    total.backward()
    check_gradients(model, plain)


def test_a_twin_of_no_weight_leaves_the_baselines_gradient_dropout_and_all() -> None:
    baseline, without = built("vae", dry=False)
    coupled, with_twin = built(
        "coupled-vae", dry=False, objective={"matching": {"weight": 0}, "twin_reconstruction": {"weight": 0}}
    )
    for model, objective in ((baseline, without), (coupled, with_twin)):
        weights = objective.weights_at(1, dict) | {"kl": 0.5}
        objective(forward(model), weights)["total"].backward()
    found = dict(coupled.named_parameters())
    for name, parameter in baseline.named_parameters():
        # Sums of zeros are exact, but the order of additions into the embedding may differ.
        torch.testing.assert_close(found[name].grad, parameter.grad, rtol=1e-5, atol=1e-7, msg=name)
    assert all(p.grad is None or not p.grad.any() for n, p in found.items() if n.startswith("twin."))


def test_bfloat16_products_leave_the_regulariser_exact_and_the_rest_near() -> None:
    model, objective = built("coupled-vae", dry=False)
    exact = objective(forward(model), {})
    with products(torch.device("cpu"), torch.bfloat16):
        rounded = objective(forward(model), {})
    # Eight significant bits in each product: errors of 2^-9 that average out over tokens.
    torch.testing.assert_close(rounded["total"], exact["total"], rtol=5e-3, atol=0)
    assert rounded["total"] != exact["total"]


def test_a_part_of_the_terms_can_be_computed_alone() -> None:
    model, objective = built("coupled-vae")
    weights = objective.weights_at(1, dict)
    whole, some = (one(forward(model), weights) for one in (objective, objective.only("kl", "matching")))
    assert list(some) == ["kl", "matching", "total"]
    assert all(torch.equal(some[name], whole[name]) for name in ("kl", "matching"))
