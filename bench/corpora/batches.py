"""Batches of examples as tensors, time first, grouped by length so that almost nothing is padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from bench.base.seeds import derive_seed
from bench.base.text_rules import TEXT
from bench.corpora.prepared import Texts
from bench.corpora.vocabulary import EOS, GO, PAD

POOL = 50  # batches that are sorted by length together
Symbols = Literal["none", "begin", "both"]  # which of go and eos are read with the words
STEPS = 8  # fields that are not decoded are padded to a multiple, where shapes are to be few


@dataclass(frozen=True)
class Padded:
    """One field of some examples: ``words`` (time, batch), padded with PAD, and ``lengths`` (batch) in words."""

    words: Tensor
    lengths: Tensor

    @property
    def real(self) -> Tensor:
        """Which targets are real (time + 1, batch): all words and one eos for each text."""
        steps = torch.arange(len(self.words) + 1, device=self.words.device)
        return steps[:, None] <= self.lengths

    @property
    def inputs(self) -> Tensor:
        """The words after go (time + 1, batch)."""
        return torch.cat([torch.full_like(self._edge, GO), self.words])

    @property
    def targets(self) -> Tensor:
        """The words and eos (time + 1, batch), padded with PAD."""
        return torch.cat([self.words, self._edge]).scatter_(0, self.lengths[None], EOS)

    def within(self, symbols: Symbols) -> Padded:
        """The texts with these symbols around their words, which count as words of theirs."""
        if symbols == "none":
            return self
        if symbols == "begin":
            return Padded(self.inputs, self.lengths + 1)
        return Padded(torch.cat([torch.full_like(self._edge, GO), self.targets]), self.lengths + 2)

    @property
    def _edge(self) -> Tensor:
        return self.words.new_full((1, len(self.lengths)), PAD)


@dataclass(frozen=True)
class Batch:
    """Some examples as tensors.

    Of the field that is decoded: ``words`` (time, batch) without go and eos, padded with PAD; ``lengths``
    (batch) in words; ``inputs`` (time + 1, batch) go + words; ``targets`` (time + 1, batch) words + eos;
    ``places`` the positions of the real targets in the flattened targets, then of some padding; ``tokens``
    the number of real targets. A text of ``unended`` or more words has no eos among them. ``index`` (batch)
    holds the number of each example in its split, ``others`` the other fields, ``labels`` the class of each
    example, int64 (batch), by label.
    """

    words: Tensor
    lengths: Tensor
    inputs: Tensor
    targets: Tensor
    index: Tensor
    places: Tensor
    tokens: int
    decodes: str = TEXT
    encodes: str = TEXT
    unended: int | None = None
    others: dict[str, Padded] = field(default_factory=dict)
    labels: dict[str, Tensor] = field(default_factory=dict)

    @property
    def fields(self) -> dict[str, Padded]:
        """All fields by name, the one that is decoded included."""
        return {**self.others, self.decodes: Padded(self.words, self.lengths)}

    @property
    def real(self) -> Tensor:
        """Which targets are real (time + 1, batch): all words, and one eos for each text that has one."""
        real = Padded(self.words, self.lengths).real
        if self.unended is None:
            return real
        steps = torch.arange(len(real), device=real.device)[:, None]
        return real & ((steps < self.lengths) | (self.lengths < self.unended))

    @property
    def shape(self) -> tuple[tuple[object, ...], ...]:
        """(name, sizes...) of every tensor: batches of one shape can take each other's place."""
        return tuple((name, *tensor.shape) for name, tensor in self._tensors.items())

    def part(self, rows: slice) -> Batch:
        """Some of the examples, padded as they are."""
        places = self.real[:, rows].flatten().nonzero().squeeze(1)
        return replace(
            self,
            **{name: getattr(self, name)[:, rows] for name in ("words", "inputs", "targets")},
            lengths=self.lengths[rows],
            index=self.index[rows],
            places=places,
            tokens=len(places),
            others={n: Padded(one.words[:, rows], one.lengths[rows]) for n, one in self.others.items()},
            labels={name: classes[rows] for name, classes in self.labels.items()},
        )

    def without_words(self, share: float, generator: torch.Generator) -> Batch:
        """The same examples, but of the words that the decoder reads, go excepted, this share is padding."""
        dropped = torch.rand(self.words.shape, generator=generator, device=generator.device) < share
        seen = self.words.masked_fill(dropped.to(self.words.device), PAD)
        return replace(self, inputs=torch.cat([self.inputs[:1], seen]))

    def repeated(self, copies: int) -> Batch:
        """The examples so many times, one copy of all after another."""
        if copies == 1:
            return self
        step, text = self.places // len(self.lengths), self.places % len(self.lengths)
        texts = [text + copy * len(self.lengths) for copy in range(copies)]
        return replace(
            self,
            **{name: getattr(self, name).repeat(1, copies) for name in ("words", "inputs", "targets")},
            lengths=self.lengths.repeat(copies),
            index=self.index.repeat(copies),
            places=torch.cat([step * copies * len(self.lengths) + each for each in texts]),
            tokens=copies * self.tokens,
            others={
                n: Padded(one.words.repeat(1, copies), one.lengths.repeat(copies))
                for n, one in self.others.items()
            },
            labels={name: classes.repeat(copies) for name, classes in self.labels.items()},
        )

    def copy(self) -> Batch:
        """A batch with tensors of its own."""
        return replace(
            self,
            **{name: getattr(self, name).clone() for name in _OWN},
            others={n: Padded(one.words.clone(), one.lengths.clone()) for n, one in self.others.items()},
            labels={name: classes.clone() for name, classes in self.labels.items()},
        )

    def copy_(self, other: Batch) -> None:
        """Put the examples of ``other`` into these tensors; ``tokens`` stays.

        Raises ValueError for a batch of another shape.
        """
        if self.shape != other.shape:
            raise ValueError(f"a batch of shape {other.shape} does not fit into one of shape {self.shape}")
        for name, tensor in self._tensors.items():
            tensor.copy_(other._tensors[name])

    @property
    def _tensors(self) -> dict[str, Tensor]:
        found = {name: getattr(self, name) for name in _OWN}
        for name, one in self.others.items():
            found |= {f"{name}.words": one.words, f"{name}.lengths": one.lengths}
        return found | {f"label {name}": classes for name, classes in self.labels.items()}


_OWN = ("words", "lengths", "inputs", "targets", "index", "places")


class _OnDevice:
    """The texts of one field on a device, from which batches are cut without a loop."""

    def __init__(self, texts: Texts, device: torch.device | str) -> None:
        self.tokens = texts.tokens.to(device=device, dtype=torch.int64)
        self.offsets = texts.offsets.to(device)
        self.lengths = texts.lengths.numpy()

    def __call__(self, rows: Tensor, steps: int) -> Padded:
        """The texts numbered ``rows``, padded to so many ``steps``."""
        starts = self.offsets[rows]
        lengths = self.offsets[rows + 1] - starts
        time = torch.arange(steps, device=self.tokens.device)[:, None]
        held = time < lengths
        return Padded(torch.where(held, self.tokens[torch.where(held, starts + time, 0)], PAD), lengths)


class Collator:
    """The examples of one split on a device, from which batches are cut without a loop.

    What depends on lengths alone is known on the CPU and sent along: the device is never waited for.
    """

    def __init__(
        self,
        texts: Texts,
        device: torch.device | str = "cpu",
        *,
        multiple: int = 1,
        unended: int | None = None,
    ) -> None:
        """``multiple`` makes the shapes of batches fewer; texts of ``unended`` or more words have no eos.

        Places are filled up with padding to a multiple of it, as far as there is any, and if it is not 1, the
        fields that are not decoded are padded to a multiple of ``STEPS`` words.
        """
        self._texts = _OnDevice(texts, device)
        self._others = {name: _OnDevice(other, device) for name, other in texts.others.items()}
        self._labels = {name: classes.to(device) for name, classes in texts.labels.items()}
        self._decodes, self._encodes = texts.decodes, texts.encodes
        self.lengths = self._texts.lengths
        self._multiple, self._unended = multiple, unended

    def __call__(self, index: Sequence[int] | np.ndarray) -> Batch:
        """The examples numbered ``index`` as a batch."""
        numbers = np.asarray(index, dtype=np.int64)
        chosen = self.lengths[numbers]
        ended = 1 if self._unended is None else chosen < self._unended
        real = np.arange(chosen.max() + 1)[:, None] < chosen + ended
        inside = np.flatnonzero(real)
        rows, places = self._sent(numbers), self._sent(self._filled(inside, real))
        text = self._texts(rows, len(real) - 1)
        return Batch(
            *(text.words, text.lengths, text.inputs, text.targets, rows, places, len(inside)),
            decodes=self._decodes,
            encodes=self._encodes,
            unended=self._unended,
            others={n: one(rows, self._steps(one.lengths[numbers])) for n, one in self._others.items()},
            labels={name: classes[rows] for name, classes in self._labels.items()},
        )

    def _steps(self, lengths: np.ndarray) -> int:
        longest = int(lengths.max())
        return longest if self._multiple == 1 else -(-longest // STEPS) * STEPS

    def _filled(self, inside: np.ndarray, real: np.ndarray) -> np.ndarray:
        missing = -len(inside) % self._multiple
        return np.concatenate([inside, np.flatnonzero(~real)[:missing]]) if missing else inside

    def _sent(self, numbers: np.ndarray) -> Tensor:
        return torch.from_numpy(numbers).to(self._texts.tokens.device, non_blocking=True)


def batches_of_epoch(lengths: np.ndarray, batch: int, *, equal: bool = False) -> int:
    """How many batches an epoch has; where lengths are ``equal`` in each, some are smaller, and there are more."""
    counts = np.unique(lengths, return_counts=True)[1] if equal else np.array([len(lengths)])
    return int(np.ceil(counts / batch).sum())


def epoch_order(
    lengths: np.ndarray,
    batch: int,
    *names: object,
    pool: int = POOL,
    equal: bool = False,
    fixed: bool = False,
) -> list[np.ndarray]:
    """The batches of one epoch: every text once, texts of like length together, in random order.

    The texts are shuffled, cut into pools of ``pool`` batches, sorted by length within each pool and cut into
    batches, which are shuffled; with pools of one batch, lengths are mixed as they come. ``equal``: the pools are
    the texts of each length. ``names`` seed the order (corpus, seed, epoch); ``fixed``: the last of them that of the
    batches alone, so that the same batches come in each epoch.
    """
    random = _random(*names)
    order = (_random(*names[:-1]) if fixed else random).permutation(len(lengths))
    if equal:
        pools = [order[lengths[order] == length] for length in np.unique(lengths)]
    else:
        pools = [order[i : i + pool * batch] for i in range(0, len(order), pool * batch)]
        pools = [texts[np.argsort(lengths[texts], kind="stable")] for texts in pools]
    batches = [texts[i : i + batch] for texts in pools for i in range(0, len(texts), batch)]
    return [batches[i] for i in random.permutation(len(batches))]


def _random(*names: object) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(derive_seed("batches", *names)))


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
