"""Batches of texts as tensors, time first, grouped by length so that almost nothing is padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.base.seeds import derive_seed
from bench.corpora.prepared import Texts
from bench.corpora.vocabulary import EOS, GO, PAD

POOL = 50  # batches that are sorted by length together


@dataclass(frozen=True)
class Batch:
    """Some texts as tensors.

    ``words`` (time, batch) without go and eos, padded with PAD; ``lengths`` (batch) in words; ``inputs``
    (time + 1, batch) go + words; ``targets`` (time + 1, batch) words + eos; ``index`` (batch) the number of
    each text in its split; ``places`` (real targets, or more) where in the flattened targets those are that
    are no padding, and then some that are; ``tokens`` says how many targets are real.
    """

    words: Tensor
    lengths: Tensor
    inputs: Tensor
    targets: Tensor
    index: Tensor
    places: Tensor
    tokens: int

    @property
    def real(self) -> Tensor:
        """Which targets are real (time + 1, batch): all words and one eos for each text."""
        steps = torch.arange(len(self.targets), device=self.targets.device)
        return steps[:, None] <= self.lengths

    def part(self, rows: slice) -> Batch:
        """Some of the texts, padded as they are."""
        words, targets = self.words[:, rows], self.targets[:, rows]
        places = self.real[:, rows].flatten().nonzero().squeeze(1)
        return Batch(
            words, self.lengths[rows], self.inputs[:, rows], targets, self.index[rows], places, len(places)
        )

    def copy(self) -> Batch:
        """A batch with tensors of its own."""
        cloned: dict[str, Any] = {name: tensor.clone() for name, tensor in self._tensors.items()}
        return replace(self, **cloned)

    def copy_(self, other: Batch) -> None:
        """Put the texts of ``other``, a batch of the same shape, into these tensors; ``tokens`` stays."""
        for name, tensor in self._tensors.items():
            tensor.copy_(other._tensors[name])

    @property
    def _tensors(self) -> dict[str, Tensor]:
        return {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}


class Collator:
    """The texts of one split on a device, from which batches are cut without a loop.

    What depends on lengths alone is known on the CPU and sent along: the device is never waited for.
    """

    def __init__(self, texts: Texts, device: torch.device | str = "cpu", *, multiple: int = 1) -> None:
        """Places are filled up with padding to a ``multiple``, as far as there is any: for fewer shapes."""
        self._tokens = texts.tokens.to(device=device, dtype=torch.int64)
        self._offsets = texts.offsets.to(device)
        self.lengths = texts.lengths.numpy()
        self._multiple = multiple

    def __call__(self, index: Sequence[int] | np.ndarray) -> Batch:
        """The texts numbered ``index`` as a batch."""
        device = self._tokens.device
        numbers = np.asarray(index, dtype=np.int64)
        chosen = self.lengths[numbers]
        real = np.arange(chosen.max() + 1)[:, None] <= chosen
        inside = np.flatnonzero(real)
        rows, places = self._sent(numbers), self._sent(self._filled(inside, real))
        starts = self._offsets[rows]
        lengths = self._offsets[rows + 1] - starts
        steps = torch.arange(len(real) - 1, device=device)[:, None]
        held = steps < lengths
        words = torch.where(held, self._tokens[torch.where(held, starts + steps, 0)], PAD)
        edge = torch.full_like(words[:1], PAD)
        targets = torch.cat([words, edge]).scatter_(0, lengths[None], EOS)
        inputs = torch.cat([torch.full_like(edge, GO), words])
        return Batch(words, lengths, inputs, targets, rows, places, len(inside))

    def _filled(self, inside: np.ndarray, real: np.ndarray) -> np.ndarray:
        missing = -len(inside) % self._multiple
        return np.concatenate([inside, np.flatnonzero(~real)[:missing]]) if missing else inside

    def _sent(self, numbers: np.ndarray) -> Tensor:
        return torch.from_numpy(numbers).to(self._tokens.device, non_blocking=True)


def epoch_order(lengths: np.ndarray, batch: int, *names: object, pool: int = POOL) -> list[np.ndarray]:
    """The batches of one epoch: every text once, texts of like length together, in random order.

    The texts are shuffled, cut into pools of ``pool`` batches, sorted by length within each pool and cut into
    batches, which are shuffled; with pools of one batch, lengths are mixed as they come. ``names`` seed the
    order (corpus, seed, epoch).
    """
    random = np.random.Generator(np.random.PCG64(derive_seed("batches", *names)))
    order = random.permutation(len(lengths))
    pools = [order[i : i + pool * batch] for i in range(0, len(order), pool * batch)]
    pools = [texts[np.argsort(lengths[texts], kind="stable")] for texts in pools]
    batches = [texts[i : i + batch] for texts in pools for i in range(0, len(texts), batch)]
    return [batches[i] for i in random.permutation(len(batches))]


def by_length(lengths: np.ndarray, tokens: int, copies: int = 1) -> Iterator[np.ndarray]:
    """All texts in batches of about ``tokens`` target tokens (times ``copies`` of each), shortest first."""
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(order):
        stop = start + 1
        while stop < len(order) and (stop + 1 - start) * (lengths[order[stop]] + 1) * copies <= tokens:
            stop += 1
        yield order[start:stop]
        start = stop
