"""Distributions over latent codes: what a posterior network returns for a batch of texts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from bench.models.noise import Noise


class Latent(Protocol):
    """A batch of distributions over latent codes z of dimension d.

    ``has_density`` is false for a deterministic code, which has neither a log-density nor a KL.
    """

    has_density: bool

    @property
    def parameters(self) -> dict[str, Tensor]:
        """The parameters by name, each (batch, ...): kept with a run, so that it can be measured again."""
        ...

    def center(self) -> Tensor:
        """The deterministic code (batch, d): the mean of a Gaussian."""
        ...

    def sample(self, noise: Tensor) -> Tensor:
        """Codes (batch, samples, d) by reparameterising standard normal ``noise`` of that shape."""
        ...

    def log_prob(self, z: Tensor) -> Tensor:
        """Log-density in nats (..., batch, samples) of ``z`` (..., batch, samples, d)."""
        ...

    def cross_log_prob(self, z: Tensor) -> Tensor:
        """Log-density (codes, batch) of each code of ``z`` (codes, d) under each distribution."""
        ...


@dataclass(frozen=True)
class DiagonalGaussian:
    """N(mean, diag(exp(log_std))^2), parameters (batch, d)."""

    mean: Tensor
    log_std: Tensor
    has_density = True

    @property
    def parameters(self) -> dict[str, Tensor]:
        """Mean and logarithm of the standard deviation."""
        return {"mean": self.mean, "log_std": self.log_std}

    def center(self) -> Tensor:
        """The mean (batch, d)."""
        return self.mean

    def sample(self, noise: Tensor) -> Tensor:
        """mean + std * noise: (batch, samples, d)."""
        return self.mean.unsqueeze(1) + self.log_std.exp().unsqueeze(1) * noise

    def log_prob(self, z: Tensor) -> Tensor:
        """ln N(z; mean, std^2), summed over dimensions."""
        log_std = self.log_std.unsqueeze(1)
        scaled = (z - self.mean.unsqueeze(1)) * torch.exp(-log_std)
        return (-0.5 * scaled.square() - log_std - 0.5 * math.log(2 * math.pi)).sum(-1)

    def cross_log_prob(self, z: Tensor) -> Tensor:
        """ln q(z_i | x_j) for all pairs (i, j), as three matrix products."""
        precision = torch.exp(-2 * self.log_std)
        quadratic = (
            z.square() @ precision.t()
            - 2 * z @ (self.mean * precision).t()
            + (self.mean.square() * precision).sum(-1)
        )
        constant = self.log_std.sum(-1) + 0.5 * z.shape[-1] * math.log(2 * math.pi)
        return -0.5 * quadratic - constant


@dataclass(frozen=True)
class Point:
    """A deterministic code (batch, d): the latent of a deterministic autoencoder."""

    code: Tensor
    has_density = False

    @property
    def parameters(self) -> dict[str, Tensor]:
        """The code."""
        return {"mean": self.code}

    def center(self) -> Tensor:
        """The code (batch, d)."""
        return self.code

    def sample(self, noise: Tensor) -> Tensor:
        """The code, repeated for each sample: (batch, samples, d)."""
        return self.code.unsqueeze(1).expand(-1, noise.shape[1], -1)

    def log_prob(self, z: Tensor) -> Tensor:
        """A point has no density; calling this is a mistake of the caller."""
        raise TypeError("a deterministic code has no log-density")

    def cross_log_prob(self, z: Tensor) -> Tensor:
        """A point has no density; calling this is a mistake of the caller."""
        raise TypeError("a deterministic code has no log-density")


def draw(latent: Latent, noise: Noise, samples: int = 1, stream: str = "latent") -> Tensor:
    """Latent codes (batch, samples, d) with numbers from the stream ``latent`` of ``noise``."""
    center = latent.center()
    like = center.unsqueeze(1).expand(-1, samples, -1)
    return latent.sample(noise.normal(like, stream))
