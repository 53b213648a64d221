"""Matching: how far the decoding signals are from those of a deterministic twin (Wu et al. 2020, equation 5)."""

from __future__ import annotations

import functools
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from bench.base.registry import part
from bench.models.forward import Forward
from bench.models.model import TWIN

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def rational_quadratic(squared: Tensor, constant: float) -> Tensor:
    """-sum_s sC / (sC + D) of squared distances D, in [-7, 0): -7 at D = 0."""
    scaled = constant * _scales(squared.device)
    return -(scaled / (scaled + squared.unsqueeze(-1))).sum(-1)


@functools.cache
def _scales(device: torch.device) -> Tensor:
    """The scales, copied to a device once: a copy waits for what the device is doing."""
    return torch.tensor(SCALES, device=device)


@part("term", "matching", needs={"twin": "it is the distance from the signal of the twin"})
class Matching:
    """The distance from the decoding signal h to that of the twin, which is detached: no gradient reaches the twin.

    What a condition adds to both signals cancels in the distance, but not in its gradient, since one side is detached:
    ``of`` the whole ``signal``, as released, the distance also moves the network of the condition, to no avail; ``of``
    what the ``code`` alone gives, it does not.
    """

    def __init__(
        self,
        *,
        distance: Literal["rational-quadratic", "euclidean"] = "rational-quadratic",
        constant: Annotated[float, Field(gt=0)] = 64.0,
        of: Literal["signal", "code"] = "signal",
    ) -> None:
        self.distance, self.constant, self.of = distance, constant, of

    def __call__(self, forward: Forward) -> Tensor:
        """Per text (batch,)."""
        if self.of == "code":
            return self.between(forward.main.of_code, forward[TWIN].of_code.detach())
        signal, twin = forward.main.signal, forward[TWIN].signal
        if signal is None or twin is None:
            raise TypeError("a language model has no decoding signal")
        return self.between(signal, twin.detach())

    def between(self, signal: Tensor, other: Tensor) -> Tensor:
        """The distances (batch,) of signals (batch, S)."""
        squared = (signal - other).square().sum(-1)
        if self.distance == "euclidean":
            return squared
        return rational_quadratic(squared, self.constant)
