"""Gradients of gradients of the decoders: against finite differences in doubles, and single against double."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.backends import cudnn

from bench.models.decoders import GRUDecoder
from bench.models.lstm import LSTMDecoder
from bench.models.precision import product_dtype, products
from bench.models.second_order import second_order, twice_differentiable

CPU = torch.device("cpu")
TIME, BATCH, EMBEDDING = 4, 3, 3
REAL = torch.ones(TIME, BATCH, dtype=torch.bool)
DECODERS: dict[str, Callable[[], nn.Module]] = {
    "gru": lambda: GRUDecoder(EMBEDDING, EMBEDDING, hidden=4, projection=3),
    "lstm": lambda: LSTMDecoder(EMBEDDING, EMBEDDING, hidden=4),
}


def made(kind: str) -> tuple[nn.Module, list[Tensor]]:
    """A decoder and its inputs (words, signals), in doubles."""
    torch.manual_seed(0)
    decoder = DECODERS[kind]().double()
    values = [torch.randn(TIME, BATCH, EMBEDDING), torch.randn(BATCH, EMBEDDING)]
    return decoder, [value.double().requires_grad_() for value in values]


@pytest.mark.parametrize("kind", DECODERS)
def test_gradients_of_gradients_equal_finite_differences(kind: str) -> None:
    decoder, inputs = made(kind)

    def features(words: Tensor, signal: Tensor, *_: Tensor) -> Tensor:
        return decoder(words, signal, REAL, None, "decoder")  # type: ignore[no-any-return]

    with twice_differentiable(CPU):
        assert torch.autograd.gradgradcheck(features, (*inputs, *decoder.parameters()), fast_mode=True)


def twice(decoder: nn.Module, inputs: list[Tensor]) -> list[Tensor]:
    """The gradient of the squared norm of a gradient: everything that a step of the ascent needs."""
    with products(CPU, torch.bfloat16), twice_differentiable(CPU):  # nothing is rounded
        loss = decoder(*inputs, REAL, None, "decoder").exp().sum()
        (gradient,) = torch.autograd.grad(loss, inputs[1], create_graph=True)
    return list(torch.autograd.grad(gradient.square().sum(), [*inputs, *decoder.parameters()]))


@pytest.mark.parametrize("kind", DECODERS)
def test_single_precision_equals_double_within_rounding(kind: str) -> None:
    decoder, inputs = made(kind)
    expected = twice(decoder, inputs)
    single = [value.detach().float().requires_grad_() for value in inputs]
    for a, b in zip(twice(copy.deepcopy(decoder).float(), single), expected, strict=True):
        assert a.dtype == torch.float32
        assert b.norm() > 0
        assert (a.double() - b).norm() < 1e-5 * b.norm()


def test_the_context_ends_with_it() -> None:
    before = cudnn.enabled
    with products(CPU, torch.bfloat16):
        with twice_differentiable(CPU):
            assert second_order()
            assert not cudnn.enabled
            assert product_dtype(CPU) == torch.float32
        assert not second_order()
        assert product_dtype(CPU) == torch.bfloat16
    assert cudnn.enabled == before
