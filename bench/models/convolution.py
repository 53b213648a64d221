"""A decoder of dilated causal convolutions: the next word from a fixed number of words before it.

Sequences are time first, and a convolution is one product with shifted copies of its input side by side, so
that it follows autocast like every other product.
"""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from bench.base.registry import part
from bench.models.noise import Noise
from bench.models.packing import Packing
from bench.models.precision import linear


class RowBatchNorm(nn.BatchNorm1d):
    """Batch normalisation (Ioffe and Szegedy 2015) over rows, which are the real positions of a batch."""

    across_texts = "batch normalisation"
    running_mean: Tensor  # never None: the running statistics are kept
    running_var: Tensor

    def forward(self, values: Tensor, *, own: bool) -> Tensor:  # type: ignore[override]
        """Normalise ``values`` (..., features), computing in the type of the parameters.

        ``own``: mean and variance are those of the values, and the running statistics are updated; otherwise
        the running statistics are used, in either mode of the module. Raises ValueError for one row of its
        own, which has no variance.
        """
        flat = values.flatten(0, -2).to(self.weight.dtype)
        found = F.batch_norm(flat, self.running_mean, self.running_var, self.weight, self.bias, own)
        return found.view(values.shape)


class ResidualBlock(nn.Module):
    """Convolutions of width 1, 3 (dilated, causal) and 1, each normalised and rectified, added to the input.

    They have no biases, which the normalisation would take away again.
    """

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.inner = nn.Linear(channels, channels, bias=False)
        self.dilated = nn.Linear(3 * channels, channels, bias=False)  # inputs 2 and 1 dilations ago, and now
        self.outer = nn.Linear(channels, channels, bias=False)
        self.inner_norm = RowBatchNorm(channels)
        self.dilated_norm = RowBatchNorm(channels)
        self.outer_norm = RowBatchNorm(channels)

    def forward(self, values: Tensor) -> Tensor:
        """Sequences (time, ..., channels) to sequences of the same shape, by the running statistics."""
        steps, dilation = len(values), self.dilation
        now = self._before(values, own=False)
        padded = torch.cat([now.new_zeros(2 * dilation, *now.shape[1:]), now])
        taps = torch.cat([padded[:steps], padded[dilation : dilation + steps], now], dim=-1)
        return values + self._after(taps, own=False)

    def packed(self, values: Tensor, packing: Packing) -> Tensor:
        """The rows (n, channels) of a packing to rows of the same shape, by their own statistics."""
        now = self._before(values, own=True)
        padded = torch.cat([now, torch.zeros_like(now[:1])])
        older, old = (padded.index_select(0, packing.before(k * self.dilation)) for k in (2, 1))
        return values + self._after(torch.cat([older, old, now], dim=-1), own=True)

    def step(self, values: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """One position (batch, channels), after the last inputs of the dilated convolution.

        ``past`` (batch, 2 * dilation, channels) is older first. Returns the outcome and the newest such
        input, both (batch, channels).
        """
        now = self._before(values, own=False)
        taps = torch.cat([past[:, 0], past[:, self.dilation], now], dim=-1)
        return values + self._after(taps, own=False), now

    def _before(self, values: Tensor, *, own: bool) -> Tensor:
        """The input of the dilated convolution."""
        return torch.relu(self.inner_norm(linear(values, self.inner.weight), own=own))

    def _after(self, taps: Tensor, *, own: bool) -> Tensor:
        """What the block adds, from the three inputs of the dilated convolution side by side."""
        values = torch.relu(self.dilated_norm(linear(taps, self.dilated.weight), own=own))
        return torch.relu(self.outer_norm(linear(values, self.outer.weight), own=own))


@part("decoder", "cnn")
class CNNDecoder(nn.Module):
    """Residual blocks of dilated causal convolutions over [h; h] and then [word; h] at each position.

    The features are the channels at each position; a prediction sees the words of the last
    2 * sum(dilations) + 1 positions, of which the one before the first word, [h; h], is the first. Without a
    signal (``signal`` 0) it is a language model of the words alone, and that position is a zero vector
    (Wu et al. 2020, released code).

    In training mode the batch normalisation of each block takes mean and variance over the real positions of
    the whole batch, [h; h] included, so through these two numbers per channel a prediction depends on later
    words of its own text and on the other texts: training is not strictly autoregressive. (In the released
    code it depends on padding, too.) In evaluation mode, and always in ``features_of_samples`` and ``step``,
    the running statistics stand in for them: then a text has a likelihood, and no text depends on another.
    """

    reads_device = True  # where the real positions are

    def __init__(
        self,
        embedding: int,
        signal: int,
        *,
        channels: Annotated[int, Field(ge=1)],
        dilations: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = (1, 2, 4, 8, 16),
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2,
    ) -> None:
        super().__init__()
        if signal not in (0, embedding):
            raise ValueError(f"the signal is read as a word: its size {signal} must be {embedding}")
        self.embedding, self.dropout, self.features = embedding, dropout, channels
        self.first = nn.Linear(embedding + signal, channels)
        self.blocks: Any = nn.ModuleList(ResidualBlock(channels, dilation) for dilation in dilations)
        self.history = [2 * dilation for dilation in dilations]

    def forward(
        self, embedded: Tensor, signal: Tensor | None, real: Tensor, noise: Noise | None, stream: str
    ) -> Tensor:
        """Embedded go + words (time, batch, E), h (batch, S): features (time, batch, channels).

        ``real`` (time, batch) says which positions are no padding. With ``noise``, dropout falls on the words
        and on nothing else; ``stream`` tells a decoder's masks from those of its coupled twin.
        """
        if not self.training:
            if noise is not None:
                embedded = noise.dropout(embedded, self.dropout, f"{stream} input dropout")
            return self._convolve(embedded, signal)
        words = Packing.of(real.sum(0), len(real))
        rows = words.take(embedded)
        if noise is not None:
            rows = noise.dropout(rows, self.dropout, f"{stream} input dropout", words)
        first = self._first_position(signal, embedded.shape[1])
        packing = Packing.of(real.sum(0) + 1, len(real) + 1)
        chosen = None if signal is None else signal.index_select(0, words.texts)
        values: Tensor = torch.cat([first.index_select(0, packing.order), self._read(rows, chosen)])
        for block in self.blocks:
            values = block.packed(values, packing)
        return words.put(values[len(first) :])

    def features_of_samples(self, embedded: Tensor, signal: Tensor) -> Tensor:
        """Many signals for each text, no dropout: embedded (time, batch, E), h (batch, samples, S).

        Returns features (time, batch, samples, channels). The first convolution reads the words once for all
        samples.
        """
        return self._convolve(embedded.unsqueeze(2), signal)

    def start(self, signal: Tensor | None, batch: int) -> Tensor:
        """The state (batch, history, channels) from which generation starts, after the position of [h; h].

        It holds, block after block, the last 2 * dilation inputs of the dilated convolution, older first.
        """
        before = self.first.weight.new_zeros(batch, sum(self.history), self.features)
        return self._advance(self._first_position(signal, batch), before)[1]

    def step(self, embedded: Tensor, signal: Tensor | None, state: Tensor) -> tuple[Tensor, Tensor]:
        """One word (batch, E) of generation: features (batch, channels) and the next state."""
        return self._advance(self._read(embedded, signal), state)

    def _convolve(self, embedded: Tensor, signal: Tensor | None) -> Tensor:
        """Features of whole texts; words (time, batch, ..., E) and h (batch, ..., S) may be broadcast."""
        first = self._first_position(signal, embedded.shape[1])[None]
        values: Tensor = torch.cat([first, self._read(embedded, signal)])
        for block in self.blocks:
            values = block(values)
        return values[1:]

    def _advance(self, values: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """One position (batch, channels) through all blocks, and the state after it."""
        later = []
        for block, past in zip(self.blocks, state.split(self.history, dim=1), strict=True):
            values, newest = block.step(values, past)
            later += [past[:, 1:], newest.unsqueeze(1)]
        return values, torch.cat(later, dim=1)

    def _first_position(self, signal: Tensor | None, batch: int) -> Tensor:
        """The first convolution of [h; h], or of the zero vector (batch, E) if there is no signal."""
        return self._read(
            self.first.weight.new_zeros(batch, self.embedding) if signal is None else signal, signal
        )

    def _read(self, words: Tensor, signal: Tensor | None) -> Tensor:
        """The first convolution of [word; h], (..., E) and (..., S) to (..., channels)."""
        weight, bias = self.first.weight, self.first.bias
        values = linear(words, weight[:, : self.embedding], bias).to(bias.dtype)
        if signal is None:
            return values
        return values + F.linear(signal, weight[:, self.embedding :]).to(bias.dtype)
