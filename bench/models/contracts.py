"""What each kind of part of a model must do: the contracts that the type checker and the tests hold parts to.

Shapes: texts are (time, batch), time first; e is (batch, features), z is (batch, d), h is (batch, S).
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from bench.models.distributions import Latent
from bench.models.noise import Noise


class Encoder(Protocol):
    """A network that maps texts to encoded texts e, one vector each.

    It may have ``symbols``, which are read with the words, and a ``table`` of embeddings that are its own.
    """

    features: int

    def forward(self, embedded: Tensor, lengths: Tensor, noise: Noise | None) -> Tensor:
        """Embedded words (time, batch, E), lengths (batch,) to e (batch, features); dropout if ``noise``."""
        ...


class Condition(Protocol):
    """A network that maps another ``field`` y of the examples to e_y, and that to what it adds to decoding signals.

    ``features`` is the size of e_y, ``size`` that of a decoding signal.
    """

    field: str
    features: int
    size: int

    def forward(self, embedded: Tensor, lengths: Tensor, noise: Noise | None) -> Tensor:
        """Embedded words (time, batch, E) of the field, lengths (batch,) to e_y (batch, F); dropout if ``noise``."""
        ...

    def signal(self, condition: Tensor) -> Tensor:
        """e_y (..., F) to r(y) (..., S), which is added to h; without codes it is h."""
        ...


class PosteriorNetwork(Protocol):
    """A network that maps encoded texts to distributions over latent codes."""

    def forward(self, encoded: Tensor) -> Latent:
        """e (batch, features), with a condition [e; e_y], to q(z|x) of each text."""
        ...


class Prior(Protocol):
    """A module that is a distribution over latent codes, given a condition or not.

    It owns the device and the type of its parameters; codes of another precision are measured in their own.
    """

    def log_prob(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """Log-density in nats (...) of codes (..., d)."""
        ...

    def sample(self, count: int, generator: torch.Generator, condition: Tensor | None = None) -> Tensor:
        """Codes (count, d) on the device of the prior, whatever the device of the ``generator``."""
        ...


class Space(Protocol):
    """Where codes can be, and what lies between two of them."""

    def nearest(self, z: Tensor) -> Tensor:
        """The possible codes (..., d) nearest to ``z`` (..., d)."""
        ...

    def between(self, first: Tensor, last: Tensor, shares: Tensor) -> Tensor:
        """Codes (n, d) on the way from ``first`` (d,) to ``last`` (d,), at these ``shares`` (n,) of it."""
        ...

    def move(self, z: Tensor, shift: Tensor) -> Tensor:
        """Codes (..., d) moved by ``shift`` (..., d)."""
        ...


class SignalMap(Protocol):
    """A map from latent codes to decoding signals of a ``size``."""

    size: int

    def forward(self, z: Tensor) -> Tensor:
        """Codes (..., d) to signals (..., S)."""
        ...


class Decoder(Protocol):
    """A network that maps the words so far, and a decoding signal, to features of the next word."""

    features: int

    def forward(
        self, embedded: Tensor, signal: Tensor | None, real: Tensor, noise: Noise | None, stream: str
    ) -> Tensor:
        """Embedded go + words (time, batch, E), h (batch, S): features (time, batch, features).

        ``real`` (time, batch) marks the positions that are no padding; at the others features may be anything.
        ``stream`` names the dropout masks of this decoder.
        """
        ...

    def features_of_samples(self, embedded: Tensor, signal: Tensor) -> Tensor:
        """Many signals for each text, no dropout: embedded (time, batch, E), h (batch, samples, S).

        Returns features (time, batch, samples, features).
        """
        ...

    def start(self, signal: Tensor | None, batch: int) -> Tensor:
        """The state (batch, ...) from which generation starts."""
        ...

    def step(self, embedded: Tensor, signal: Tensor | None, state: Tensor) -> tuple[Tensor, Tensor]:
        """One word (batch, E) of generation: features (batch, features) and the next state."""
        ...
