"""Cross-entropy of an output layer at real tokens, without keeping float32 logits.

The largest cost of a small text model is its projection onto the vocabulary. Here the loss and the
gradients of the projection are computed together: products run in the autocast type over all rows at once,
the softmax in float32 over blocks of rows, on the CPU such as stay in its cache. Logits of padding are never
computed. Gradients that have to be differentiated again are left to the library.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.models import packing
from bench.models.precision import filled, product_dtype
from bench.models.second_order import second_order

# Of float32 probabilities held at once: what stays in a processor's cache; elsewhere a step's in one go.
_BLOCK_BYTES = {"cpu": 4 << 20, "other": 512 << 20}
_RAREST = 1e-30  # a probability below it is taken from the logits: float32 has normal numbers down to 1e-38


class _ProjectedCrossEntropy(torch.autograd.Function):
    """-ln softmax(W f + b)[target], its weighted sum, and the gradients of that sum."""

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        weight: Tensor,
        bias: Tensor,
        targets: Tensor,
        row_weights: Tensor,
        with_gradients: bool,
    ) -> tuple[Tensor, Tensor]:
        dtype = product_dtype(features.device)
        count = len(features)
        # A column of ones carries the bias through the same products, and its gradient back.
        rows = filled(features, dtype, columns=1)
        table = torch.cat([weight.to(dtype), bias.to(dtype)[:, None]], dim=1)
        logits = rows @ table.t()
        losses = _softmax_in_place(logits[:count], targets, row_weights if with_gradients else None)
        if with_gradients:
            gradient = logits
            gradient[count:].zero_()
            grad_rows = (gradient @ table)[:count, :-1].to(features.dtype)
            grad_table = (gradient.t() @ rows).to(weight.dtype)
            ctx.save_for_backward(grad_rows, grad_table)
        ctx.mark_non_differentiable(losses)
        return (losses * row_weights).sum(), losses

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None, None]:
        grad_rows, grad_table = ctx.saved_tensors
        scale = gradients[0]
        return grad_rows * scale, grad_table[:, :-1] * scale, grad_table[:, -1] * scale, None, None, None


def _softmax_in_place(logits: Tensor, targets: Tensor, row_weights: Tensor | None) -> Tensor:
    """Losses (rows,) of logits (rows, V), which become their own gradient if ``row_weights`` are given."""
    losses = torch.empty(len(logits), device=logits.device)
    most = _BLOCK_BYTES["cpu" if logits.device.type == "cpu" else "other"]
    block = max(1, most // (4 * logits.shape[1]))
    probabilities = torch.empty(min(block, len(logits)), logits.shape[1], device=logits.device)
    for start in range(0, len(logits), block):
        part = slice(start, start + block)
        chosen = targets[part, None]
        raw, found = logits[part].float(), probabilities[: len(chosen)]
        torch.softmax(raw, -1, out=found)
        right = found.gather(1, chosen)
        losses[part] = _losses(raw, found, chosen, right).squeeze(1)
        if row_weights is not None:
            found.scatter_(1, chosen, right - 1)
            torch.mul(found, row_weights[part, None], out=logits[part])
    return losses


def _losses(logits: Tensor, probabilities: Tensor, targets: Tensor, right: Tensor) -> Tensor:
    """-ln of the probabilities ``right`` (rows, 1) of the targets; by the logits where those would underflow.

    The likeliest word has the probability 1 / sum exp(logit - largest), from which ln sum exp(logit) follows.
    """
    usual, rare = -right.clamp_min(_RAREST).log(), right < _RAREST
    if logits.device.type in packing.ANSWERING and not rare.any():
        return usual  # two passes over the vocabulary are saved
    most, largest = probabilities.amax(1, keepdim=True), logits.amax(1, keepdim=True)
    return torch.where(rare, largest - most.log() - logits.gather(1, targets), usual)


def weighted_cross_entropy(
    features: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, row_weights: Tensor
) -> tuple[Tensor, Tensor]:
    """Weighted sum of -ln softmax(W f + b)[target] over rows, and the unweighted rows (no gradient), in nats.

    Features (rows, E), weight (V, E), bias (V), targets (rows), row_weights (rows). The gradients are made in
    the forward pass, so the weights of the rows must be known there.
    """
    if second_order():
        rows = F.cross_entropy(F.linear(features, weight, bias), targets, reduction="none")
        return (rows * row_weights).sum(), rows.detach()
    gradients = torch.is_grad_enabled()
    return _ProjectedCrossEntropy.apply(features, weight, bias, targets, row_weights, gradients)  # type: ignore[no-any-return, no-untyped-call]


def token_losses(features: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """-ln softmax(W f + b)[target] per row (rows,), in nats, for evaluation: no gradient."""
    with torch.no_grad():
        ones = torch.ones(len(targets), device=features.device)
        return weighted_cross_entropy(features, weight, bias, targets, ones)[1]
