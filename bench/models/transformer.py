"""A Transformer decoder to which the code is the only thing to attend to (Vaswani et al. 2017; Shao et al. 2020)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from bench.base.registry import part
from bench.models.noise import Noise

Drop = Callable[[Tensor], Tensor]  # dropout of values (time, rows, ...)


class Block(nn.Module):
    """Attention to the words so far, what the signal adds, and a rectified layer, each normalised before and added.

    Attention to a memory of one slot gives that slot whatever is asked for: two linear maps of the signal.
    """

    def __init__(self, width: int, signal: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm, self.hidden_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.asked = nn.Linear(width, 3 * width, bias=False)  # queries, keys and values
        self.attended = nn.Linear(width, width, bias=False)
        self.slot = nn.Linear(width, width, bias=False) if signal else None  # its value
        self.read = nn.Linear(width, width, bias=False) if signal else None
        self.inner, self.outer = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(
        self, values: Tensor, memory: Tensor | None, past: Tensor, drop: Drop
    ) -> tuple[Tensor, Tensor]:
        """Values (time, rows, W) after ``past`` (rows, times before, 2W), the keys and values of earlier positions.

        ``memory`` (rows, W) is the slot. Returns the values of the same shape, and keys and values (rows, times, 2W).
        """
        query, new = self.asked(self.attention_norm(values)).split([values.shape[-1], past.shape[-1]], -1)
        known = torch.cat([past, new.transpose(0, 1)], dim=1)
        values = values + drop(self.attended(self._attend(query, known)))
        if memory is not None and self.slot is not None and self.read is not None:
            values = values + drop(self.read(self.slot(memory)).expand_as(values))
        hidden = drop(torch.relu(self.inner(self.hidden_norm(values))))
        return values + drop(self.outer(hidden)), known

    def _attend(self, query: Tensor, known: Tensor) -> Tensor:
        """What positions (time, rows, W) find at the positions up to their own, of which ``known`` ends with theirs."""
        time, rows, width = query.shape
        query = query.view(time, rows, self.heads, -1).permute(1, 2, 0, 3)
        keys, found = known.view(rows, known.shape[1], 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        scores = query @ keys.mT / math.sqrt(query.shape[-1])
        later = torch.ones(time, known.shape[1], dtype=torch.bool, device=query.device)
        scores = scores.masked_fill(later.triu(known.shape[1] - time + 1), -torch.inf)
        attended: Tensor = (scores.softmax(-1) @ found).permute(2, 0, 1, 3).reshape(time, rows, width)
        return attended


@part("decoder", "transformer")
class TransformerDecoder(nn.Module):
    """``blocks`` of causal attention over the words so far; the signal is a memory of one slot in each.

    The width is that of a word. Words are scaled by the root of the width, and sines and cosines of the position are
    added. The features are the values after the last block, normalised. Without a signal (``signal`` 0) it is a
    language model. ``hidden`` is the size of the rectified layers. ``tied``: the embeddings are the weights of the
    output layer too.
    """

    def __init__(
        self,
        embedding: int,
        signal: int,
        *,
        blocks: Annotated[int, Field(ge=1)] = 3,
        heads: Annotated[int, Field(ge=1)] = 8,
        hidden: Annotated[int, Field(ge=1)] = 1024,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2,
        tied: bool = False,
    ) -> None:
        super().__init__()
        if embedding % heads:
            raise ValueError(
                f"the size of a word is shared by the heads: {embedding} is no multiple of {heads}"
            )
        self.features, self.dropout, self.tied = embedding, dropout, tied
        self.memory = nn.Linear(signal, embedding) if signal else None
        self.blocks = nn.ModuleList(Block(embedding, signal, heads, hidden) for _ in range(blocks))
        self.norm = nn.LayerNorm(embedding)

    def forward(
        self, embedded: Tensor, signal: Tensor | None, real: Tensor, noise: Noise | None, stream: str
    ) -> Tensor:
        """Embedded go + words (time, batch, E), h (batch, S): features (time, batch, E).

        ``real`` is not needed: no position sees a later one. With ``noise``, dropout falls on the words with their
        positions, on what each part of a block adds, and on the rectified layers; ``stream`` names its masks.
        """

        def drop(values: Tensor) -> Tensor:
            return values if noise is None else noise.dropout(values, self.dropout, f"{stream} dropout")

        return self._advance(embedded, signal, self.start(signal, embedded.shape[1]), drop)[0]

    def features_of_samples(self, embedded: Tensor, signal: Tensor) -> Tensor:
        """Many signals for each text, no dropout: embedded (time, batch, E), h (batch, samples, S).

        Returns features (time, batch, samples, E).
        """
        rows = signal.flatten(0, 1)
        words = embedded.repeat_interleave(signal.shape[1], dim=1)
        features = self._advance(words, rows, self.start(rows, len(rows)), _kept)[0]
        by_text: Tensor = features.unflatten(1, signal.shape[:2])
        return by_text

    def start(self, signal: Tensor | None, batch: int) -> Tensor:
        """The state (batch, 0, blocks * 2E) from which generation starts: keys and values of no position."""
        return self.norm.weight.new_zeros(batch, 0, len(self.blocks) * 2 * self.features)

    def step(self, embedded: Tensor, signal: Tensor | None, state: Tensor) -> tuple[Tensor, Tensor]:
        """One word (batch, E) of generation: features (batch, E), and the state with one more position."""
        features, state = self._advance(embedded[None], signal, state, _kept)
        return features[0], state

    def _advance(
        self, embedded: Tensor, signal: Tensor | None, state: Tensor, drop: Drop
    ) -> tuple[Tensor, Tensor]:
        """Features (time, rows, E) of embedded words (time, rows, E) after those of ``state``, and the state then."""
        memory = None if signal is None or self.memory is None else self.memory(signal)
        positions = sinusoids(state.shape[1], len(embedded), self.features).to(embedded)
        values = drop(embedded * math.sqrt(self.features) + positions[:, None])
        states = []
        for block, past in zip(self.blocks, state.chunk(len(self.blocks), dim=-1), strict=True):
            values, known = block(values, memory, past, drop)
            states.append(known)
        features: Tensor = self.norm(values)
        return features, torch.cat(states, dim=-1)


def sinusoids(first: int, count: int, width: int) -> Tensor:
    """Sines and then cosines (count, width) of the positions from ``first`` on (Vaswani et al. 2017, section 3.5).

    Wavelengths run from 2 pi to 10,000 times that; of an odd width the last number is 0.
    """
    half = width // 2
    rates = 10_000 ** (-torch.arange(half, dtype=torch.float64) / max(half - 1, 1))
    angles = torch.arange(first, first + count, dtype=torch.float64)[:, None] * rates
    found = torch.cat([angles.sin(), angles.cos(), torch.zeros(count, width % 2, dtype=torch.float64)], dim=1)
    return found.float()


def _kept(values: Tensor) -> Tensor:
    return values
