"""Divergences of the posteriors from the prior: what keeps the one near the other. All values per text, in nats."""

from __future__ import annotations

from torch import Tensor

from bench.base.registry import part
from bench.models.distributions import DiagonalGaussian
from bench.models.forward import Forward


def kl_terms(forward: Forward) -> Tensor:
    """Terms (batch, terms) of KL(q(z|x) || p(z)), or to p(z|y): the closed form, else its estimate from one code."""
    main = forward.main
    exact = main.latent.kl_terms(forward.prior)
    if exact is not None:
        return exact
    if main.log_density is None:
        raise TypeError("a code without a density has no KL")
    estimate: Tensor = main.log_density - forward.model.prior.log_prob(main.z, forward.condition)
    return estimate.unsqueeze(-1)


@part(
    "term",
    "kl",
    needs={"density": "it is the mean of ln q(z|x) - ln p(z)", "prior": "it is the distance from it"},
)
class KL:
    """KL(q(z|x) || p(z)): in closed form where there is one, else from the sampled code."""

    def __call__(self, forward: Forward) -> Tensor:
        """Per text (batch,)."""
        return kl_terms(forward).sum(-1)


def gaussian(forward: Forward) -> DiagonalGaussian:
    """The posteriors of the texts, which are diagonal Gaussians."""
    latent = forward.main.latent
    if not isinstance(latent, DiagonalGaussian):
        raise TypeError("only a Gaussian code has standard deviations")
    return latent


@part("term", "deviation_kl", needs={"gaussian": "it is a function of the standard deviations"})
class DeviationKL:
    """KL(N(m, diag s^2) || N(m, I)): it draws deviations to 1 and leaves means alone.

    The sum over dimensions of (s^2 - 1)/2 - ln s (Bahuleyan et al. 2019, equation 17; their equation 18 leaves the
    constant out).
    """

    def __call__(self, forward: Forward) -> Tensor:
        """Per text (batch,)."""
        latent = gaussian(forward)
        return (0.5 * ((2 * latent.log_std).exp() - 1) - latent.log_std).sum(-1)
