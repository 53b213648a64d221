"""Sample-based posteriors: the code is a function of the encoded text and of noise (Fang et al. 2019, section 3.1)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Self

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from bench.base.errors import BenchError
from bench.base.registry import part
from bench.models.distributions import Latent
from bench.models.noise import NoiseSource
from bench.models.precision import in_float32
from bench.models.priors import StandardNormal

CENTER = 128  # draws of the noise over which the centre of an implicit posterior is the mean; the same for all texts


@dataclass(frozen=True)
class FactorGaussian(Latent):
    """N(mean, A A'): the law of mean + A noise, for standard normal noise.

    ``mean`` is (batch, d), the ``factor`` A is (d, n) of all texts together or (batch, d, n) of each, with n >= d. A
    singular A gives codes but no density: its values are then not finite.
    """

    mean: Tensor
    factor: Tensor

    @property
    def shared(self) -> bool:
        """Whether all texts have the same factor, which then is a weight of the model and no parameter here."""
        return self.factor.dim() == 2

    @property
    def parameters(self) -> dict[str, Tensor]:
        """The mean, and the factor where each text has its own."""
        return {"mean": self.mean} if self.shared else {"mean": self.mean, "factor": self.factor}

    def center(self) -> Tensor:
        """The mean (batch, d)."""
        return self.mean

    def sample(self, source: NoiseSource, samples: int) -> tuple[Tensor, None]:
        """mean + A noise (batch, samples, d); their density is computed when it is asked for."""
        noise = source.normal(samples, self.factor.shape[-1])
        with in_float32(noise):
            return self.mean.unsqueeze(1) + noise @ self.factor.to(self.mean.dtype).mT, None

    @cached_property
    def lower(self) -> Tensor:
        """A triangular L (..., d, d), in float64, with L L' = A A'; of a QR decomposition: A A' is not formed."""
        upper: Tensor = torch.linalg.qr(self.factor.double().mT).R
        return upper.mT

    @property
    def log_volume(self) -> Tensor:
        """Half of ln det A A' (...)."""
        return self.lower.diagonal(dim1=-2, dim2=-1).abs().log().sum(-1)

    def log_prob(self, z: Tensor) -> Tensor:
        """ln N(z; mean, A A')."""
        white = self._whitened(z.double() - self.mean.double().unsqueeze(1))
        constant = self.log_volume.unsqueeze(-1) + 0.5 * z.shape[-1] * math.log(2 * math.pi)
        return (-0.5 * white.square().sum(-1) - constant).to(z.dtype)

    def cross_log_prob(self, z: Tensor) -> Tensor:
        """ln q(z_i | x_j) for all pairs (i, j), as one matrix product where the factor is shared."""
        if not self.shared:
            return self.log_prob(z.expand(len(self.mean), *z.shape)).t()
        codes, means = self._whitened(z.double()), self._whitened(self.mean.double())
        squares = codes.square().sum(-1)[:, None] - 2 * codes @ means.t() + means.square().sum(-1)
        constant = self.log_volume + 0.5 * z.shape[-1] * math.log(2 * math.pi)
        return (-0.5 * squares - constant).to(z.dtype)

    def kl_terms(self, prior: object) -> Tensor | None:
        """To N(0, I), as one term: (tr A A' + |mean|^2 - d - ln det A A') / 2."""
        if not isinstance(prior, StandardNormal):
            return None
        mean, factor = self.mean.double(), self.factor.double()
        trace, squares = factor.square().sum((-2, -1)), mean.square().sum(-1)
        kl = 0.5 * (trace + squares - mean.shape[-1]) - self.log_volume
        return kl.unsqueeze(-1).to(self.mean.dtype)

    def with_parameters(self, parameters: Mapping[str, Tensor]) -> Self:
        """Gaussians with other means, and other factors where each text has its own."""
        return replace(self, **parameters)

    def _whitened(self, rows: Tensor) -> Tensor:
        """L^-1 of each row (..., d)."""
        solved: Tensor = torch.linalg.solve_triangular(self.lower, rows.mT, upper=False)
        return solved.mT


@dataclass(frozen=True)
class Implicit(Latent):
    """The law of G(e, noise) for a network G and standard normal noise: codes can be drawn, densities are not known.

    ``encoded`` is e (batch, features); ``network`` maps e (batch, 1, features) and noise (batch, samples, noise) to
    codes (batch, samples, d).
    """

    encoded: Tensor
    network: Callable[[Tensor, Tensor], Tensor]
    noise: int
    has_density = False

    @property
    def parameters(self) -> dict[str, Tensor]:
        """The encoded text."""
        return {"encoded": self.encoded}

    def center(self) -> Tensor:
        """The mean (batch, d) over ``CENTER`` draws of the noise, the same for every text."""
        return self._center

    @cached_property
    def _center(self) -> Tensor:
        drawn = torch.randn(1, CENTER, self.noise, generator=torch.Generator().manual_seed(0))
        return self._codes(drawn.expand(len(self.encoded), -1, -1)).mean(1)

    def _codes(self, noise: Tensor) -> Tensor:
        with in_float32(self.encoded):
            return self.network(self.encoded.unsqueeze(1), noise.to(self.encoded))

    def sample(self, source: NoiseSource, samples: int) -> tuple[Tensor, None]:
        """Codes (batch, samples, d); they have no known density."""
        return self._codes(source.normal(samples, self.noise)), None

    def log_prob(self, z: Tensor) -> Tensor:
        """Its density is not known; calling this is a mistake of the caller."""
        raise TypeError("an implicit posterior has no known log-density")

    def cross_log_prob(self, z: Tensor) -> Tensor:
        """Its density is not known; calling this is a mistake of the caller."""
        raise TypeError("an implicit posterior has no known log-density")

    def kl_terms(self, prior: object) -> Tensor | None:
        """Its KL is not known."""
        return None

    def with_parameters(self, parameters: Mapping[str, Tensor]) -> Self:
        """The law at other encoded texts."""
        return replace(self, encoded=parameters["encoded"])


@part("posterior", "affine-noise", gives=("stochastic", "density"))
class AffineNoisePosterior(nn.Module):
    """One affine map of e and noise, z = W [e; noise] + b (released code of Fang et al. 2019).

    That is a Gaussian with a mean that depends on the text and one full covariance for all texts.
    """

    def __init__(self, features: int, latent: int, *, noise: Annotated[int, Field(ge=1)] = 32) -> None:
        super().__init__()
        if noise < latent:
            what = f"{noise} dimensions of noise for codes of {latent}: such codes have no density"
            raise BenchError(what, where="posterior affine-noise: noise", remedy=f"give it {latent} or more")
        self.features = features
        self.map = nn.Linear(features + noise, latent)

    def forward(self, encoded: Tensor) -> FactorGaussian:
        """e (batch, features) to q(z|x) with means (batch, d)."""
        weight = self.map.weight
        mean = F.linear(encoded, weight[:, : self.features], self.map.bias)
        return FactorGaussian(mean, weight[:, self.features :])


@part("posterior", "implicit", gives=("stochastic", "implicit"))
class ImplicitPosterior(nn.Module):
    """A network of e and noise with hidden layers: z = G([e; noise]) (Fang et al. 2019, as printed)."""

    def __init__(
        self,
        features: int,
        latent: int,
        *,
        noise: Annotated[int, Field(ge=1)] = 32,
        hidden: Annotated[int, Field(ge=1)] = 512,
        layers: Annotated[int, Field(ge=1)] = 1,
    ) -> None:
        super().__init__()
        self.noise = noise
        self.first = nn.Linear(features + noise, hidden)
        self.inner = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(layers - 1))
        self.last = nn.Linear(hidden, latent)

    def codes(self, encoded: Tensor, noise: Tensor) -> Tensor:
        """G of e (batch, 1, features) and noise (batch, samples, noise): codes (batch, samples, d)."""
        read = encoded.expand(-1, noise.shape[1], -1)
        values = F.leaky_relu(self.first(torch.cat([read, noise], dim=-1)))
        for layer in self.inner:
            values = F.leaky_relu(layer(values))
        codes: Tensor = self.last(values)
        return codes

    def forward(self, encoded: Tensor) -> Implicit:
        """e (batch, features) to q(z|x)."""
        return Implicit(encoded, self.codes, self.noise)
