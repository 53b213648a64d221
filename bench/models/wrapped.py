"""Distributions on the Poincare ball that are wrapped around it from a tangent space (Dai et al. 2021, section 3).

A vector v of the tangent space at the origin is carried to the mean and followed along its geodesic. All densities are
with respect to the volume of the ball.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from bench.base.registry import part
from bench.models.distributions import DiagonalGaussian, Latent
from bench.models.noise import NoiseSource
from bench.models.poincare import Ball, ball_of
from bench.models.priors import FixedPrior
from bench.models.sampled import ImplicitPosterior

_CELLS = 2**17  # codes times distributions whose densities are computed at once
_INNER = "tangent_"  # before the names of the parameters of the tangent vectors


@dataclass(frozen=True)
class Wrapped(Latent):
    """The law of the codes to which v leads from ``mean`` (batch, d), for v of the law ``tangent`` in R^d.

    With a Gaussian ``tangent`` of mean 0 it is the wrapped normal distribution; with an implicit one its density is not
    known.
    """

    mean: Tensor
    tangent: Latent
    ball: Ball

    @property
    def has_density(self) -> bool:  # type: ignore[override]
        """Whether ``tangent`` has one."""
        return self.tangent.has_density

    @property
    def parameters(self) -> dict[str, Tensor]:
        """The mean, and the parameters of the tangent vectors."""
        inner = {_INNER + name: value for name, value in self.tangent.parameters.items()}
        return {"mean": self.mean, **inner}

    def center(self) -> Tensor:
        """The code (batch, d) of the centre of the tangent vectors."""
        return self.ball.wrap(self.mean, self.tangent.center())

    def sample(self, source: NoiseSource, samples: int) -> tuple[Tensor, Tensor | None]:
        """Codes (batch, samples, d), and their log-density where it is known.

        It is that of the code as it is: one that is drawn back from the border is no longer where v leads.
        """
        z = self.ball.wrap(self.mean.unsqueeze(1), self.tangent.sample(source, samples)[0])
        return z, self.log_prob(z) if self.has_density else None

    def log_prob(self, z: Tensor) -> Tensor:
        """ln q(z), by the tangent vectors that lead to z."""
        v = self.ball.unwrap(self.mean.unsqueeze(1), z)
        return (self._wide.log_prob(v) - self.ball.log_volume(v)).to(z.dtype)

    def cross_log_prob(self, z: Tensor) -> Tensor:
        """ln q(z_i | x_j) for all pairs (i, j), some codes at once."""
        size = max(1, _CELLS // len(self.mean))
        found = [self.log_prob(some.expand(len(self.mean), *some.shape)).t() for some in z.split(size)]
        return torch.cat(found)

    def kl_terms(self, prior: object) -> Tensor | None:
        """No closed form is known."""
        return None

    def with_parameters(self, parameters: Mapping[str, Tensor]) -> Self:
        """The same with other means and other tangent vectors."""
        inner = {n.removeprefix(_INNER): v for n, v in parameters.items() if n.startswith(_INNER)}
        tangent = self.tangent.with_parameters(inner)
        return replace(self, mean=parameters["mean"], tangent=tangent)

    @property
    def _wide(self) -> Latent:
        return self.tangent.map(Tensor.double)


@part("posterior", "wrapped-normal", gives=("stochastic", "density"), space="poincare-ball")
class WrappedNormalPosterior(nn.Module):
    """Two affine maps of e: the mean, by the exponential map, and ln of the deviations of the tangent vector.

    The ball has curvature -``curvature``; ``spread`` is how far a tangent vector of norm 1 leads.
    """

    def __init__(
        self,
        features: int,
        latent: int,
        *,
        curvature: Annotated[float, Field(gt=0)] = 1.0,
        spread: Annotated[float, Field(gt=0)] = 2.0,
    ) -> None:
        super().__init__()
        self.ball = Ball(curvature, spread)
        self.mean = nn.Linear(features, latent)
        self.log_std = nn.Linear(features, latent)

    def forward(self, encoded: Tensor) -> Wrapped:
        """e (batch, features) to q(z|x)."""
        mean, log_std = self.mean(encoded), self.log_std(encoded)
        origin = torch.zeros_like(mean)
        return Wrapped(self.ball.exp(origin, mean), DiagonalGaussian(origin, log_std), self.ball)


@part("posterior", "wrapped-implicit", gives=("stochastic", "implicit"), space="poincare-ball")
class WrappedImplicitPosterior(nn.Module):
    """The mean is an affine map of e, by the exponential map; the tangent vector a network of e and noise.

    That is F(x) and G(x, noise) of Dai et al. (2021). The options are those of the network and of the ball.
    """

    def __init__(
        self,
        features: int,
        latent: int,
        *,
        curvature: Annotated[float, Field(gt=0)] = 1.0,
        spread: Annotated[float, Field(gt=0)] = 2.0,
        noise: Annotated[int, Field(ge=1)] = 32,
        hidden: Annotated[int, Field(ge=1)] = 512,
        layers: Annotated[int, Field(ge=1)] = 1,
    ) -> None:
        super().__init__()
        self.ball = Ball(curvature, spread)
        self.mean = nn.Linear(features, latent)
        self.tangent = ImplicitPosterior(features, latent, noise=noise, hidden=hidden, layers=layers)

    def forward(self, encoded: Tensor) -> Wrapped:
        """e (batch, features) to q(z|x)."""
        mean = self.mean(encoded)
        return Wrapped(self.ball.exp(torch.zeros_like(mean), mean), self.tangent(encoded), self.ball)


@part("prior", "wrapped-normal", space="poincare-ball")
class WrappedNormal(FixedPrior):
    """The wrapped normal distribution at the origin, with v ~ N(0, I), in the ball of the posterior."""

    def __init__(self, latent: int, posterior: Any = None) -> None:
        super().__init__(latent)
        self.ball = ball_of(posterior)

    def log_prob(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """ln p(z) in nats (...) of codes (..., d)."""
        v = self.ball.unwrap(torch.zeros_like(z), z)
        normal = -0.5 * (v.square() + math.log(2 * math.pi)).sum(-1)
        return (normal - self.ball.log_volume(v)).to(z.dtype)

    def sample(self, count: int, generator: torch.Generator, condition: Tensor | None = None) -> Tensor:
        """Codes (count, d)."""
        v = self.normal(count, generator)
        return self.ball.wrap(torch.zeros_like(v), v)
