"""Maps from the latent code z to the decoding signal h, which the decoder reads."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.base.registry import part


@part("signal", "mlp")
class SignalMap(nn.Module):
    """z to the decoding signal h of the size of a word: Linear, ReLU, Linear (Wu et al. 2020, appendix C)."""

    def __init__(self, latent: int, embedding: int) -> None:
        super().__init__()
        self.size = embedding
        self.inner = nn.Linear(latent, embedding)
        self.outer = nn.Linear(embedding, embedding)

    def forward(self, z: Tensor) -> Tensor:
        """Codes (..., d) to signals (..., S)."""
        signals: Tensor = self.outer(torch.relu(self.inner(z)))
        return signals


@part("signal", "identity")
class Identity(nn.Module):
    """The decoder reads the code itself: h = z."""

    def __init__(self, latent: int, embedding: int) -> None:
        super().__init__()
        self.size = latent

    def forward(self, z: Tensor) -> Tensor:
        """Codes (..., d) as they are."""
        return z
