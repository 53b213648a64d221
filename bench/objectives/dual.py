"""The dual form of a KL: a network that is fitted to the log-ratio of two densities, and the term that it gives.

KL(q || p) - 1 is the largest value that E_q nu - E_p exp nu takes over functions nu, at nu = ln q/p (Fang et al. 2019,
equation 7 with the constant that it lacks). A network that is trained reaches less, so the KL is underestimated, and
whoever minimises what the network says is drawn to where it is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call

from bench.base.errors import BenchError
from bench.base.registry import part
from bench.models.forward import Forward
from bench.models.precision import in_float32
from bench.objectives.contracts import Term


@part(
    "term",
    "density-ratio",
    version=2,  # two networks of an objective see the same codes of the prior
    needs={
        "prior": "it compares codes of texts with codes of the prior",
        "stochastic": "a point has no density",
    },
    gives=("ratio",),
)
class DensityRatio(nn.Module):
    """The loss of a network nu, exp nu(z~) - nu(z), for z~ of the prior and z of a text; its least mean is 1 - KL.

    ``given_text``: nu reads [z; e], and its best value is ln q(z|x)/p(z); else z alone, and it is ln q(z)/p(z) with
    the aggregated posterior (Fang et al. 2019, equations 7 and 13, released code). It has ``layers`` layers of
    ``hidden`` units with leaky rectifiers. Codes and encoded texts get no gradient: only nu learns from this term.
    """

    def __init__(
        self,
        latent: int,
        features: int,
        *,
        given_text: bool = True,
        hidden: Annotated[int, Field(ge=1)] = 512,
        layers: Annotated[int, Field(ge=1)] = 3,
    ) -> None:
        super().__init__()
        self.given_text = given_text
        sizes = [latent + (features if given_text else 0), *[hidden] * layers]
        maps = [(nn.Linear(*each), nn.LeakyReLU()) for each in pairwise(sizes)]
        self.network = nn.Sequential(*(module for pair in maps for module in pair), nn.Linear(hidden, 1))

    def __call__(self, forward: Forward) -> Tensor:
        """Per text (batch,), in nats."""
        z, encoded = forward.main.z.detach(), forward.encoded.detach()
        return self.value(forward.prior_codes.detach(), encoded).exp() - self.value(z, encoded)

    def value(self, z: Tensor, encoded: Tensor) -> Tensor:
        """nu (batch,) of codes (batch, d) and encoded texts (batch, features)."""
        with in_float32(z):
            found: Tensor = self.network(self._read(z, encoded))
        return found.squeeze(-1)

    def judged(self, z: Tensor, encoded: Tensor) -> Tensor:
        """The same, with a gradient of the codes alone: none of the encoded text as nu reads it, and none of nu."""
        fixed = {name: parameter.detach() for name, parameter in self.network.named_parameters()}
        with in_float32(z):
            found: Tensor = functional_call(self.network, fixed, (self._read(z, encoded.detach()),))
        return found.squeeze(-1)

    def _read(self, z: Tensor, encoded: Tensor) -> Tensor:
        return torch.cat([z, encoded], dim=-1) if self.given_text else z


@part("term", "dual", needs={"ratio": "it is the mean of a fitted log-ratio of densities"})
class Dual:
    """nu(x, z), or nu(z), at the code of a text: what of the dual KL depends on encoder and code.

    ``ratio`` names the term of the same objective that has the network nu. With one that reads the text this stands for
    KL(q(z|x) || p(z)), else for KL(q(z) || p(z)). It is neither of them, and no bound of them from above.
    """

    def __init__(
        self,
        others: Mapping[str, Term],
        *,
        ratio: Annotated[str, Field(json_schema_extra={"names": "terms"})] = "nu_xz",
    ) -> None:
        self.others, self.ratio = others, ratio

    def __call__(self, forward: Forward) -> Tensor:
        """Per text (batch,), in nats."""
        return _network(self.others, self.ratio, "dual").judged(forward.main.z, forward.encoded)


@part(
    "term",
    "dual-prior",
    needs={
        "ratio": "it is what a fitted log-ratio of densities says of codes of the prior",
        "prior": "it moves the prior",
    },
)
class DualPrior:
    """-exp nu(x, z~) at a code z~ of the prior: what of the dual KL depends on the parameters of a learned prior.

    The prior that minimises it descends on the dual KL, as a bound of the likelihood asks for. With ``ascent`` the sign
    is the other, and the prior moves away from the posteriors (Dai et al. 2021, algorithm 1, as printed).
    """

    def __init__(
        self,
        others: Mapping[str, Term],
        *,
        ratio: Annotated[str, Field(json_schema_extra={"names": "terms"})] = "nu_xz",
        ascent: bool = False,
    ) -> None:
        self.others, self.ratio, self.sign = others, ratio, 1.0 if ascent else -1.0

    def __call__(self, forward: Forward) -> Tensor:
        """Per text (batch,)."""
        network = _network(self.others, self.ratio, "dual-prior")
        return self.sign * network.judged(forward.prior_codes, forward.encoded).exp()


def _network(others: Mapping[str, Term], name: str, term: str) -> DensityRatio:
    """The term of that name. Raises :class:`BenchError` unless it has the network that is asked for."""
    network = others[name]
    if not isinstance(network, DensityRatio):
        what = f"term {name!r} has no fitted ratio of densities"
        raise BenchError(what, where=f"term {term}", allowed=["density-ratio"])
    return network
