"""Encoders: texts to the encoded text e, one vector each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from bench.base.registry import part
from bench.models.noise import Noise
from bench.models.packing import Packing
from bench.models.recurrent import GRU, packed_together
from bench.models.second_order import second_order
from bench.models.stacked import few_kernels


def reverse_padded(values: Tensor, lengths: Tensor) -> Tensor:
    """Reverse each sequence of ``values`` (time, batch, features) within its length; padding stays last."""
    steps = torch.arange(values.shape[0], device=values.device)[:, None]
    source = torch.where(steps < lengths, lengths - 1 - steps, steps)
    return values.gather(0, source[..., None].expand_as(values))


class RecurrentEncoder(nn.Module):
    """One recurrent layer over the words; e is the last hidden state, of both directions if there are two.

    ``layer`` makes one direction; it has ``project`` and ``packed``, as :class:`GRU` has, where :meth:`ends` is not
    another.
    """

    stream = "encoder dropout"  # the name of its dropout masks

    def __init__(
        self,
        layer: Callable[[int, int], Any],
        embedding: int,
        hidden: int,
        *,
        bidirectional: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.forwards = layer(embedding, hidden)
        self.backwards = layer(embedding, hidden) if bidirectional else None
        self.features = hidden * (2 if bidirectional else 1)

    def forward(self, embedded: Tensor, lengths: Tensor, noise: Noise | None) -> Tensor:
        """Embedded words (time, batch, E), lengths (batch) to e (batch, features); dropout if ``noise``."""
        if noise is not None:
            embedded = noise.dropout(embedded, self.dropout, self.stream)
        inputs = [(self.forwards, embedded)]
        if self.backwards is not None:
            inputs.append((self.backwards, reverse_padded(embedded, lengths)))
        return torch.cat(self.ends(inputs, lengths), dim=-1)

    def ends(self, inputs: list[tuple[Any, Tensor]], lengths: Tensor) -> list[Tensor]:
        """The state (batch, H) of each layer at the end of each text, from its words (time, batch, E)."""
        packing = Packing.for_steps(lengths, len(inputs[0][1]))
        return [packing.last(each, lengths) for each in self.states(inputs, packing)]

    def states(self, inputs: list[tuple[Any, Tensor]], packing: Packing) -> list[Tensor]:
        """The states (rows, H) of each layer over its words (time, batch, E)."""
        return [layer.packed(layer.project(packing.take(words)), packing.sizes) for layer, words in inputs]


@part("encoder", "gru")
class GRUEncoder(RecurrentEncoder):
    """One GRU layer over the words; e is the last state, of both directions if there are two."""

    def __init__(
        self,
        embedding: int,
        *,
        hidden: Annotated[int, Field(ge=1)],
        bidirectional: bool = True,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2,
    ) -> None:
        super().__init__(GRU, embedding, hidden, bidirectional=bidirectional, dropout=dropout)

    def states(self, inputs: list[tuple[Any, Tensor]], packing: Packing) -> list[Tensor]:
        """The states (rows, H) of each layer over its words (time, batch, E), of both at once where that is faster."""
        if not few_kernels(inputs[0][1].device) or second_order():
            return super().states(inputs, packing)
        layers = [layer for layer, _ in inputs]
        projected = [layer.project(packing.take(words)) for layer, words in inputs]
        return packed_together(layers, projected, packing.sizes)
