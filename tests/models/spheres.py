"""Von Mises-Fisher distributions as integrals over the angle to the mode, by Gauss and Legendre."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from bench.models.noise import BatchSource
from bench.models.von_mises_fisher import (
    VonMisesFisher,
)

Array = NDArray[np.float64]
# Dimensions and concentrations: the least of both, around the change at k = 10, and the extremes.
CASES = [(3, 1e-3), (3, 1.0), (3, 1e6), (4, 20.0), (32, 0.5), (32, 10.5), (32, 400.0), (32, 1e6)]
CASES += [(1_000, 1.0), (1_000, 300.0), (1_000, 1e6)]


def modes(batch: int, latent: int, seed: int = 0) -> Tensor:
    normals = torch.randn(batch, latent, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return F.normalize(normals, dim=-1)


def vmf(
    batch: int, latent: int, k: float, sampler: Literal["exact", "released"] = "exact", seed: int = 0
) -> VonMisesFisher:
    """Random modes, the same concentration for all, in double precision."""
    return VonMisesFisher(modes(batch, latent, seed), torch.full((batch,), k, dtype=torch.float64), sampler)


def source(batch: int, seed: int = 1) -> BatchSource:
    return BatchSource(torch.Generator().manual_seed(seed), batch)


def angles(latent: int, k: float) -> tuple[Array, Array]:
    """Angles to the mode (400,) up to where their density ends, and the weights of an integral over them."""
    end = min(math.pi, 2 * math.sqrt(latent / k) + 20 / math.sqrt(max(k, latent / 4)))
    nodes, weights = np.polynomial.legendre.leggauss(400)
    return end / 2 * (1 + nodes), end / 2 * weights


def log_density(angle: Array, latent: int, k: float) -> Array:
    """ln (exp(k (cos - 1)) sin^(d-2)), the density of the angle to the mode but for its constant."""
    return np.asarray(-2 * k * np.sin(angle / 2) ** 2 + (latent - 2) * np.log(np.sin(angle)))


def probabilities(latent: int, k: float) -> tuple[Array, Array]:
    """Angles to the mode (400,) and the probability that each stands for."""
    angle, width = angles(latent, k)
    exponent = log_density(angle, latent, k)
    weight = width * np.exp(exponent - exponent.max())
    return angle, weight / weight.sum()


def at_angles(q: VonMisesFisher, angle: Array) -> Tensor:
    """A point of the sphere (points, d) at each angle to the mode of the first text."""
    mode = q.direction[0]
    other = modes(1, len(mode), seed=9)[0]
    other = F.normalize(other - (other @ mode) * mode, dim=-1)
    theta = torch.from_numpy(angle)[:, None]
    return torch.cos(theta) * mode + torch.sin(theta) * other


def one_minus_cosines(q: VonMisesFisher, z: Tensor) -> Tensor:
    """1 - mode.z (batch, samples), without cancellation near the mode."""
    return (z - q.direction.unsqueeze(1)).square().sum(-1) / 2
