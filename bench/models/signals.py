"""Maps from the latent code z to the decoding signal h, which the decoder reads."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from bench.base.registry import part
from bench.models.poincare import ball_of


@part("signal", "mlp")
class PerceptronSignal(nn.Module):
    """z to the decoding signal h of the size of a word: Linear, ReLU, Linear (Wu et al. 2020, appendix C)."""

    def __init__(self, latent: int, embedding: int) -> None:
        super().__init__()
        self.size = embedding
        self.inner = nn.Linear(latent, embedding)
        self.outer = nn.Linear(embedding, embedding)

    def forward(self, z: Tensor) -> Tensor:
        """Codes (..., d) to signals (..., S)."""
        signals: Tensor = self.outer(torch.relu(self.inner(z)))
        return signals


@part("signal", "identity")
class Identity(nn.Module):
    """The decoder reads the code itself: h = z."""

    def __init__(self, latent: int, embedding: int) -> None:
        super().__init__()
        self.size = latent

    def forward(self, z: Tensor) -> Tensor:
        """Codes (..., d) as they are."""
        return z


@part(
    "signal",
    "hyperbolic",
    version=2,  # its hyperplanes begin as they say, whatever `initial.weights`
    needs={"poincare-ball": "its features are distances in the ball of the posterior"},
)
class Hyperbolic(nn.Module):
    """Signed distances of codes of the Poincare ball to learned hyperplanes, one for each dimension of the code.

    The hyperplane (a, b) goes through b and has the normal a there; the feature is sign<a, log_b z> |a|_b d(z, H_ab)
    with |a|_b = lambda_b |a| (Dai et al. 2021, equation 8). As the curvature goes to 0 it becomes 4 <a, z - b>.
    """

    begins_as_it_says = True  # with the narrow bounds of some protocols the decoder would hardly see the code

    def __init__(self, latent: int, posterior: object = None) -> None:
        super().__init__()
        self.size, self.ball = latent, ball_of(posterior)
        self.normal = nn.Parameter(torch.empty(latent, latent))  # a of each feature
        self.offset = nn.Parameter(
            torch.empty(latent, latent)
        )  # exp_0 of it is b: whatever it is, b is in the ball
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Hyperplanes near the origin, and features of about the size of the numbers of a code."""
        nn.init.normal_(self.normal, std=0.25 / math.sqrt(self.size))
        nn.init.normal_(self.offset, std=0.01)

    def forward(self, z: Tensor) -> Tensor:
        """Codes (..., d) to features (..., d)."""
        c, a = self.ball.curvature, self.normal.double()
        b = self.ball.exp(torch.zeros_like(a), self.offset.double())
        point = z.double()
        zz, bb, bz = point.square().sum(-1, keepdim=True), b.square().sum(-1), point @ b.mT
        shrinking = 1 - c * bb
        # <k, a> / (1 - c |k|^2) for k = (-b) + z, the Moebius sum: both have one denominator, which cancels.
        along = shrinking * (point @ a.mT) - (1 - 2 * c * bz + c * zz) * (a * b).sum(-1)
        norm = torch.sqrt(a.square().sum(-1) + 1e-30)
        root = math.sqrt(c)
        sine = 2 * root * along / (shrinking * (1 - c * zz) * norm)
        features: Tensor = 2 / shrinking * norm * torch.asinh(sine) / root
        return features.to(z.dtype)
