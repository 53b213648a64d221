"""Spaces of latent codes: how codes are interpolated, moved and brought back to where codes can be."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.base.registry import part


@part("space", "euclidean")
class Euclidean:
    """All of R^d: a code may be anywhere."""

    def nearest(self, z: Tensor) -> Tensor:
        """``z`` (..., d) itself."""
        return z

    def between(self, first: Tensor, last: Tensor, shares: Tensor) -> Tensor:
        """The codes (n, d) nearest to points at ``shares`` (n,) of the straight line from one code to another."""
        return self.nearest(torch.lerp(first, last, shares[:, None]))

    def move(self, z: Tensor, shift: Tensor) -> Tensor:
        """The codes (..., d) nearest to ``z`` (..., d) plus ``shift`` (..., d)."""
        return self.nearest(z + shift)


@part("space", "sphere")
class Sphere(Euclidean):
    """The unit sphere in d dimensions."""

    def nearest(self, z: Tensor) -> Tensor:
        """``z`` (..., d) over its norm."""
        return F.normalize(z, dim=-1)
