"""Posterior networks: the encoded text e to a distribution over latent codes."""

from __future__ import annotations

from torch import Tensor, nn

from bench.base.registry import part
from bench.models.distributions import DiagonalGaussian, Point


@part("posterior", "gaussian", gives=("stochastic", "density", "gaussian"))
class GaussianPosterior(nn.Module):
    """Two affine maps of e: the mean and the logarithm of the standard deviation (not of the variance)."""

    def __init__(self, features: int, latent: int) -> None:
        super().__init__()
        self.mean = nn.Linear(features, latent)
        self.log_std = nn.Linear(features, latent)

    def forward(self, encoded: Tensor) -> DiagonalGaussian:
        """e (batch, features) to q(z|x) with parameters (batch, d)."""
        return DiagonalGaussian(self.mean(encoded), self.log_std(encoded))


@part("posterior", "point")
class PointPosterior(nn.Module):
    """One affine map of e: the code of a deterministic autoencoder."""

    def __init__(self, features: int, latent: int) -> None:
        super().__init__()
        self.mean = nn.Linear(features, latent)

    def forward(self, encoded: Tensor) -> Point:
        """e (batch, features) to the code (batch, d)."""
        return Point(self.mean(encoded))
