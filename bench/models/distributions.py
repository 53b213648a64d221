"""Distributions over latent codes: what a posterior network returns for a batch of texts."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from bench.models.noise import NoiseSource
from bench.models.priors import StandardNormal


class Latent(ABC):
    """A batch of distributions over latent codes z of dimension d.

    ``stochastic``: codes of one text differ. ``has_density``: they have a log-density, which a deterministic code
    has not, nor a stochastic one that is only sampled.
    """

    stochastic = True
    has_density = True

    @property
    @abstractmethod
    def parameters(self) -> dict[str, Tensor]:
        """The parameters by name, each (batch, ...): kept with a run, so that it can be measured again."""

    @abstractmethod
    def center(self) -> Tensor:
        """The deterministic code (batch, d): the mean of a Gaussian."""

    @abstractmethod
    def sample(self, source: NoiseSource, samples: int) -> tuple[Tensor, Tensor | None]:
        """Codes (batch, samples, d), reparameterised, and their log-density (batch, samples) if it exists."""

    @abstractmethod
    def log_prob(self, z: Tensor) -> Tensor:
        """Log-density in nats (..., batch, samples) of ``z`` (..., batch, samples, d)."""

    @abstractmethod
    def cross_log_prob(self, z: Tensor) -> Tensor:
        """Log-density (codes, batch) of each code of ``z`` (codes, d) under each distribution."""

    @abstractmethod
    def kl_terms(self, prior: object) -> Tensor | None:
        """Terms (batch, terms) whose sum is KL(q || prior) in nats, or None where no closed form is known."""

    @abstractmethod
    def with_parameters(self, parameters: Mapping[str, Tensor]) -> Self:
        """Distributions of the same kind with other ``parameters``, by the same names."""

    def map(self, change: Callable[[Tensor], Tensor]) -> Self:
        """The distributions with each of ``parameters`` changed: in precision, to some texts."""
        return self.with_parameters({name: change(value) for name, value in self.parameters.items()})


@dataclass(frozen=True)
class DiagonalGaussian(Latent):
    """N(mean, diag(exp(log_std))^2), parameters (batch, d)."""

    mean: Tensor
    log_std: Tensor

    @property
    def parameters(self) -> dict[str, Tensor]:
        """Mean and logarithm of the standard deviation."""
        return {"mean": self.mean, "log_std": self.log_std}

    def center(self) -> Tensor:
        """The mean (batch, d)."""
        return self.mean

    def sample(self, source: NoiseSource, samples: int) -> tuple[Tensor, Tensor]:
        """mean + std * noise (batch, samples, d), and its log-density."""
        noise = source.normal(samples, self.mean.shape[-1])
        z = self.mean.unsqueeze(1) + self.log_std.exp().unsqueeze(1) * noise
        return z, self.log_prob(z)

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

    def kl_terms(self, prior: object) -> Tensor | None:
        """To N(0, I): (m_i^2 + s_i^2 - 1)/2 - ln s_i for each dimension.

        To another diagonal Gaussian N(n, diag t^2) for each text: the same with (m_i - n_i)/t_i and s_i/t_i.
        """
        if isinstance(prior, DiagonalGaussian):
            log_ratio = self.log_std - prior.log_std
            distance = (self.mean - prior.mean) * torch.exp(-prior.log_std)
            return 0.5 * (distance.square() + (2 * log_ratio).exp() - 1) - log_ratio
        if not isinstance(prior, StandardNormal):
            return None
        return 0.5 * (self.mean.square() + (2 * self.log_std).exp() - 1) - self.log_std

    def with_parameters(self, parameters: Mapping[str, Tensor]) -> Self:
        """Gaussians with other means and logarithms of the standard deviation."""
        return replace(self, **parameters)


@dataclass(frozen=True)
class Point(Latent):
    """A deterministic code (batch, d): the latent of a deterministic autoencoder."""

    code: Tensor
    stochastic = False
    has_density = False

    @property
    def parameters(self) -> dict[str, Tensor]:
        """The code."""
        return {"mean": self.code}

    def center(self) -> Tensor:
        """The code (batch, d)."""
        return self.code

    def sample(self, source: NoiseSource, samples: int) -> tuple[Tensor, None]:
        """The code, repeated for each sample: (batch, samples, d); it has no density."""
        return self.code.unsqueeze(1).expand(-1, samples, -1), None

    def log_prob(self, z: Tensor) -> Tensor:
        """A point has no density; calling this is a mistake of the caller."""
        raise TypeError("a deterministic code has no log-density")

    def cross_log_prob(self, z: Tensor) -> Tensor:
        """A point has no density; calling this is a mistake of the caller."""
        raise TypeError("a deterministic code has no log-density")

    def kl_terms(self, prior: object) -> Tensor | None:
        """A point has no KL."""
        return None

    def with_parameters(self, parameters: Mapping[str, Tensor]) -> Self:
        """Other codes."""
        return replace(self, code=parameters["mean"])


def joined(parts: Sequence[Latent]) -> Latent:
    """The distributions of several batches as one batch."""
    names = parts[0].parameters
    return parts[0].with_parameters({n: torch.cat([part.parameters[n] for part in parts]) for n in names})
