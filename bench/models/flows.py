"""Normalising flows: a Gaussian posterior pushed through invertible maps (Rezende & Mohamed 2015)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Literal, Self, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from bench.base.registry import part
from bench.models.distributions import DiagonalGaussian, Latent
from bench.models.noise import NoiseSource

_NEWTON = 100  # more steps than the slowest case takes: from t = 1 to a triple root at zero, a third off each

Initial = Literal["small", "normal"]


class PlanarFlow(nn.Module):
    """f(z) = z + u' tanh(w.z + b), Rezende & Mohamed 2015, equation 10, with parameters that all texts share.

    u' = u + (m(w.u) - w.u) w / |w|^2 with m(x) = softplus(x) - 1 keeps w.u' above -1, which makes f
    invertible (their appendix A.1). Products are sums of elementwise products, which autocast leaves alone,
    and run in the precision of the codes, whatever that of the parameters is.
    """

    def __init__(self, latent: int, initial: Initial = "small") -> None:
        super().__init__()
        self.initial = initial
        self.u = nn.Parameter(torch.empty(latent))
        self.w = nn.Parameter(torch.empty(latent))
        self.b = nn.Parameter(torch.empty(()))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """``small``: u, w, b ~ U(-0.01, 0.01); ``normal``: u, w ~ N(0, 1), b = 1 (Wang & Wang 2019, released code)."""
        if self.initial == "small":
            for parameter in (self.u, self.w, self.b):
                nn.init.uniform_(parameter, -0.01, 0.01)
            return
        nn.init.normal_(self.u)
        nn.init.normal_(self.w)
        nn.init.ones_(self.b)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """f(z) (..., d) of codes (..., d), and ln |det df/dz| (...) in nats."""
        u, w, b, slope = self._constrained(z)
        t = (z * w).sum(-1) + b
        return z + t.tanh().unsqueeze(-1) * u, _determinant(t, slope).log()

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The code (..., d) that f maps to each of ``z`` (..., d), and ln |det df/dz| (...) at that code.

        t = w.code + b is the root of t + w.u' tanh t = w.z + b, whose left side rises with t.
        """
        u, w, b, slope = self._constrained(z)
        t = _root((z * w).sum(-1) + b, slope)
        return z - t.tanh().unsqueeze(-1) * u, _determinant(t, slope).log()

    def _constrained(self, like: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """u', w, b and 1 + w.u' > 0, of the type and on the device of ``like``."""
        u, w, b = self.u.to(like), self.w.to(like), self.b.to(like)
        product = (u * w).sum()
        slope = F.softplus(product).clamp_min(torch.finfo(like.dtype).tiny)  # zero once it underflows
        return u + (slope - 1 - product) * w / w.square().sum(), w, b, slope


def _determinant(t: Tensor, slope: Tensor) -> Tensor:
    """1 + (1 - tanh^2 t) w.u', which is positive, without the cancellation where w.u' is near -1."""
    squared = t.tanh().square()
    return squared + (1 - squared) * slope


def _root(c: Tensor, slope: Tensor) -> Tensor:
    """t (...) with t + m tanh t = c (...), m = slope - 1 > -1, with the gradient of the implicit function.

    The left side is odd, and for t > 0 concave (m > 0) or convex (m < 0). There tanh t is below t and below
    1, hence the root above (below) both c / slope and c - m: from the nearer of the two, Newton's method goes
    straight to the root and never past it. An element stays where rounding would turn it back, so that its
    root does not depend on the others.
    """
    with torch.no_grad():
        m, size, rising = slope - 1, c.abs(), slope > 1
        bounds = size / slope, size - m
        t = torch.where(rising, torch.maximum(*bounds), torch.minimum(*bounds))
        for _ in range(_NEWTON):
            following = t - (t + m * t.tanh() - size) / _determinant(t, slope)
            onward = torch.where(rising, following > t, following < t)
            if not onward.any():
                break
            t = torch.where(onward, following, t)
        t = t.copysign(c)
        derivative = _determinant(t, slope)
    residual = t + (slope - 1) * t.tanh() - c
    return t - (residual - residual.detach()) / derivative


@dataclass(frozen=True)
class Flowed(Latent):
    """The distribution of codes f_K(...f_1(z_0)) with z_0 from a Gaussian; the flows are those of all texts."""

    base: DiagonalGaussian
    flows: tuple[PlanarFlow, ...]

    @property
    def parameters(self) -> dict[str, Tensor]:
        """The parameters of the base; those of the flows belong to the model."""
        return self.base.parameters

    def center(self) -> Tensor:
        """The flows applied to the mean of the base (batch, d): Wu et al. 2020, appendix B.2."""
        return self._push(self.base.mean)[0]

    def sample(self, source: NoiseSource, samples: int) -> tuple[Tensor, Tensor]:
        """Samples of the base, pushed through the flows; their density is divided by each determinant."""
        start, log_density = self.base.sample(source, samples)
        z, log_det = self._push(start)
        return z, log_density - log_det

    def log_prob(self, z: Tensor) -> Tensor:
        """ln q_0(z_0) - sum_k ln |det df_k| at the codes from which the flows lead to ``z``."""
        start, log_det = self._pull(z)
        return self.base.log_prob(start) - log_det

    def cross_log_prob(self, z: Tensor) -> Tensor:
        """ln q(z_i | x_j) for all pairs (i, j): each code is inverted once, since all texts share the flows."""
        start, log_det = self._pull(z)
        return self.base.cross_log_prob(start) - log_det.unsqueeze(-1)

    def kl_terms(self, prior: object) -> None:
        """No closed form is known."""
        return

    def with_parameters(self, parameters: Mapping[str, Tensor]) -> Self:
        """The same flows on another base; they follow the precision of the codes."""
        return replace(self, base=self.base.with_parameters(parameters))

    def _push(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Codes (..., d) through all flows, and the sum of the log-determinants (...)."""
        total = z.new_zeros(z.shape[:-1])
        for flow in self.flows:
            z, log_det = flow(z)
            total = total + log_det
        return z, total

    def _pull(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Codes (..., d) back through all flows, and the sum of the log-determinants (...) on the way there."""
        total = z.new_zeros(z.shape[:-1])
        for flow in reversed(self.flows):
            z, log_det = flow.inverse(z)
            total = total + log_det
        return z, total


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation; one text alone has no variance and is normalised by the running statistics."""

    across_texts = "batch normalisation"

    def forward(self, values: Tensor) -> Tensor:
        """Values (batch, d), normalised per dimension, scaled and shifted."""
        if self.training and len(values) == 1:
            return F.batch_norm(
                values, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        normalised: Tensor = super().forward(values)
        return normalised


@part("signal", "planar-flow", gives=("flow",))
class PlanarFlowSignal(nn.Module):
    """The decoder reads f_K(...f_1(z)): planar flows between the code and the decoder, which all texts share.

    So the paper of the Riemannian flow draws its samples (Wang & Wang 2019, section 4.2): z from the prior, then the
    flows. ``centres`` are so many points among the codes of another model, which a procedure finds before the first
    step; they are kept with the weights, and only a term that asks for them uses them.
    """

    centres: Tensor

    def __init__(
        self,
        latent: int,
        *,
        flows: Annotated[int, Field(ge=1)] = 3,
        initial: Literal["small", "normal"] = "normal",
        centres: Annotated[int, Field(ge=0)] = 0,
    ) -> None:
        super().__init__()
        self.size = latent
        self.flows = nn.ModuleList(PlanarFlow(latent, initial) for _ in range(flows))
        self.register_buffer("centres", torch.zeros(centres, latent), persistent=centres > 0)

    def forward(self, z: Tensor) -> Tensor:
        """Codes (..., d) through all flows."""
        return self.path(z)[0][-1]

    def path(self, z: Tensor) -> tuple[list[Tensor], Tensor]:
        """Codes (..., d) before each flow and after the last, and ln |det| (...) of all flows together."""
        codes, total = [z], z.new_zeros(z.shape[:-1])
        for flow in self.flows:
            z, log_det = flow(codes[-1])
            codes.append(z)
            total = total + log_det
        return codes, total

    def pushed(self, base: DiagonalGaussian) -> Flowed:
        """The distribution of what the decoder reads, of codes of ``base``."""
        return Flowed(base, tuple(cast("Iterable[PlanarFlow]", self.flows)))


@part("posterior", "planar-flow", gives=("stochastic", "density"))
class PlanarFlowPosterior(nn.Module):
    """The Gaussian of two affine maps of e, pushed through planar flows that all texts share.

    The released code of Wu et al. 2020 normalises the outputs of both maps over the batch, which the article
    does not say. It keeps the means of different texts apart, and so has an effect on the KL of its own.
    """

    def __init__(
        self,
        features: int,
        latent: int,
        *,
        flows: Annotated[int, Field(ge=1)] = 3,
        batch_norm: bool = True,
    ) -> None:
        super().__init__()
        self.mean, self.log_std = nn.Linear(features, latent), nn.Linear(features, latent)
        self.mean_norm = BatchNorm(latent) if batch_norm else nn.Identity()
        self.log_std_norm = BatchNorm(latent) if batch_norm else nn.Identity()
        self.flows = nn.ModuleList(PlanarFlow(latent) for _ in range(flows))

    def forward(self, encoded: Tensor) -> Flowed:
        """e (batch, features) to q(z|x) with parameters (batch, d)."""
        mean = self.mean_norm(self.mean(encoded))
        log_std = self.log_std_norm(self.log_std(encoded))
        flows = cast("Iterable[PlanarFlow]", self.flows)
        return Flowed(DiagonalGaussian(mean, log_std), tuple(flows))
