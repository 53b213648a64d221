"""The models once more, in plain torch: one text at a time, in doubles, the library's cell, no dropout."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.corpora.batches import Collator
from bench.corpora.prepared import Texts
from bench.corpora.vocabulary import EOS, GO
from bench.models.model import TextModel
from bench.models.noise import BatchSource
from bench.training.composition import build_model
from tests.conftest import tiny_settings

WORDS = 9  # four special symbols and five words


def small_model(system: str, words: int = WORDS, **changes: Any) -> TextModel:
    """A model of a few hundred weights with the initial values of seed 0."""
    return build_model(tiny_settings(system, **changes), words)


def collator(texts: Sequence[Sequence[int]], multiple: int = 1, unended: int | None = None) -> Collator:
    """The texts, as lists of ids, as one split."""
    offsets = torch.tensor([0, *(len(text) for text in texts)]).cumsum(0)
    tokens = torch.tensor([word for text in texts for word in text], dtype=torch.int32)
    return Collator(Texts(tokens, offsets), multiple=multiple, unended=unended)


def all_texts(symbols: Sequence[int], longest: int) -> list[list[int]]:
    """Every text of one to ``longest`` of the symbols."""
    return [list(text) for n in range(1, longest + 1) for text in product(symbols, repeat=n)]


class Plain:
    """The parameters of a model as doubles, ``p``, from which its parts are computed anew."""

    def __init__(self, model: TextModel) -> None:
        self.p = {name: v.detach().double().requires_grad_() for name, v in model.named_parameters()}

    def affine(self, name: str, values: Tensor) -> Tensor:
        return F.linear(values, self.p[f"{name}.weight"], self.p[f"{name}.bias"])

    def gru(self, name: str, inputs: Tensor) -> Tensor:
        """States (time, H) of inputs (time, features), from the zero state."""
        cell = [self.p[f"{name}.{part}"] for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        states = [inputs.new_zeros(1, cell[1].shape[1])]
        for values in inputs:
            states.append(torch.gru_cell(values[None], states[-1], *cell))
        return torch.cat(states[1:])

    def encode(self, text: Sequence[int]) -> Tensor:
        """e (2H,): the last state forwards, and that backwards."""
        words = self.p["embedding.weight"][list(text)]
        directions = {"forwards": words, "backwards": words.flip(0)}
        return torch.cat([self.gru(f"encoder.{name}", read)[-1] for name, read in directions.items()])

    def signal(self, branch: str, code: Tensor) -> Tensor:
        return self.affine(f"{branch}.signal.outer", torch.relu(self.affine(f"{branch}.signal.inner", code)))

    def logits(self, branch: str, inputs: Sequence[int], signal: Tensor | None) -> Tensor:
        """Logits (time, V) after each of the inputs, go first."""
        words = self.p["embedding.weight"][list(inputs)]
        if signal is not None:
            words = torch.cat([words, signal.expand(len(words), -1)], dim=1)
            words = torch.cat([torch.cat([signal, signal])[None], words])
        states = self.gru(f"{branch}.decoder.gru", words)[-len(inputs) :]
        features = torch.tanh(self.affine(f"{branch}.decoder.projection", states))
        return self.affine(f"{branch}.output", features)

    def losses(self, branch: str, text: Sequence[int], signal: Tensor | None) -> Tensor:
        """-ln P of each word and of the end symbol (time + 1,)."""
        logits = self.logits(branch, [GO, *text], signal)
        return F.cross_entropy(logits, torch.tensor([*text, EOS]), reduction="none")


def known(latent: Any, z: Tensor, log_density: Tensor | None = None, prior: Any = None) -> Any:
    """A forward pass of which only this is known, for terms that read nothing else."""
    main = SimpleNamespace(latent=latent, z=z, log_density=log_density)
    return SimpleNamespace(main=main, model=SimpleNamespace(prior=prior), prior=prior, condition=None)


def numbers(batch: int, seed: int = 0) -> BatchSource:
    """Random numbers for the codes of a batch."""
    return BatchSource(torch.Generator().manual_seed(seed), batch)


class Averaged(torch.nn.Linear):
    """An encoder of e (batch, 2 * size) that runs on any device: an affine map of the mean of the words."""

    def __init__(self, size: int) -> None:
        super().__init__(size, 2 * size)

    def forward(self, embedded: Tensor, lengths: Tensor, noise: object) -> Tensor:  # type: ignore[override]
        return super().forward(embedded.mean(0))
