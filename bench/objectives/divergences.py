"""Regularisers: what keeps the posterior near the prior. All values per text, in nats."""

from __future__ import annotations

from torch import Tensor

from bench.models.distributions import DiagonalGaussian, Latent
from bench.models.priors import StandardNormal
from bench.parts import part


def gaussian_kl(latent: DiagonalGaussian) -> Tensor:
    """KL(N(m, s^2) || N(0, I)) = sum_i (m_i^2 + s_i^2 - 1)/2 - ln s_i, per dimension (batch, d)."""
    return 0.5 * (latent.mean.square() + (2 * latent.log_std).exp() - 1) - latent.log_std


def analytic_kl(latent: Latent, prior: object) -> Tensor | None:
    """KL(q(z|x) || p(z)) per text (batch,) where a closed form is known, else None."""
    if isinstance(latent, DiagonalGaussian) and isinstance(prior, StandardNormal):
        return gaussian_kl(latent).sum(-1)
    return None


@part("regulariser", "kl")
class KL:
    """KL(q(z|x) || p(z)): in closed form where there is one, else from the sampled code."""

    def __call__(self, latent: Latent, z: Tensor, prior: StandardNormal) -> Tensor:
        """Per text (batch,), from q and one code z (batch, d) of it."""
        exact = analytic_kl(latent, prior)
        if exact is not None:
            return exact
        return latent.log_prob(z.unsqueeze(1)).squeeze(1) - prior.log_prob(z)
