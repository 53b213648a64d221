"""An encoder and a decoder of one layer-normalised LSTM layer each (Bahuleyan et al. 2019, released code)."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from bench.base.registry import part
from bench.models.encoders import RecurrentEncoder
from bench.models.noise import Noise
from bench.models.packing import Packing
from bench.models.precision import linear

EPSILON = 1e-12  # added to variances


class LayerNormLSTM(nn.Module):
    """One LSTM layer with layer normalisation (Ba et al. 2016), time first, from a state of zeros.

    One map of [input; h] without a bias gives the gates i, f, o and the candidate j. Each is normalised over its units,
    with a gain and a shift of its own, and so is the cell, whose normalised value is carried on: with N for these,
    c = N(c_before sigmoid(N(f) + 1) + sigmoid(N(i)) tanh(N(j))) and h = tanh(c) sigmoid(N(o)). Ba et al. normalise the
    cell for the output alone; this is the cell of the library that the released code uses.
    """

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.weight_ih = nn.Parameter(torch.empty(4 * hidden, features))
        self.weight_hh = nn.Parameter(torch.empty(4 * hidden, hidden))
        self.gain = nn.Parameter(torch.empty(5, hidden))  # of i, j, f, o and c
        self.shift = nn.Parameter(torch.empty(5, hidden))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """The map uniform as Glorot and Bengio (2010) have it, gains 1, shifts 0."""
        bound = math.sqrt(6 / (self.weight_ih.shape[1] + 5 * self.hidden))
        nn.init.uniform_(self.weight_ih, -bound, bound)
        nn.init.uniform_(self.weight_hh, -bound, bound)
        nn.init.ones_(self.gain)
        nn.init.zeros_(self.shift)

    def project(self, inputs: Tensor, columns: slice = slice(None)) -> Tensor:
        """Input projections (..., 4H), of all input features or of those in ``columns``, in the parameters' type."""
        return linear(inputs, self.weight_ih[:, columns]).to(self.weight_ih.dtype)

    def packed(self, projected: Tensor, sizes: list[int]) -> Tensor:
        """Hidden states (rows, H) from projections (rows, 4H), rows and ``sizes`` as in a packing."""
        hidden = cell = projected.new_zeros(sizes[0], self.hidden)
        states = []
        for rows in projected.split(sizes):
            hidden, cell = self.cell(rows, hidden[: len(rows)], cell[: len(rows)])
            states.append(hidden)
        return torch.cat(states)

    def cell(self, projected: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """One step: projections (batch, 4H) and the state before it to the next h and c, (batch, H) each."""
        gates = projected + linear(hidden, self.weight_hh).to(projected.dtype)
        i, j, f, o = self._normal(gates.unflatten(-1, (4, self.hidden)), slice(0, 4)).unbind(-2)
        raw = cell * torch.sigmoid(f + 1) + torch.sigmoid(i) * torch.tanh(j)
        cell = self._normal(raw.unsqueeze(-2), slice(4, 5)).squeeze(-2)
        return torch.tanh(cell) * torch.sigmoid(o), cell

    def _normal(self, values: Tensor, which: slice) -> Tensor:
        """Values (..., n, H), each of the n normalised over its units, with their gains and shifts."""
        return F.layer_norm(values, (self.hidden,), eps=EPSILON) * self.gain[which] + self.shift[which]


@part("encoder", "layer-norm-lstm")
class LayerNormLSTMEncoder(RecurrentEncoder):
    """One layer-normalised LSTM layer over the words; e is the last hidden state, of both directions if there are."""

    def __init__(
        self,
        embedding: int,
        *,
        hidden: Annotated[int, Field(ge=1)],
        bidirectional: bool = True,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2,
    ) -> None:
        super().__init__(LayerNormLSTM, embedding, hidden, bidirectional=bidirectional, dropout=dropout)


@part("decoder", "layer-norm-lstm")
class LayerNormLSTMDecoder(nn.Module):
    """One layer-normalised LSTM layer that reads [word; h] at each step, from a state of zeros.

    The features are the hidden states. Without a signal (``signal`` 0) it is a plain language model.
    """

    def __init__(
        self,
        embedding: int,
        signal: int,
        *,
        hidden: Annotated[int, Field(ge=1)],
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2,
    ) -> None:
        super().__init__()
        self.embedding, self.dropout, self.features = embedding, dropout, hidden
        self.lstm = LayerNormLSTM(embedding + signal, hidden)

    def forward(
        self, embedded: Tensor, signal: Tensor | None, real: Tensor, noise: Noise | None, stream: str
    ) -> Tensor:
        """Embedded go + words (time, batch, E), h (batch, S): features (time, batch, hidden).

        ``real`` (time, batch) marks the positions that are no padding; at the others features may be zero. With
        ``noise``, dropout falls on the whole [word; h] of each step, so on h at each step anew; ``stream`` tells a
        decoder's masks from those of its coupled twin.
        """
        packing = Packing.for_steps(real.sum(0), len(real))
        words = packing.take(embedded)
        if signal is not None:
            words = torch.cat([words, packing.repeat(signal)], dim=-1)
        if noise is not None:
            words = noise.dropout(words, self.dropout, f"{stream} input dropout", packing)
        return packing.put(self.lstm.packed(self.lstm.project(words), packing.sizes))

    def features_of_samples(self, embedded: Tensor, signal: Tensor) -> Tensor:
        """Many signals for each text, no dropout: embedded (time, batch, E), h (batch, samples, S).

        Returns features (time, batch, samples, hidden). The words are projected once for all samples.
        """
        time, (batch, samples, _) = len(embedded), signal.shape
        by_word = self.lstm.project(embedded, slice(0, self.embedding))
        by_signal = self.lstm.project(signal, slice(self.embedding, None))
        inputs = (by_word.unsqueeze(2) + by_signal).flatten(0, 2)
        states = self.lstm.packed(inputs, [batch * samples] * time)
        return states.view(time, batch, samples, self.features)

    def start(self, signal: Tensor | None, batch: int) -> Tensor:
        """The state (batch, 2 * hidden) from which generation starts: hidden state and cell side by side, of zeros."""
        return self.lstm.weight_hh.new_zeros(batch, 2 * self.features)

    def step(self, embedded: Tensor, signal: Tensor | None, state: Tensor) -> tuple[Tensor, Tensor]:
        """One word (batch, E) of generation: features (batch, hidden) and the next state."""
        words = embedded if signal is None else torch.cat([embedded, signal], dim=-1)
        hidden, cell = state.chunk(2, dim=-1)
        hidden, cell = self.lstm.cell(self.lstm.project(words), hidden, cell)
        return hidden, torch.cat([hidden, cell], dim=-1)
