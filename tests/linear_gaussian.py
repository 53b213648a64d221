"""A model of which everything is known: linear, with Gaussian codes and noise."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from bench.models.distributions import Latent
from bench.models.priors import StandardNormal
from tests.plain import numbers


class LinearGaussian:
    """z ~ N(0, I), x given z ~ N(Wz, s^2 I): a model whose likelihood and posterior are known."""

    def __init__(self, observed: int = 6, latent: int = 3, noise: float = 0.7) -> None:
        torch.manual_seed(0)
        self.loading, self.noise = torch.randn(observed, latent), noise
        covariance = self.loading @ self.loading.t() + noise**2 * torch.eye(observed)
        self.marginal = MultivariateNormal(torch.zeros(observed), covariance)
        precision = torch.eye(latent) + self.loading.t() @ self.loading / noise**2
        self.covariance = torch.linalg.inv(precision)
        self.texts = self.marginal.sample((40,))
        self.mean = self.texts @ self.loading @ self.covariance / noise**2

    def losses(self, z: Tensor) -> Tensor:
        """-ln p(x|z) (texts, samples)."""
        scale = torch.eye(self.texts.shape[1]) * self.noise**2
        found: Tensor = -MultivariateNormal(z @ self.loading.t(), scale).log_prob(self.texts.unsqueeze(1))
        return found

    @property
    def nll(self) -> Tensor:
        """The exact -ln p(x) (texts,)."""
        found: Tensor = -self.marginal.log_prob(self.texts)
        return found

    def sampled(self, q: Latent, samples: int) -> tuple[Tensor, Tensor]:
        """-ln p(x) by importance sampling and -ELBO (texts,), by codes of ``q`` and their log-density."""
        z, log_density = q.sample(numbers(len(self.texts)), samples)
        density = q.log_prob(z) if log_density is None else log_density
        weights = StandardNormal(3).log_prob(z) - density - self.losses(z)
        return math.log(samples) - weights.logsumexp(1), -weights.mean(1)
