"""Regularisers: what keeps the posterior near the prior. All values per text, in nats."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from bench.base.registry import part
from bench.models.distributions import Latent


class Prior(Protocol):
    """A distribution over latent codes."""

    def log_prob(self, z: Tensor) -> Tensor:
        """Log-density in nats (...) of codes (..., d)."""
        ...


class Regulariser(Protocol):
    """A divergence of each posterior from the prior."""

    def __call__(self, latent: Latent, z: Tensor, log_density: Tensor | None, prior: Prior) -> Tensor:
        """Per text (batch,), from q, one code z (batch, d) of it and the log-density (batch,) of that code."""
        ...


def kl_terms(latent: Latent, z: Tensor, log_density: Tensor | None, prior: Prior) -> Tensor:
    """Terms (batch, terms) of KL(q(z|x) || p(z)): the closed form, else its estimate from one code."""
    exact = latent.kl_terms(prior)
    if exact is not None:
        return exact
    if log_density is None:
        raise TypeError("a deterministic code has no KL")
    return (log_density - prior.log_prob(z)).unsqueeze(-1)


@part("regulariser", "kl")
class KL:
    """KL(q(z|x) || p(z)): in closed form where there is one, else from the sampled code."""

    def __call__(self, latent: Latent, z: Tensor, log_density: Tensor | None, prior: Prior) -> Tensor:
        """Per text (batch,), from q, one code z (batch, d) of it and the log-density (batch,) of that code."""
        return kl_terms(latent, z, log_density, prior).sum(-1)
