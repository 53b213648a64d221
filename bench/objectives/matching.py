"""Coupling: the losses that a deterministic twin adds (Wu et al. 2020, equations 4 and 5)."""

from __future__ import annotations

import functools
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from bench.base.registry import part

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def rational_quadratic(squared: Tensor, constant: float) -> Tensor:
    """-sum_s sC / (sC + D) of squared distances D, in [-7, 0): -7 at D = 0."""
    scaled = constant * _scales(squared.device)
    return -(scaled / (scaled + squared.unsqueeze(-1))).sum(-1)


@functools.cache
def _scales(device: torch.device) -> Tensor:
    """The scales, copied to a device once: a copy waits for what the device is doing."""
    return torch.tensor(SCALES, device=device)


@part("coupling", "twin")
class Twin:
    """A deterministic twin: its reconstruction, and the distance from h to its signal, which is detached."""

    def __init__(
        self,
        *,
        reconstruction_weight: Annotated[float, Field(ge=0)] = 1.0,
        matching_weight: Annotated[float, Field(ge=0)] = 0.1,
        distance: Literal["rational-quadratic", "euclidean"] = "rational-quadratic",
        constant: Annotated[float, Field(gt=0)] = 64.0,
    ) -> None:
        self.reconstruction_weight, self.matching_weight = reconstruction_weight, matching_weight
        self.distance, self.constant = distance, constant

    def match(self, signal: Tensor, twin_signal: Tensor) -> Tensor:
        """The matching loss per text (batch,) of signals (batch, S); no gradient reaches the twin."""
        squared = (signal - twin_signal.detach()).square().sum(-1)
        if self.distance == "euclidean":
            return squared
        return rational_quadratic(squared, self.constant)
