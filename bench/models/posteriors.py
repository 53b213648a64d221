"""Posterior networks: the encoded text e to a distribution over latent codes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from bench.base.registry import part
from bench.models.distributions import DiagonalGaussian, Point
from bench.models.flows import BatchNorm


@part("posterior", "gaussian", gives=("stochastic", "density", "gaussian"))
class GaussianPosterior(nn.Module):
    """Two maps of e: the mean and the logarithm of the standard deviation (not of the variance).

    Both are affine; with a ``hidden`` size, after a rectified layer of that size each. ``batch_norm`` normalises what
    they give over the batch, and ``spread`` says what the second then gives: the logarithm of the ``deviation`` or of
    the ``variance`` (Wang & Wang 2019: the released code has one affine map each, the article two layers).
    """

    def __init__(
        self,
        features: int,
        latent: int,
        *,
        batch_norm: bool = False,
        hidden: Annotated[int, Field(ge=0)] = 0,
        spread: Literal["deviation", "variance"] = "deviation",
    ) -> None:
        super().__init__()
        self.mean = _perceptron(features, hidden, latent)
        self.log_std = _perceptron(features, hidden, latent)
        self.mean_norm = BatchNorm(latent) if batch_norm else nn.Identity()
        self.log_std_norm = BatchNorm(latent) if batch_norm else nn.Identity()
        self.power = 2 if spread == "variance" else 1

    def forward(self, encoded: Tensor) -> DiagonalGaussian:
        """e (batch, features) to q(z|x) with parameters (batch, d)."""
        mean = self.mean_norm(self.mean(encoded))  # first: in this order gradients add up in e
        log_std = self.log_std_norm(self.log_std(encoded))
        return DiagonalGaussian(mean, log_std / 2 if self.power == 2 else log_std)


def _perceptron(features: int, hidden: int, latent: int) -> nn.Module:
    """An affine map, or two with a rectifier between them."""
    if not hidden:
        return nn.Linear(features, latent)
    return nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, latent))


@part("posterior", "point")
class PointPosterior(nn.Module):
    """One affine map of e: the code of a deterministic autoencoder."""

    def __init__(self, features: int, latent: int) -> None:
        super().__init__()
        self.mean = nn.Linear(features, latent)

    def forward(self, encoded: Tensor) -> Point:
        """e (batch, features) to the code (batch, d)."""
        return Point(self.mean(encoded))
