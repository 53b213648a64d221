"""The type in which products run; everything else stays in float32."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.models.second_order import second_order

_ROUND = 64  # rows of a product in bfloat16 on the CPU are filled up to a multiple of this


def products(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """A context in which products on ``device`` run in ``dtype`` (bfloat16 or float32)."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16)


def product_dtype(device: torch.device) -> torch.dtype:
    """The type in which products run on ``device``: the autocast type inside autocast, else float32."""
    if torch.is_autocast_enabled(device.type):
        return torch.get_autocast_dtype(device.type)
    return torch.float32


def in_float32(values: Tensor) -> torch.autocast:
    """A context in which the small maps around the code z are not rounded: densities would show it."""
    kind = "cpu" if values.is_meta else values.device.type  # on the meta device nothing is computed
    return torch.autocast(kind, enabled=False)


def add_gradients(loss: Tensor) -> None:
    """Add the gradients of a ``loss`` () to those of the parameters, each product in the type that it had forwards.

    Inside autocast those of maps that are kept in float32 would be narrow.
    """
    with in_float32(loss):
        loss.backward()


def in_words(model: nn.Module, dtype: torch.dtype) -> str:
    """In which types the products of a model run where ``dtype`` is asked for, as a run records it."""
    asked = f"{str(dtype).removeprefix('torch.')} products"
    library = any(isinstance(module, nn.RNNBase) for module in model.modules())
    return f"{asked}, LSTM in float32" if library and dtype != torch.float32 else asked


def filled(values: Tensor, dtype: torch.dtype, *, columns: int = 0) -> Tensor:
    """Values (n, features) in ``dtype``, with rows of zeros up to a multiple, and ``columns`` more of ones.

    The CPU's library compiles a product for each number of rows that it meets, which takes as long as a small
    product itself; batches have texts of any length, so only filled rows let it meet a number again.
    """
    count, width = values.shape
    rows = values.new_empty(-(-count // _ROUND) * _ROUND, width + columns, dtype=dtype)
    rows[:count, :width] = values
    rows[:count, width:].fill_(1)
    rows[count:].zero_()
    return rows


class _Linear(torch.autograd.Function):
    """values @ weight^T + bias in a narrow type, from and to float32, with filled rows both ways."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> Tensor:
        rows, narrow = filled(values, dtype), weight.to(dtype)
        ctx.save_for_backward(rows, narrow)
        ctx.count, ctx.has_bias = len(values), bias is not None
        product = (rows @ narrow.t())[: len(values)]
        return product.float() if bias is None else product + bias

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, Tensor | None, None]:
        rows, narrow = ctx.saved_tensors
        gradient = filled(gradients[0], rows.dtype)
        back = (gradient @ narrow)[: ctx.count].float() if ctx.needs_input_grad[0] else None
        return back, (gradient.t() @ rows).float(), gradients[0].sum(0) if ctx.has_bias else None, None


def linear(values: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``F.linear`` of many rows (..., features); on the CPU in float32 from products in the autocast type."""
    dtype = product_dtype(values.device)
    if dtype == torch.float32 or values.device.type != "cpu" or second_order():
        return F.linear(values, weight, bias)
    flat = _Linear.apply(values.flatten(0, -2), weight, bias, dtype)  # type: ignore[no-untyped-call]
    return flat.view(*values.shape[:-1], len(weight))  # type: ignore[no-any-return]
