"""The projected cross-entropy against the library's, values and gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.models import cross_entropy
from bench.models.cross_entropy import token_losses, weighted_cross_entropy
from bench.models.precision import products
from bench.models.second_order import twice_differentiable

ROWS, SIZE, WORDS = 37, 8, 50


@pytest.mark.parametrize("block_bytes", [4 << 20, 4 * WORDS * 5], ids=["one block", "blocks of five rows"])
def test_values_and_gradients_equal_the_library(block_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cross_entropy, "_BLOCK_BYTES", {"cpu": block_bytes})
    torch.manual_seed(0)
    targets, row_weights = torch.randint(WORDS, (ROWS,)), torch.rand(ROWS)
    values = [torch.randn(ROWS, SIZE), torch.randn(WORDS, SIZE), torch.randn(WORDS)]
    a = [v.clone().requires_grad_() for v in values]
    b = [v.clone().requires_grad_() for v in values]
    expected = F.cross_entropy(F.linear(*a), targets, reduction="none")
    total, losses = weighted_cross_entropy(b[0], b[1], b[2], targets, row_weights)
    torch.testing.assert_close(losses, expected.detach())
    torch.testing.assert_close(total, (expected * row_weights).sum())
    (3 * (expected * row_weights).sum()).backward()
    (3 * total).backward()
    for found, wanted in zip(b, a, strict=True):
        torch.testing.assert_close(found.grad, wanted.grad, rtol=1e-4, atol=1e-5)


def test_it_can_be_differentiated_twice_where_that_is_asked_for() -> None:
    torch.manual_seed(2)
    targets, row_weights = torch.randint(6, (4,)), torch.rand(4).double()
    values = [torch.randn(*shape).double().requires_grad_() for shape in ((4, 3), (6, 3), (6,))]

    def total(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return weighted_cross_entropy(features, weight, bias, targets, row_weights)[0]

    features, weight, bias = (value.detach().float() for value in values)
    expected = weighted_cross_entropy(features, weight, bias, targets, row_weights.float())
    with twice_differentiable(torch.device("cpu")):
        assert torch.autograd.gradcheck(total, values)
        assert torch.autograd.gradgradcheck(total, values)
        found = weighted_cross_entropy(features, weight, bias, targets, row_weights.float())
    torch.testing.assert_close(found, expected)


def test_a_certain_word_costs_nothing_and_an_impossible_one_its_distance() -> None:
    weight, bias = torch.zeros(3, 2), torch.tensor([0.0, 200.0, 0.0])
    losses = token_losses(torch.zeros(2, 2), weight, bias, torch.tensor([1, 0]))
    assert losses.tolist() == [0.0, 200.0]


@pytest.mark.parametrize("gap", [60.0, 69.0, 70.0, 88.0, 104.0, 1000.0, 12_000.0])
def test_a_loss_is_right_where_its_probability_underflows(gap: float) -> None:
    bias, targets = torch.tensor([0.0, gap, gap]), torch.tensor([0])
    expected = F.cross_entropy(bias.double()[None], targets).float()
    features, weight = torch.zeros(1, 2), torch.zeros(3, 2)
    torch.testing.assert_close(token_losses(features, weight, bias, targets)[0], expected)
    features, weight, bias = (value.requires_grad_() for value in (features, weight, bias))
    total, _ = weighted_cross_entropy(features, weight, bias, targets, torch.ones(1))
    torch.testing.assert_close(total, expected)


def test_bfloat16_products_leave_the_loss_within_a_thousandth() -> None:
    torch.manual_seed(1)
    features, weight, bias = torch.tanh(torch.randn(2000, 64)), torch.randn(500, 64) * 0.3, torch.randn(500)
    targets = torch.randint(500, (2000,))
    exact = token_losses(features, weight, bias, targets)
    with products(torch.device("cpu"), torch.bfloat16):
        rounded = token_losses(features, weight, bias, targets)
    assert 0 < abs(rounded.mean() - exact.mean()) / exact.mean() < 1e-3
