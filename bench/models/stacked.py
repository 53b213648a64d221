"""The recurrence of GRUs in few kernels, for devices that finish a small kernel faster than the next can begin.

The same equations as in ``bench.models.recurrent``, over all texts at each time: layers that read texts of one length,
as the two directions of an encoder, take each step together, and what the backward pass multiplies the running
gradient with is computed for all steps at once. In bfloat16 that leaves 8 kernels a step forwards and 4 backwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from bench.models import packing


def few_kernels(device: torch.device) -> bool:
    """Whether the number of kernels counts on this device, and not that of operations."""
    return device.type not in packing.ANSWERING


class _Stacked(torch.autograd.Function):
    """Recurrences of G layers side by side, given the input projections; gradients by backpropagation through time."""

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, state: Tensor, weight: Tensor, bias: Tensor, dtype: torch.dtype
    ) -> Tensor:
        """Inputs (G, time, batch, 3H), state (G, batch, H), weight (G, 3H, H), bias (G, 3H).

        Returns states (G, time, batch, H).
        """
        layers, time, batch, hidden = *inputs.shape[:3], state.shape[-1]
        transposed = weight.mT.to(dtype).contiguous()
        outputs = inputs.new_empty(layers, time + 1, batch, hidden)
        outputs[:, 0] = state
        gates = torch.empty_like(inputs)  # reset, update, new after their non-linearities
        candidates = inputs.new_empty(layers, time, batch, hidden)  # W_hn h + b_hn
        bias_rz, bias_n = bias[:, None, : 2 * hidden], bias[:, None, 2 * hidden :]
        inputs_rz = inputs[..., : 2 * hidden] + bias_rz.unsqueeze(1)
        for now in range(time):
            previous, gate = outputs[:, now], gates[:, now]
            recurrent = torch.bmm(previous.to(dtype), transposed)
            reset_update, new = gate[..., : 2 * hidden], gate[..., 2 * hidden :]
            torch.add(inputs_rz[:, now], recurrent[..., : 2 * hidden], out=reset_update).sigmoid_()
            candidate = torch.add(bias_n, recurrent[..., 2 * hidden :], out=candidates[:, now])
            torch.addcmul(inputs[:, now, :, 2 * hidden :], gate[..., :hidden], candidate, out=new).tanh_()
            torch.lerp(new, previous, gate[..., hidden : 2 * hidden], out=outputs[:, now + 1])
        ctx.save_for_backward(outputs, gates, candidates, weight)
        ctx.dtype = dtype
        return outputs[:, 1:]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, None]:
        """Gradients with respect to inputs, state, weight and bias."""
        outputs, gates, candidates, weight = ctx.saved_tensors
        time, hidden = gates.shape[1], outputs.shape[-1]
        reset, update, new = gates.split(hidden, dim=-1)
        previous, keep = outputs[:, :-1], 1 - update
        to_new = keep * (1 - new * new)
        to_reset = to_new * candidates * reset * (1 - reset)
        to_update = (previous - new) * update * keep
        factors = torch.stack([to_reset, to_update, to_new * reset], dim=-2)  # (G, time, batch, 3, H)
        running = gradients[0].clone()
        first = running.new_zeros(running[:, 0].shape)
        products, cast = torch.empty_like(factors, dtype=ctx.dtype), weight.to(ctx.dtype)
        for now in reversed(range(time)):
            torch.mul(factors[:, now], running[:, now].unsqueeze(-2), out=products[:, now])
            before = running[:, now - 1] if now else first
            before.addcmul_(running[:, now], update[:, now])
            before.add_(torch.bmm(products[:, now].flatten(-2), cast))
        grad_recurrent = (factors * running.unsqueeze(-2)).flatten(-2)
        grad_inputs = torch.cat([grad_recurrent[..., : 2 * hidden], to_new * running], dim=-1)
        rows = products.flatten(-2).flatten(1, 2)
        grad_weight = torch.bmm(rows.mT, previous.to(ctx.dtype).flatten(1, 2))
        return grad_inputs, first, grad_weight.to(weight.dtype), grad_recurrent.sum((1, 2)), None


def stacked(
    projected: Sequence[Tensor],
    states: Sequence[Tensor],
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    dtype: torch.dtype,
) -> tuple[Tensor, ...]:
    """States (time, batch, H) of each of some layers, from its projections (time, batch, 3H) and its state (batch, H).

    ``weights`` (3H, H) and ``biases`` (3H) are those of their recurrences; products run in ``dtype``.
    """
    each = (_together(values) for values in (projected, states, weights, biases))
    found: Tensor = _Stacked.apply(*each, dtype)  # type: ignore[no-untyped-call]
    return found.unbind()


def _together(values: Sequence[Tensor]) -> Tensor:
    return values[0].unsqueeze(0) if len(values) == 1 else torch.stack(list(values))
