"""Randomness of a forward pass: one generator per named stream, so that systems share what they can.

A baseline and its coupled twin name the same streams in their common branch; with the same seed and step
they then draw the same dropout masks and the same latent noise.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.seeds import derive_seed


class Noise:
    """Streams of random numbers, each seeded by the names given here and its own name."""

    def __init__(self, *names: object, device: torch.device | str = "cpu") -> None:
        self._names = names
        self._device = torch.device(device)
        self._generators: dict[str, torch.Generator] = {}

    def generator(self, stream: str) -> torch.Generator:
        """The generator of ``stream``; its state goes on from call to call."""
        if stream not in self._generators:
            generator = torch.Generator(self._device)
            generator.manual_seed(derive_seed(*self._names, stream))
            self._generators[stream] = generator
        return self._generators[stream]

    def normal(self, like: Tensor, stream: str) -> Tensor:
        """Standard normal numbers of the shape, type and device of ``like``."""
        return torch.empty_like(like).normal_(generator=self.generator(stream))

    def dropout(self, values: Tensor, probability: float, stream: str) -> Tensor:
        """Zero each element with ``probability`` and scale the rest by 1 / (1 - probability)."""
        if probability == 0:
            return values
        keep = torch.empty_like(values).bernoulli_(1 - probability, generator=self.generator(stream))
        return values * keep.mul_(1 / (1 - probability))
