"""An encoder and a decoder of one LSTM layer each (He et al. 2019, released code).

The recurrence is the library's, and runs in float32 whatever autocast says. On the CPU bfloat16 rounds the state as
well, trains hardly faster, and fails on processors without the instructions; on CUDA the library would take float16
in place of bfloat16, whose range is too small for gradients that are not scaled.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from bench.base.registry import part
from bench.models.encoders import RecurrentEncoder
from bench.models.noise import Noise


def run(lstm: nn.LSTM, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Hidden states (time, batch, H) over inputs (time, batch, features), and the state after them.

    A state (batch, 2H) is the hidden state and the cell side by side; None is zero. Both results have the
    type of the inputs. Gradients are had in evaluation mode too.
    """
    # cuDNN keeps what a gradient needs in this mode alone; the mode changes nothing else, for nothing is dropped here.
    lstm.train(torch.is_grad_enabled())
    first = None if state is None else tuple(half.contiguous()[None] for half in state.chunk(2, dim=-1))
    with torch.autocast(inputs.device.type, enabled=False):
        states, last = lstm(inputs, first)
    return states.to(inputs.dtype), torch.cat(last, dim=-1)[0].to(inputs.dtype)


def last_state(lstm: nn.LSTM, inputs: Tensor, lengths: Tensor) -> Tensor:
    """Hidden state and cell (batch, 2H) after the last of so many inputs (time, batch, features)."""
    lstm.train(torch.is_grad_enabled())
    # The library returns cells only from where a sequence ends, so that padding has to be taken out.
    packed = nn.utils.rnn.pack_padded_sequence(inputs, lengths.cpu(), enforce_sorted=False)
    with torch.autocast(inputs.device.type, enabled=False):
        _, last = lstm(packed)
    return torch.cat(last, dim=-1)[0].to(inputs.dtype)


@part("encoder", "lstm")
class LSTMEncoder(RecurrentEncoder):
    """One LSTM layer over the words; e is the last hidden state, of both directions if there are two.

    ``readout``: e is the ``hidden`` state, or [h; c] with the cell ``and-cell`` (Wang & Wang 2019, released code).
    ``symbols``: it reads the words with ``none`` of the symbols around them, after the one of the ``begin``, or between
    ``both``, so that e is the state at the end symbol (Fang et al. 2019, released code). ``own_table``: its embeddings
    are its own and not those of the decoder.
    """

    def __init__(
        self,
        embedding: int,
        words: int = 0,
        *,
        hidden: Annotated[int, Field(ge=1)],
        bidirectional: bool = False,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        readout: Literal["hidden", "and-cell"] = "hidden",
        symbols: Literal["none", "begin", "both"] = "none",
        own_table: bool = False,
    ) -> None:
        super().__init__(nn.LSTM, embedding, hidden, bidirectional=bidirectional, dropout=dropout)
        self.symbols, self.table = symbols, nn.Embedding(words, embedding) if own_table else None
        self.cells = self.reads_device = (
            readout == "and-cell"
        )  # lengths are read, to stop each text at its end
        if self.cells:
            self.features *= 2

    def ends(self, inputs: list[tuple[Any, Tensor]], lengths: Tensor) -> list[Tensor]:
        """What is read out (batch, H or 2H) of each layer at the end of each text, from its words (time, batch, E)."""
        if self.cells:
            return [last_state(lstm, words, lengths) for lstm, words in inputs]
        last = (lengths - 1)[None, :, None]
        states = [run(lstm, words)[0] for lstm, words in inputs]
        return [s.gather(0, last.expand(1, -1, s.shape[2]))[0] for s in states]


@part("decoder", "lstm")
class LSTMDecoder(nn.Module):
    """One LSTM layer that reads [word; h] at each step. The features are the hidden states.

    ``first``: it begins with a ``cell`` c = W h and the hidden state tanh(c) (He et al. 2019, released code), with
    a ``state`` W h + b and a cell of zeros (Kim et al. 2018, released code), with ``both`` halves of tanh(W h + b)
    (Wang & Wang 2019, released code), or of the ``affine`` map itself (Shao et al. 2020, released code), or with
    ``zeros`` (Bahuleyan et al. 2019). ``each_step``: h is read at each step, not only to begin with. Without a signal
    (``signal`` 0) it is a plain language model: words only, zero initial state.
    """

    def __init__(
        self,
        embedding: int,
        signal: int,
        *,
        hidden: Annotated[int, Field(ge=1)],
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5,
        first: Literal["cell", "state", "both", "affine", "zeros"] = "cell",
        each_step: bool = True,
    ) -> None:
        super().__init__()
        self.dropout, self.features, self.each_step = dropout, hidden, each_step
        self.lstm = nn.LSTM(embedding + signal if each_step else embedding, hidden)
        self.first_cell = self.first_state = self.first_both = None
        self.bounded = first == "both"
        if signal and first == "cell":
            self.first_cell = nn.Linear(signal, hidden, bias=False)
        elif signal and first == "state":
            self.first_state = nn.Linear(signal, hidden)
        elif signal and first in ("both", "affine"):
            self.first_both = nn.Linear(signal, 2 * hidden)

    def forward(
        self, embedded: Tensor, signal: Tensor | None, real: Tensor, noise: Noise | None, stream: str
    ) -> Tensor:
        """Embedded go + words (time, batch, E), h (batch, S): features (time, batch, hidden).

        ``real`` is not needed: no position sees a later one. With ``noise``, dropout falls on the words, not
        on h, and on the hidden states; ``stream`` tells a decoder's masks from those of its coupled twin.
        """
        if noise is not None:
            embedded = noise.dropout(embedded, self.dropout, f"{stream} input dropout")
        features = self._advance(embedded, signal, self.start(signal, embedded.shape[1]))[0]
        if noise is not None:
            features = noise.dropout(features, self.dropout, f"{stream} output dropout")
        return features

    def features_of_samples(self, embedded: Tensor, signal: Tensor) -> Tensor:
        """Many signals for each text, no dropout: embedded (time, batch, E), h (batch, samples, S).

        Returns features (time, batch, samples, hidden).
        """
        batch, samples, _ = signal.shape
        rows = signal.flatten(0, 1)
        words = embedded.repeat_interleave(samples, dim=1)
        features = self._advance(words, rows, self.start(rows, len(rows)))[0]
        return features.view(len(embedded), batch, samples, -1)

    def start(self, signal: Tensor | None, batch: int) -> Tensor:
        """The state (batch, 2 * hidden) from which generation starts: hidden state and cell side by side."""
        if signal is not None and self.first_cell is not None:
            cell = self.first_cell(signal).to(signal.dtype)
            return torch.cat([torch.tanh(cell), cell], dim=-1)
        if signal is not None and self.first_state is not None:
            state = self.first_state(signal).to(signal.dtype)
            return torch.cat([state, torch.zeros_like(state)], dim=-1)
        if signal is not None and self.first_both is not None:
            both = self.first_both(signal)
            return (torch.tanh(both) if self.bounded else both).to(signal.dtype)
        return next(self.lstm.parameters()).new_zeros(batch, 2 * self.features)

    def step(self, embedded: Tensor, signal: Tensor | None, state: Tensor) -> tuple[Tensor, Tensor]:
        """One word (batch, E) of generation: features (batch, hidden) and the next state."""
        features, state = self._advance(embedded[None], signal, state)
        return features[0], state

    def _advance(self, embedded: Tensor, signal: Tensor | None, state: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden states (time, batch, hidden) over embedded words (time, batch, E), and the state after them."""
        if signal is not None and self.each_step:
            embedded = torch.cat([embedded, signal.expand(len(embedded), -1, -1)], dim=-1)
        return run(self.lstm, embedded, state)
