"""Priors p(z) over latent codes."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from bench.base.registry import part


def normal(count: int, generator: torch.Generator, like: Tensor) -> Tensor:
    """Standard normal numbers (count, d), drawn on the device of the ``generator``, then as ``like`` (..., d) is."""
    drawn = torch.empty(count, like.shape[-1], device=generator.device).normal_(generator=generator)
    return drawn.to(like)


class FixedPrior(nn.Module):
    """Base of priors without parameters: it knows the size of a code, and the device and type of the model."""

    origin: Tensor

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.register_buffer("origin", torch.zeros(latent), persistent=False)

    def normal(self, count: int, generator: torch.Generator) -> Tensor:
        """Standard normal numbers (count, d), drawn on the device of the ``generator``."""
        return normal(count, generator, self.origin)


@part("prior", "standard-normal")
class StandardNormal(FixedPrior):
    """N(0, I) in d dimensions."""

    def log_prob(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """ln N(z; 0, I) in nats (...) of codes (..., d)."""
        return -0.5 * (z.square() + math.log(2 * math.pi)).sum(-1)

    def sample(self, count: int, generator: torch.Generator, condition: Tensor | None = None) -> Tensor:
        """Codes (count, d)."""
        return self.normal(count, generator)
