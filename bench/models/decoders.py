"""Decoders: the decoding signal h and the words so far to features from which the next word is predicted."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from bench.base.registry import part
from bench.models.noise import Noise
from bench.models.packing import Packing
from bench.models.precision import linear
from bench.models.recurrent import GRU


@part("decoder", "gru")
class GRUDecoder(nn.Module):
    """One GRU layer that reads [word; h] at each step, after one step on [h; h] from the zero state.

    Without a signal (``signal`` 0) it is a plain language model: words only, zero initial state. The
    features are tanh of an affine map of the states (Wu et al. 2020, released code).
    """

    def __init__(
        self,
        embedding: int,
        signal: int,
        *,
        hidden: Annotated[int, Field(ge=1)],
        projection: Annotated[int, Field(ge=1)],
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2,
    ) -> None:
        super().__init__()
        if signal not in (0, embedding):
            raise ValueError(f"the signal is read as a word: its size {signal} must be {embedding}")
        self.embedding, self.dropout, self.features = embedding, dropout, projection
        self.gru = GRU(embedding + signal, hidden)
        self.projection = nn.Linear(hidden, projection)

    def forward(
        self, embedded: Tensor, signal: Tensor | None, real: Tensor, noise: Noise | None, stream: str
    ) -> Tensor:
        """Embedded go + words (time, batch, E), h (batch, S): features (time, batch, projection).

        ``real`` (time, batch) marks the positions that are no padding; at the others features may be zero. With
        ``noise``, dropout falls on the whole [word; h] of each step and on the states, but not on the extra
        first step; ``stream`` tells a decoder's masks from those of its coupled twin.
        """
        packing = Packing.for_steps(real.sum(0), len(real))
        words, state = packing.take(embedded), None
        if signal is not None:
            words = torch.cat([words, packing.repeat(signal)], dim=-1)
            state = self.first_state(signal).index_select(0, packing.order)
        if noise is not None:
            words = noise.dropout(words, self.dropout, f"{stream} input dropout", packing)
        states = self.gru.packed(self.gru.project(words), packing.sizes, state)
        if noise is not None:
            states = noise.dropout(states, self.dropout, f"{stream} output dropout", packing)
        return packing.put(self._features(states))

    def first_state(self, signal: Tensor) -> Tensor:
        """The state (batch, H) after the extra step on [h; h]."""
        state: Tensor = self.gru(self.gru.project(torch.cat([signal, signal], dim=-1)[None]))[0]
        return state

    def features_of_samples(self, embedded: Tensor, signal: Tensor) -> Tensor:
        """Many signals for each text, no dropout: embedded (time, batch, E), h (batch, samples, S).

        Returns features (time, batch, samples, projection). The words are projected once for all samples.
        """
        batch, samples, size = signal.shape
        rows = signal.reshape(batch * samples, size)
        by_word = self.gru.project(embedded, slice(0, self.embedding))
        by_signal = self.gru.project(rows, slice(self.embedding, None), bias=False)
        inputs = by_word.unsqueeze(2) + by_signal.view(batch, samples, -1)
        states = self.gru(inputs.flatten(1, 2), self.first_state(rows))
        features: Tensor = self._features(states).unflatten(1, (batch, samples))
        return features

    def start(self, signal: Tensor | None, batch: int) -> Tensor:
        """The state (batch, H) from which generation starts."""
        if signal is None:
            return self.projection.weight.new_zeros(batch, self.gru.hidden)
        return self.first_state(signal)

    def step(self, embedded: Tensor, signal: Tensor | None, state: Tensor) -> tuple[Tensor, Tensor]:
        """One word (batch, E) of generation: features (batch, projection) and the next state (batch, H)."""
        words = embedded if signal is None else torch.cat([embedded, signal], dim=-1)
        state = self.gru(self.gru.project(words[None]), state)[0]
        return self._features(state), state

    def _features(self, states: Tensor) -> Tensor:
        """Features (..., projection) of states (..., H)."""
        return torch.tanh(linear(states, self.projection.weight, self.projection.bias))
