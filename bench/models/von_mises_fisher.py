"""Von Mises-Fisher posteriors on the unit sphere, with learned concentration, and the uniform prior there.

All densities are with respect to the surface measure of the sphere in d dimensions. In
q(z) = C_d(k) exp(k mode.z) the cosine w = mode.z has the density p(w) ~ exp(k w) (1 - w^2)^((d-3)/2) and the
mean A_d(k) = I_d/2(k) / I_d/2-1(k) (Mardia & Jupp 2000, section 9.3). Constants and cosines are computed in
double precision, because k (w - 1) and ln C_d(k) + k are small differences of large numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Literal, Self

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from bench.base.errors import BenchError
from bench.base.registry import part
from bench.models.bessel import bessel_ratio, log_bessel, with_derivative
from bench.models.distributions import Latent
from bench.models.noise import NoiseSource
from bench.models.priors import FixedPrior

_ENOUGH = 32  # proposals of which none is accepted once in 10^14 times: of any, 0.65 or more are
_NODES = 80  # of the quadrature, between -3 and 5: relative error of the derivative about 1e-8


@dataclass(frozen=True)
class VonMisesFisher(Latent):
    """q(z) = C_d(k) exp(k direction.z): unit ``direction`` (batch, d >= 2), ``concentration`` k > 0 (batch,).

    ``sampler``: "exact", or "released", the sampler of the code that the Coupled-VAE paper released, which
    replaces b by its limit for large k above k = 10 and so draws from another distribution than the density
    says. That changes the cosines and their gradient; densities and KL stay those of q, so what is estimated
    from such codes is no likelihood.
    """

    direction: Tensor
    concentration: Tensor
    sampler: Literal["exact", "released"] = "exact"

    @property
    def parameters(self) -> dict[str, Tensor]:
        """Mode and concentration."""
        return {"direction": self.direction, "concentration": self.concentration}

    def center(self) -> Tensor:
        """The mode (batch, d), which is the direction of the mean."""
        return self.direction

    def expectation(self) -> Tensor:
        """E z = A_d(k) direction (batch, d), which lies inside the sphere."""
        cosine = bessel_ratio(self.direction.shape[-1] / 2 - 1, self.concentration.double())
        return cosine.to(self.direction).unsqueeze(-1) * self.direction

    def sample(self, source: NoiseSource, samples: int) -> tuple[Tensor, Tensor]:
        """Codes (batch, samples, d) and their log-density: a cosine, and a direction uniform around the mode.

        Both are reparameterised: the gradient of an expectation is exact for direction and concentration.
        """
        # How many rounds the cosines take depends on the batch, so what comes after them would too.
        around = F.normalize(source.normal(samples, self.direction.shape[-1] - 1).double(), dim=-1)
        y = self._artanh_cosines(source, samples).unsqueeze(-1)
        local = torch.cat([torch.tanh(y), around / torch.cosh(y)], dim=-1)
        z = _first_axis_to(self.direction.double().unsqueeze(1), local)
        k, constant = self.concentration.double().unsqueeze(1), self._log_constant().unsqueeze(1)
        return z.to(self.direction), (constant + k * (torch.tanh(y.squeeze(-1)) - 1)).to(self.direction)

    def log_prob(self, z: Tensor) -> Tensor:
        """ln q(z), from 1 - direction.z = |z - direction|^2 / 2, which hardly feels the rounding of norms."""
        distance = (z - self.direction.unsqueeze(1)).square().sum(-1) / 2
        k, constant = self.concentration.double().unsqueeze(1), self._log_constant().unsqueeze(1)
        return (constant - k * distance).to(distance)

    def cross_log_prob(self, z: Tensor) -> Tensor:
        """ln q(z_i | x_j) for all pairs (i, j), as one matrix product."""
        squares = z.square().sum(-1, keepdim=True) + self.direction.square().sum(-1)
        distance = squares / 2 - z @ self.direction.t()
        return (self._log_constant() - self.concentration.double() * distance).to(distance)

    def kl_terms(self, prior: object) -> Tensor | None:
        """To the uniform distribution, one term: k A_d(k) + ln C_d(k) + ln |S^(d-1)|."""
        if not isinstance(prior, UniformSphere):
            return None
        k, dimension = self.concentration.double(), self.direction.shape[-1]
        cosine = bessel_ratio(dimension / 2 - 1, k)
        kl = k * (cosine - 1) + self._log_constant() + log_surface(dimension)
        return kl.to(self.concentration).unsqueeze(-1)

    def with_parameters(self, parameters: Mapping[str, Tensor]) -> Self:
        """Distributions with other modes and concentrations, and the same sampler."""
        return replace(self, direction=parameters["direction"], concentration=parameters["concentration"])

    def _log_constant(self) -> Tensor:
        """ln C_d(k) + k (batch,) in double precision: the log-density at the mode."""
        k, half = self.concentration.double(), self.direction.shape[-1] / 2
        return (half - 1) * k.log() - half * math.log(2 * math.pi) - log_bessel(half - 1, k) + k

    def _artanh_cosines(self, source: NoiseSource, samples: int) -> Tensor:
        """artanh w (batch, samples) of cosines w, in double precision, with the gradient for k.

        Near the mode artanh w tells cosines apart that round to 1.
        """
        k, m = self.concentration.double().unsqueeze(1), self.direction.shape[-1] - 1
        b = _proposal(k, m)
        if self.sampler == "released":
            share = (k - 10).clamp(0, 1)
            b = share * m / (4 * k) + (1 - share) * b
        odds = _accepted(k.detach(), b.detach(), m, source, samples)
        if self.sampler == "released":
            return 0.5 * (odds - b.log())
        y = 0.5 * (odds - b.detach().log())
        if not k.requires_grad:
            return y
        k = k.expand_as(y)
        return with_derivative(y, _derivative(y, k.detach(), self.direction.shape[-1]), k)


def _proposal(k: Tensor, m: int) -> Tensor:
    """b = (sqrt(4 k^2 + m^2) - 2 k) / m, the envelope of the cosine's density, without the cancellation."""
    return m / (2 * k + torch.sqrt(4 * k.square() + m * m))


def _accepted(k: Tensor, b: Tensor, m: int, source: NoiseSource, samples: int) -> Tensor:
    """ln((1 - e)/e) (batch, samples) of proposals e ~ Beta(m/2, m/2) accepted by Ulrich's test, m = d - 1.

    The cosine is w = (1 - (1 + b) e) / (1 - (1 - b) e), that is artanh w = (ln((1 - e)/e) - ln b) / 2
    (Ulrich 1984; Wood 1994; in the notation of Davidson et al. 2018). Each code takes the first proposal that
    its own numbers accept, whatever the others need. Where k is not a number, every proposal is accepted.

    Where a look at the outcome would mean to wait for a device, ``_ENOUGH`` proposals are drawn for every code.
    """
    a = (m + 2 * k + torch.sqrt(4 * k.square() + m * m)) / 4
    constant = 4 * a * b / (1 + b) - m * math.log(m)
    odds = torch.zeros(len(k), samples, dtype=k.dtype, device=k.device)
    waiting = torch.ones_like(odds, dtype=torch.bool)
    shape = samples, 1 if source.answers else _ENOUGH
    a, b, constant = a.unsqueeze(-1), b.unsqueeze(-1), constant.unsqueeze(-1)
    while True:
        first, second = source.gamma(m / 2, *shape).double(), source.gamma(m / 2, *shape).double()
        t = 2 * a * b * (first + second) / (second + b * first)
        accepted = ~(m * t.log() - t + constant < source.uniform(*shape).double().log())
        earliest = accepted.int().argmax(-1, keepdim=True)
        found = (second / first).log().gather(-1, earliest).squeeze(-1)
        odds = torch.where(waiting, found, odds)
        waiting &= ~accepted.any(-1)
        if not source.answers or not waiting.any():
            return odds


@torch.no_grad()
def _derivative(y: Tensor, k: Tensor, dimension: int) -> Tensor:
    """dy/dk (...) of y = artanh w at a fixed quantile of the cosine, all (...) in double precision.

    Implicit reparameterisation (Figurnov et al. 2018): dw/dk = -(dF/dk)(w) / p(w) with F the distribution
    function, whose derivative is the integral of (t - A) p(t) up to w, and minus that beyond w. The one that
    leads away from the mode has an integrand of nearly one sign, which falls off on a scale known from the
    slope and curvature of ln p; in y it does so at least exponentially, for which the double-exponential
    rule y + scale exp(x - exp(-x)) with equal steps of x is made (Takahasi & Mori 1974). It replaces the
    correction that the gradient through an accepted proposal needs (Naesseth et al. 2017).
    """
    m = dimension - 1
    x = torch.linspace(-3, 5, _NODES, dtype=y.dtype, device=y.device)
    distance = torch.exp(x - torch.exp(-x))
    weight = distance * (1 + torch.exp(-x)) * (x[1] - x[0])
    w, tail = torch.tanh(y), torch.cosh(y) ** -2
    slope, curvature = (k * tail - m * w).abs(), (2 * k * w + m).abs() * tail
    scale = 2 / (slope + torch.sqrt(slope.square() + 2 * curvature))
    mode = 2 * k / (m + torch.sqrt(4 * k.square() + m * m))
    scale = torch.where(w < mode, -scale, scale)
    nodes = y.unsqueeze(-1) + scale.unsqueeze(-1) * distance
    cosine = torch.tanh(nodes)
    # The density of y is exp(k tanh y) / cosh(y)^m; logaddexp(y, -y) is ln(2 cosh y).
    rise = k.unsqueeze(-1) * (cosine - w.unsqueeze(-1))
    fall = torch.logaddexp(nodes, -nodes) - torch.logaddexp(y, -y).unsqueeze(-1)
    beyond = cosine - bessel_ratio(dimension / 2 - 1, k).unsqueeze(-1)
    return (beyond * torch.exp(rise - m * fall) * weight).sum(-1) * scale


def _first_axis_to(direction: Tensor, z: Tensor) -> Tensor:
    """``z`` (..., d) under an orthogonal map that takes the first axis to the unit vectors ``direction``.

    The reflection that takes the first axis to minus the direction, or minus the one that takes it to the
    direction: of the two, the one whose normal is far from zero, so that values and gradients stay finite.
    """
    sign = torch.where(direction[..., :1] < 0, -1.0, 1.0).to(direction)
    normal = torch.cat([direction[..., :1] + sign, direction[..., 1:]], dim=-1)
    along = (z * normal).sum(-1, keepdim=True) / normal.square().sum(-1, keepdim=True)
    return sign * (2 * along * normal - z)


def log_surface(dimension: int) -> float:
    """ln |S^(d-1)|, the area of the unit sphere in d dimensions: ln 2 + (d/2) ln pi - ln Gamma(d/2)."""
    return math.log(2) + dimension / 2 * math.log(math.pi) - math.lgamma(dimension / 2)


@part("posterior", "vmf", gives=("stochastic", "density"), space="sphere")
class VonMisesFisherPosterior(nn.Module):
    """An affine map of e over its norm is the mode, softplus of another plus one the concentration.

    With a ``fixed`` concentration there is no other map, and the KL is a constant (Xu & Durrett 2018).
    ``sampler``: see :class:`VonMisesFisher`; in evaluation mode codes are drawn exactly, whatever it is.
    """

    def __init__(
        self,
        features: int,
        latent: int,
        *,
        sampler: Literal["exact", "released"] = "exact",
        fixed: Annotated[float, Field(gt=0)] | None = None,
    ) -> None:
        super().__init__()
        if latent < 2:
            raise BenchError(
                "a von Mises-Fisher posterior needs a sphere of at least two dimensions",
                where=f"latent: {latent}",
                remedy="choose a latent of at least 2",
            )
        self.direction = nn.Linear(features, latent)
        self.concentration = nn.Linear(features, 1) if fixed is None else None
        self.sampler, self.fixed = sampler, fixed

    def forward(self, encoded: Tensor) -> VonMisesFisher:
        """e (batch, features) to q(z|x) with direction (batch, d) and concentration (batch,): fixed, or >= 1."""
        direction = F.normalize(self.direction(encoded), dim=-1)
        if self.concentration is None:
            concentration = torch.full_like(direction[:, 0], self.fixed or 0.0)
        else:
            concentration = F.softplus(self.concentration(encoded)).squeeze(-1) + 1
        return VonMisesFisher(direction, concentration, self.sampler if self.training else "exact")


@part("prior", "uniform-sphere", space="sphere")
class UniformSphere(FixedPrior):
    """The uniform distribution on the unit sphere in d dimensions."""

    def __init__(self, latent: int) -> None:
        super().__init__(latent)

    def log_prob(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """-ln |S^(d-1)| in nats (...) for codes (..., d) of norm one."""
        return z.new_full(z.shape[:-1], -log_surface(len(self.origin)))

    def sample(self, count: int, generator: torch.Generator, condition: Tensor | None = None) -> Tensor:
        """Codes (count, d)."""
        return F.normalize(self.normal(count, generator), dim=-1)
