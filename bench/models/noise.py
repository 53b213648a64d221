"""Randomness of a forward pass: one generator per named stream, so that systems share what they can.

A baseline and its coupled twin name the same streams in their common branch; with the same seed and step
they then draw the same dropout masks and the same latent noise.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from bench.base.seeds import derive_seed
from bench.models import packing


class NoiseSource(ABC):
    """Random numbers for the codes of a batch of texts; every draw returns (batch, *shape)."""

    answers = True  # whether one can look at the numbers without waiting for a device

    def __init__(self, batch: int) -> None:
        self.batch = batch

    @abstractmethod
    def _draw(self, fill: Callable[[Tensor, torch.Generator], Tensor], shape: tuple[int, ...]) -> Tensor:
        """(batch, *shape), filled by ``fill`` in the source's own way."""

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers."""
        return self._draw(lambda empty, generator: empty.normal_(generator=generator), shape)

    def uniform(self, *shape: int) -> Tensor:
        """Numbers uniform on (0, 1)."""
        tiny = torch.finfo(torch.float32).tiny  # the library draws from [0, 1)
        return self._draw(lambda e, generator: e.uniform_(generator=generator).clamp_min_(tiny), shape)

    def gamma(self, concentration: float, *shape: int) -> Tensor:
        """Numbers of the gamma distribution with that concentration and rate 1."""

        def fill(empty: Tensor, generator: torch.Generator) -> Tensor:
            return torch._standard_gamma(empty.fill_(concentration), generator=generator)

        return self._draw(fill, shape)


class BatchSource(NoiseSource):
    """One generator for the whole batch: for training, where a step's batch is always the same.

    With ``rows``, numbers are drawn for the whole batch and given to these texts of it. They are drawn on the
    device of the generator, and given on ``device`` if that is another one.
    """

    def __init__(
        self,
        generator: torch.Generator,
        batch: int,
        rows: slice = slice(None),
        device: torch.device | None = None,
    ) -> None:
        super().__init__(len(range(*rows.indices(batch))))
        self._generator, self._whole, self._rows = generator, batch, rows
        self._device = device or generator.device
        self.answers = self._device.type in packing.ANSWERING

    def _draw(self, fill: Callable[[Tensor, torch.Generator], Tensor], shape: tuple[int, ...]) -> Tensor:
        empty = torch.empty(self._whole, *shape, device=self._generator.device)
        return fill(empty, self._generator)[self._rows].to(self._device)


class TextSource(NoiseSource):
    """One generator for each text, seeded by names and the text's number: for measurements.

    A text draws the same numbers whatever batch it is in, so a measurement does not depend on batch sizes.
    """

    def __init__(self, index: Tensor, *names: object) -> None:
        """``index`` (batch,) holds the numbers of the texts; numbers are drawn on the CPU."""
        super().__init__(len(index))
        self._device = index.device
        self._generators = [
            torch.Generator().manual_seed(derive_seed(*names, number)) for number in index.tolist()
        ]

    def _draw(self, fill: Callable[[Tensor, torch.Generator], Tensor], shape: tuple[int, ...]) -> Tensor:
        drawn = torch.empty(self.batch, *shape)
        for row, generator in zip(drawn, self._generators, strict=True):
            row.copy_(fill(torch.empty_like(row), generator))
        return drawn.to(self._device)


class Noise:
    """Streams of random numbers, each seeded by the names given here and its own name.

    Those of one device are not those of another; drawn on a device that is named, sources and dropout are the same
    on all.
    """

    def __init__(
        self,
        *names: object,
        device: torch.device | str = "cpu",
        part: tuple[slice, int] | None = None,
        drawn_on: torch.device | str | None = None,
    ) -> None:
        self._names = names
        self._device = torch.device(device)
        self._drawn_on = self._device if drawn_on is None else torch.device(drawn_on)
        self._part = part
        self._anew: dict[str, tuple[object, ...]] = {}
        self._generators: dict[str, torch.Generator] = {}

    @property
    def generators(self) -> list[torch.Generator]:
        """Those of the streams that were asked for so far."""
        return list(self._generators.values())

    def begin_as(self, other: Noise) -> None:
        """Begin the streams of ``other``, of the whole batch, with the generators that are here."""
        self._names, self._anew = other._names, other._anew
        for stream, generator in self._generators.items():
            generator.manual_seed(self._seed(stream))

    def part(self, rows: slice, texts: int) -> Noise:
        """What these streams, from their beginning, give to the ``rows`` of a batch of ``texts`` texts."""
        found = Noise(*self._names, device=self._device, part=(rows, texts), drawn_on=self._drawn_on)
        found._anew = self._anew
        return found

    def anew(self, stream: str, *names: object) -> Noise:
        """The same streams from their beginning, but for one, which is seeded by these ``names`` too."""
        found = Noise(*self._names, device=self._device, part=self._part, drawn_on=self._drawn_on)
        found._anew = {**self._anew, stream: names}
        return found

    def rows(self, texts: int) -> tuple[int, slice]:
        """How many texts the whole batch has, and which of them these ``texts`` are."""
        return (texts, slice(None)) if self._part is None else (self._part[1], self._part[0])

    def generator(self, stream: str) -> torch.Generator:
        """The generator of ``stream``; its state goes on from call to call."""
        if stream not in self._generators:
            generator = torch.Generator(self._drawn_on)
            generator.manual_seed(self._seed(stream))
            self._generators[stream] = generator
        return self._generators[stream]

    def _seed(self, stream: str) -> int:
        return derive_seed(*self._names, stream, *self._anew.get(stream, ()))

    def source(self, stream: str, batch: int) -> BatchSource:
        """Numbers for the codes of a batch, from the generator of ``stream``."""
        if self._part is None:
            return BatchSource(self.generator(stream), batch, device=self._device)
        rows, texts = self._part
        return BatchSource(self.generator(stream), texts, rows, self._device)

    def dropout(
        self, values: Tensor, probability: float, stream: str, packed: packing.Packing | None = None
    ) -> Tensor:
        """Zero each element (time, batch, ...) with ``probability``, scale the rest by 1 / (1 - probability).

        The rows (n, ...) that are ``packed`` get what they would get at their positions in the whole batch.
        """
        if probability == 0:
            return values
        shape = values.shape if packed is None else (*packed.shape, *values.shape[1:])
        if self._part is not None:
            shape = (shape[0], self._part[1], *shape[2:])
        empty = values.new_empty(shape, device=self._drawn_on)
        keep = empty.bernoulli_(1 - probability, generator=self.generator(stream)).to(values.device)
        if self._part is not None:
            keep = keep[:, self._part[0]]
        if packed is not None:
            keep = packed.take(keep)
        return values * keep.mul_(1 / (1 - probability))
