"""A gated recurrent unit whose products run in the autocast type, on the CPU too.

The library's kernel for the CPU always multiplies in float32. Here the recurrence has a hand-written
backward pass: its products follow autocast, its state, gates and gradients stay in float32, and everything
that does not depend on the running gradient is computed for all time steps at once. That pass cannot be
differentiated again; where it has to be, the recurrence is made of plain operations.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.models.precision import product_dtype
from bench.models.second_order import second_order


class _Recurrence(torch.autograd.Function):
    """The recurrence of a GRU, given the input projections; gradients by backpropagation through time."""

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, state: Tensor, weight: Tensor, bias: Tensor, dtype: torch.dtype
    ) -> Tensor:
        """Inputs (time, batch, 3H), state (batch, H), weight (3H, H), bias (3H): states (time, batch, H)."""
        steps, batch, _ = inputs.shape
        hidden = state.shape[-1]
        transposed = weight.t().to(dtype).contiguous()
        outputs = inputs.new_empty(steps + 1, batch, hidden)
        outputs[0] = state
        gates = torch.empty_like(inputs)  # reset, update, new after their non-linearities
        candidate = inputs.new_empty(steps, batch, hidden)  # W_hn h + b_hn
        inputs_rz = inputs[..., : 2 * hidden] + bias[: 2 * hidden]
        for t in range(steps):
            previous, gate = outputs[t], gates[t]
            recurrent = previous.to(dtype) @ transposed
            reset_update, new = gate[:, : 2 * hidden], gate[:, 2 * hidden :]
            torch.add(inputs_rz[t], recurrent[:, : 2 * hidden], out=reset_update).sigmoid_()
            torch.add(bias[2 * hidden :], recurrent[:, 2 * hidden :], out=candidate[t])
            torch.addcmul(inputs[t, :, 2 * hidden :], gate[:, :hidden], candidate[t], out=new).tanh_()
            torch.lerp(new, previous, gate[:, hidden : 2 * hidden], out=outputs[t + 1])
        ctx.save_for_backward(outputs, gates, candidate, weight)
        ctx.dtype = dtype
        return outputs[1:]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, None]:
        """Gradients with respect to inputs, state, weight and bias."""
        (grad_outputs,) = gradients
        outputs, gates, candidate, weight = ctx.saved_tensors
        steps, _, width = gates.shape
        hidden = width // 3
        reset, update, new = gates.split(hidden, dim=-1)
        previous = outputs[:-1]
        keep = 1 - update
        to_update = (previous - new).mul_(update).mul_(keep)
        to_new = keep.mul_(1 - new * new)
        to_reset = candidate * reset * (1 - reset)
        grad_inputs, grad_recurrent = torch.empty_like(gates), torch.empty_like(gates)
        cast = weight.to(ctx.dtype)
        running = torch.zeros_like(outputs[0])
        for t in range(steps - 1, -1, -1):
            running = running + grad_outputs[t]
            grad = grad_inputs[t]
            grad_new = torch.mul(running, to_new[t], out=grad[:, 2 * hidden :])
            torch.mul(grad_new, to_reset[t], out=grad[:, :hidden])
            torch.mul(running, to_update[t], out=grad[:, hidden : 2 * hidden])
            grad_recurrent[t] = grad
            torch.mul(grad_new, reset[t], out=grad_recurrent[t, :, 2 * hidden :])
            running = torch.addcmul((grad_recurrent[t].to(ctx.dtype) @ cast).float(), running, update[t])
        flat = grad_recurrent.reshape(-1, width)
        grad_weight = flat.t().to(ctx.dtype) @ previous.reshape(-1, hidden).to(ctx.dtype)
        return grad_inputs, running, grad_weight.float(), flat.sum(0), None


def _plain_recurrence(inputs: Tensor, state: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The same recurrence, of operations that can be differentiated as often as is wanted."""
    states, gates = [], 2 * state.shape[-1]
    for step in inputs:
        recurrent = F.linear(state, weight, bias)
        reset, update = (step[:, :gates] + recurrent[:, :gates]).sigmoid().chunk(2, dim=-1)
        new = torch.tanh(step[:, gates:] + reset * recurrent[:, gates:])
        state = new + update * (state - new)
        states.append(state)
    return torch.stack(states)


class GRU(nn.Module):
    """One GRU layer (Cho et al. 2014, in the library's form and initialisation), time first."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.weight_ih = nn.Parameter(torch.empty(3 * hidden, features))
        self.weight_hh = nn.Parameter(torch.empty(3 * hidden, hidden))
        self.bias_ih = nn.Parameter(torch.empty(3 * hidden))
        self.bias_hh = nn.Parameter(torch.empty(3 * hidden))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform on (-1/sqrt(H), 1/sqrt(H)), as the library does."""
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -1 / math.sqrt(self.hidden), 1 / math.sqrt(self.hidden))

    def project(self, inputs: Tensor, columns: slice = slice(None), *, bias: bool = True) -> Tensor:
        """Input projections (..., 3H), of all input features or of those in ``columns``, in float32 at least."""
        projected = F.linear(inputs, self.weight_ih[:, columns], self.bias_ih if bias else None)
        return projected if second_order() else projected.float()

    def forward(self, projected: Tensor, state: Tensor | None = None) -> Tensor:
        """States (time, batch, H) from projections (time, batch, 3H), starting at ``state`` or zero."""
        if state is None:
            state = projected.new_zeros(projected.shape[1], self.hidden)
        if second_order():
            return _plain_recurrence(projected, state, self.weight_hh, self.bias_hh)
        dtype = product_dtype(projected.device)
        return _Recurrence.apply(projected, state, self.weight_hh, self.bias_hh, dtype)  # type: ignore[no-any-return, no-untyped-call]
