"""A prior that is a normalising flow: N(0, I) pushed through affine couplings (RealNVP; Dinh et al. 2017)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from bench.base.registry import part
from bench.models.precision import in_float32
from bench.models.priors import FixedPrior, StandardNormal


class AffineCoupling(nn.Module):
    """One half a of a code stays, the other becomes b exp(s(a)) + t(a) (Dinh et al. 2017, equations 4 and 5).

    s and t are the two halves of the output of one network with a hidden layer of tanh. The logarithm of the scale
    is c tanh(s(a)) with a learned c for each number, so that no code is stretched without bound. The network's last
    layer begins with zeros: the coupling begins as the identity. All runs in the precision of the codes.
    """

    begins_as_it_says = True

    def __init__(self, latent: int, hidden: int, *, keeps_last: bool) -> None:
        """``keeps_last``: the half that stays is the last d - d // 2 numbers, not the first d // 2."""
        super().__init__()
        self.split, self.keeps_last = latent // 2, keeps_last
        kept = latent - self.split if keeps_last else self.split
        moved = latent - kept
        self.weight = nn.Parameter(torch.empty(hidden, kept))
        self.bias = nn.Parameter(torch.empty(hidden))
        self.last_weight = nn.Parameter(torch.empty(2 * moved, hidden))
        self.last_bias = nn.Parameter(torch.empty(2 * moved))
        self.bound = nn.Parameter(torch.empty(moved))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """The hidden layer as a linear layer is by default, zeros in the last layer, c = 1."""
        limit = 1 / math.sqrt(max(self.weight.shape[1], 1))
        nn.init.uniform_(self.weight, -limit, limit)
        nn.init.uniform_(self.bias, -limit, limit)
        nn.init.zeros_(self.last_weight)
        nn.init.zeros_(self.last_bias)
        nn.init.ones_(self.bound)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """f(z) (..., d) of codes (..., d), and ln |det df/dz| (...) in nats."""
        kept, moved = self._halves(z)
        scale, shift = self._maps(kept)
        return self._joined(kept, moved * scale.exp() + shift), scale.sum(-1)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The code (..., d) that f maps to each of ``z`` (..., d), and ln |det df/dz| (...) at that code."""
        kept, moved = self._halves(z)
        scale, shift = self._maps(kept)
        return self._joined(kept, (moved - shift) * (-scale).exp()), scale.sum(-1)

    def _maps(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        """The logarithms of the scales and the shifts of the half that moves."""
        hidden = F.linear(kept, self.weight.to(kept), self.bias.to(kept)).tanh()
        raw, shift = F.linear(hidden, self.last_weight.to(kept), self.last_bias.to(kept)).chunk(2, dim=-1)
        return self.bound.to(kept) * raw.tanh(), shift

    def _halves(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The half that stays and the half that moves."""
        first, last = z[..., : self.split], z[..., self.split :]
        return (last, first) if self.keeps_last else (first, last)

    def _joined(self, kept: Tensor, moved: Tensor) -> Tensor:
        return torch.cat([moved, kept] if self.keeps_last else [kept, moved], dim=-1)


@part("prior", "real-nvp")
class RealNVP(FixedPrior):
    """The distribution of f_L(...f_1(z_0)) with z_0 ~ N(0, I) and affine couplings f_l (FlowPrior, equations 5 and 6).

    ln p(z) = ln N(z_0; 0, I) - sum_l ln |det df_l|, at the z_0 from which the flow leads to z. The halves take turns:
    otherwise the first d // 2 numbers of a code would keep their standard normal distribution. No closed form of a KL
    to it is known.
    """

    def __init__(
        self,
        latent: int,
        *,
        layers: Annotated[int, Field(ge=1)] = 6,
        hidden: Annotated[int, Field(ge=1)] = 64,
    ) -> None:
        super().__init__(latent)
        self.base = StandardNormal(latent)
        self.layers = nn.ModuleList(
            AffineCoupling(latent, hidden, keeps_last=n % 2 == 1) for n in range(layers)
        )

    def push(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Codes (..., d) of the base through all layers, and the sum of the log-determinants (...)."""
        total = z.new_zeros(z.shape[:-1])
        for layer in self._couplings():
            z, log_det = layer(z)
            total = total + log_det
        return z, total

    def pull(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Codes (..., d) back through all layers, and the sum of the log-determinants (...) on the way there."""
        total = z.new_zeros(z.shape[:-1])
        for layer in reversed(list(self._couplings())):
            z, log_det = layer.inverse(z)
            total = total + log_det
        return z, total

    def log_prob(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """ln N(z_0; 0, I) - sum_l ln |det df_l| in nats (...) of codes (..., d)."""
        with in_float32(z):
            start, log_det = self.pull(z)
            return self.base.log_prob(start) - log_det

    def sample(self, count: int, generator: torch.Generator, condition: Tensor | None = None) -> Tensor:
        """Codes (count, d)."""
        with in_float32(self.origin):
            return self.push(self.normal(count, generator))[0]

    def _couplings(self) -> Iterable[AffineCoupling]:
        return cast("Iterable[AffineCoupling]", self.layers)
