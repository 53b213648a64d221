"""Priors p(z) over latent codes."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from bench.base.registry import part


@part("prior", "standard-normal")
class StandardNormal(nn.Module):
    """N(0, I) in d dimensions."""

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.latent = latent

    def log_prob(self, z: Tensor) -> Tensor:
        """ln N(z; 0, I) in nats (...) of codes (..., d)."""
        return -0.5 * (z.square() + math.log(2 * math.pi)).sum(-1)

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Codes (count, d)."""
        return torch.empty(count, self.latent, device=generator.device).normal_(generator=generator)
