"""Conditions: another field y of an example, as the post that a response answers, and a prior that depends on it.

Shapes: e_y is (batch, F), z is (batch, d), h is (batch, S).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from bench.base.registry import part
from bench.models.distributions import DiagonalGaussian
from bench.models.encoders import GRUEncoder
from bench.models.noise import Noise
from bench.models.precision import in_float32
from bench.models.priors import normal


@part("condition", "gru")
class GRUCondition(nn.Module):
    """A field of the example, read by a GRU of its own: e_y, of which r(y), an affine map, is added to h.

    It has the embedding of the model, and nothing else in common with the encoder (Wu et al. 2020, released code).
    """

    def __init__(
        self,
        embedding: int,
        *,
        field: str,
        hidden: Annotated[int, Field(ge=1)],
        bidirectional: bool = True,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2,
    ) -> None:
        super().__init__()
        self.field, self.size = field, embedding
        self.encoder = GRUEncoder(embedding, hidden=hidden, bidirectional=bidirectional, dropout=dropout)
        self.encoder.stream = "condition dropout"
        self.features = self.encoder.features
        self.response = nn.Linear(self.features, embedding)

    def forward(self, embedded: Tensor, lengths: Tensor, noise: Noise | None) -> Tensor:
        """Embedded words (time, batch, E) of the field, lengths (batch,) to e_y (batch, F); dropout if ``noise``."""
        encoded: Tensor = self.encoder(embedded, lengths, noise)
        return encoded

    def signal(self, condition: Tensor) -> Tensor:
        """e_y (..., F) to r(y) (..., S), of the size of a word."""
        signal: Tensor = self.response(condition)
        return signal


@part(
    "prior",
    "conditional-gaussian",
    needs={"condition": "its mean and its deviations are maps of the encoded condition"},
)
class ConditionalGaussian(nn.Module):
    """p(z|y): a diagonal Gaussian whose mean and log standard deviations are affine maps of e_y.

    With a ``hidden`` size they are affine maps of one layer of so many tanh units, which both share; ``spread`` says
    what the second gives: the logarithm of the ``deviation`` or of the ``variance`` (Zhao et al. 2017, released code).
    """

    def __init__(
        self,
        latent: int,
        condition: int,
        *,
        hidden: Annotated[int, Field(ge=0)] = 0,
        spread: Literal["deviation", "variance"] = "deviation",
    ) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(condition, hidden), nn.Tanh()) if hidden else nn.Identity()
        self.mean = nn.Linear(hidden or condition, latent)
        self.log_std = nn.Linear(hidden or condition, latent)
        self.halves = spread == "variance"

    def given(self, condition: Tensor) -> DiagonalGaussian:
        """p(z|y) of each e_y (batch, F)."""
        with in_float32(condition):
            values = self.inner(condition)
            log_std = self.log_std(values)
            return DiagonalGaussian(self.mean(values), log_std / 2 if self.halves else log_std)

    def log_prob(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """ln p(z|y) in nats (batch,) of codes (batch, d), a code for each e_y (batch, F)."""
        return self.given(_needed(condition)).log_prob(z.unsqueeze(1)).squeeze(1)

    def sample(self, count: int, generator: torch.Generator, condition: Tensor | None = None) -> Tensor:
        """Codes (count, d), one for each e_y (count, F)."""
        prior = self.given(_needed(condition))
        return prior.mean + prior.log_std.exp() * normal(count, generator, prior.mean)


def given_condition(prior: Any, condition: Tensor | None) -> Any:
    """p(z|y) of each e_y (batch, F) where the ``prior`` depends on it, else the prior itself."""
    return prior.given(_needed(condition)) if isinstance(prior, ConditionalGaussian) else prior


def _needed(condition: Tensor | None) -> Tensor:
    if condition is None:
        raise TypeError("this prior depends on a condition, and there is none")
    return condition
