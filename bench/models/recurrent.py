"""A gated recurrent unit whose products run in the autocast type, on the CPU too.

The library's kernel for the CPU always multiplies in float32. Here the recurrence has a hand-written
backward pass: its products follow autocast, its state, gates and gradients stay in float32, and everything
that does not depend on the running gradient is computed for all time steps at once. That pass cannot be
differentiated again; where it has to be, the recurrence is made of plain operations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.models.precision import filled, linear, product_dtype
from bench.models.second_order import second_order
from bench.models.stacked import few_kernels, stacked


class _Recurrence(torch.autograd.Function):
    """The recurrence of a GRU, given the input projections; gradients by backpropagation through time."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        state: Tensor,
        weight: Tensor,
        bias: Tensor,
        dtype: torch.dtype,
        sizes: list[int],
    ) -> Tensor:
        """Inputs (rows, 3H), state (batch, H), weight (3H, H), bias (3H): states (rows, H).

        The rows are those of the first time, then of the second; ``sizes`` says how many each time has, never
        more than the one before, and row i of a time goes on from row i of the time before.
        """
        batch, hidden = state.shape
        transposed = weight.t().to(dtype)
        if len(sizes) > 1:  # a copy takes as long as the product of a step of decoding
            transposed = transposed.contiguous()
        outputs = inputs.new_empty(batch + len(inputs), hidden)
        outputs[:batch] = state
        gates = torch.empty_like(inputs)  # reset, update, new after their non-linearities
        candidates = inputs.new_empty(len(inputs), hidden)  # W_hn h + b_hn
        inputs_rz = inputs[:, : 2 * hidden] + bias[: 2 * hidden]
        before, at = 0, 0
        for size in sizes:
            now = slice(at, at + size)
            previous, gate, candidate = outputs[before : before + size], gates[now], candidates[now]
            recurrent = previous.to(dtype) @ transposed
            reset_update, new = gate[:, : 2 * hidden], gate[:, 2 * hidden :]
            torch.add(inputs_rz[now], recurrent[:, : 2 * hidden], out=reset_update).sigmoid_()
            torch.add(bias[2 * hidden :], recurrent[:, 2 * hidden :], out=candidate)
            torch.addcmul(inputs[now, 2 * hidden :], gate[:, :hidden], candidate, out=new).tanh_()
            before, at = batch + at, at + size
            torch.lerp(new, previous, gate[:, hidden : 2 * hidden], out=outputs[before : before + size])
        ctx.save_for_backward(outputs, gates, candidates, weight)
        ctx.dtype, ctx.sizes = dtype, sizes
        return outputs[batch:]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, None, None]:
        """Gradients with respect to inputs, state, weight and bias."""
        (grad_outputs,) = gradients
        outputs, gates, candidates, weight = ctx.saved_tensors
        rows, width = gates.shape
        hidden = width // 3
        reset, update, new = gates.split(hidden, dim=-1)
        previous = _previous(outputs, len(outputs) - rows, ctx.sizes)
        keep = 1 - update
        to_update = (previous - new).mul_(update).mul_(keep)
        to_new = keep.mul_(1 - new * new)
        to_reset = candidates * reset * (1 - reset)
        grad_inputs, grad_recurrent = torch.empty_like(gates), torch.empty_like(gates)
        cast = weight.to(ctx.dtype)
        end, carried = rows, outputs.new_zeros(0, hidden)
        for size in reversed(ctx.sizes):
            now = slice(end - size, end)
            running = grad_outputs[now].clone()
            running[: len(carried)] += carried
            grad, recurrent = grad_inputs[now], grad_recurrent[now]
            grad_new = torch.mul(running, to_new[now], out=grad[:, 2 * hidden :])
            torch.mul(grad_new, to_reset[now], out=grad[:, :hidden])
            torch.mul(running, to_update[now], out=grad[:, hidden : 2 * hidden])
            recurrent.copy_(grad)
            torch.mul(grad_new, reset[now], out=recurrent[:, 2 * hidden :])
            carried = torch.addcmul((recurrent.to(ctx.dtype) @ cast).float(), running, update[now])
            end -= size
        grad_weight = filled(grad_recurrent, ctx.dtype).t() @ filled(previous, ctx.dtype)
        return grad_inputs, carried, grad_weight.float(), grad_recurrent.sum(0), None, None


def _previous(outputs: Tensor, batch: int, sizes: list[int]) -> Tensor:
    """The state before each row (rows, H), from the first states and those of all rows after them."""
    if sizes[-1] == batch:
        return outputs[:-batch]
    starts = np.cumsum([0, *sizes])
    before = np.concatenate([[0], batch + starts[:-2]])
    index = np.arange(starts[-1]) + np.repeat(before - starts[:-1], sizes)
    return outputs.index_select(0, torch.from_numpy(index).to(outputs.device))


def _plain_recurrence(inputs: Sequence[Tensor], state: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
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
        weight, offset = self.weight_ih[:, columns], self.bias_ih if bias else None
        projected = linear(inputs, weight, offset)
        return projected if second_order() else projected.float()

    def forward(self, projected: Tensor, state: Tensor | None = None) -> Tensor:
        """States (time, batch, H) from projections (time, batch, 3H), starting at ``state`` or zero."""
        time, batch, _ = projected.shape
        return self.packed(projected.flatten(0, 1), [batch] * time, state).view(time, batch, self.hidden)

    def packed(self, projected: Tensor, sizes: list[int], state: Tensor | None = None) -> Tensor:
        """States (rows, H) from projections (rows, 3H), rows and ``sizes`` as in a packing.

        ``state`` (batch, H), zero if absent, has the texts in the order of the packing.
        """
        if state is None:
            state = projected.new_zeros(sizes[0], self.hidden)
        if second_order():
            steps = projected.split(sizes)
            return _plain_recurrence(steps, state, self.weight_hh, self.bias_hh).flatten(0, 1)
        dtype = product_dtype(projected.device)
        if few_kernels(projected.device) and len(set(sizes)) == 1:
            return packed_together([self], [projected], sizes, [state])[0]
        return _Recurrence.apply(projected, state, self.weight_hh, self.bias_hh, dtype, sizes)  # type: ignore[no-any-return, no-untyped-call]


def packed_together(
    layers: Sequence[GRU],
    projected: Sequence[Tensor],
    sizes: list[int],
    states: Sequence[Tensor] | None = None,
) -> list[Tensor]:
    """States (rows, H) of each of the ``layers`` as :meth:`GRU.packed` gives them, of as many texts at each time."""
    time, batch = len(sizes), sizes[0]
    if states is None:
        states = [rows.new_zeros(batch, layer.hidden) for layer, rows in zip(layers, projected, strict=True)]
    weights, biases = [layer.weight_hh for layer in layers], [layer.bias_hh for layer in layers]
    steps = [rows.view(time, batch, -1) for rows in projected]
    found = stacked(steps, states, weights, biases, product_dtype(projected[0].device))
    return [states.flatten(0, 1) for states in found]
