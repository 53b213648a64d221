"""The Poincare ball of curvature -c: the points z of R^d with c |z|^2 < 1, and its maps (Dai et al. 2021, eq. 4 to 6).

In a tangent vector u at x, lengths count lambda_x = 2 / (1 - c |x|^2) times. As c goes to 0 the ball becomes R^d with
lengths that count twice. Maps are computed in double precision, because near the border 1 - c |z|^2 is a small
difference, and are given back in the precision of what they were given.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.base.registry import part
from bench.models.spaces import Euclidean

_BORDER = 1e-5  # share of the radius by which codes stay away from the border, where single precision still has them
_TINY = 1e-15  # added to norms by which is divided


@dataclass(frozen=True)
class Ball:
    """Maps of the ball of ``curvature`` -c, c > 0, on points and vectors (..., d).

    ``spread``: the code of a wrapped normal distribution is so many times |v| from its mean, for v ~ N(0, S): 2 in Dai
    et al. (2021, equation 7), 1 in the released code of Mathieu et al. (2019), which halves v first.
    """

    curvature: float = 1.0
    spread: float = 2.0

    def factor(self, x: Tensor) -> Tensor:
        """lambda_x (..., 1)."""
        return 2 / (1 - self.curvature * _squares(x))

    def nearest(self, z: Tensor) -> Tensor:
        """``z`` (..., d), drawn back along its ray where it is outside of the ball or too near to its border."""
        most = (1 - _BORDER) / math.sqrt(self.curvature)
        norm = z.norm(dim=-1, keepdim=True)
        return torch.where(norm > most, z * (most / norm.clamp_min(_TINY)), z)

    def at_border(self, z: Tensor) -> Tensor:
        """Whether codes (..., d) are where :meth:`nearest` puts those that it draws back: booleans (...)."""
        found: Tensor = z.norm(dim=-1) * math.sqrt(self.curvature) > 1 - 1.1 * _BORDER
        return found

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        """The Moebius sum of x and y (equation 4)."""
        return _in_double(self._add, x, y)

    def exp(self, x: Tensor, u: Tensor) -> Tensor:
        """The end of the geodesic that starts at x with the tangent vector u (equation 5)."""
        return self.nearest(_in_double(self._exp, x, u))

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """The tangent vector at x whose geodesic ends at y: the inverse of :meth:`exp` (equation 5)."""
        return _in_double(self._log, x, y)

    def transport(self, x: Tensor, v: Tensor) -> Tensor:
        """The tangent vector v at the origin, carried to x in parallel: (lambda_0 / lambda_x) v (equation 6)."""
        return _in_double(self._transport, x, v)

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """The length (...) of the geodesic between x and y."""
        return _in_double(lambda x, y: (self.factor(x) * self._log(x, y)).norm(dim=-1), x, y)

    def wrap(self, mean: Tensor, v: Tensor) -> Tensor:
        """The code to which v at the origin leads, at ``spread`` |v| from its ``mean`` (equation 7)."""
        half = self.spread / 2
        return self.nearest(_in_double(lambda m, v: self._exp(m, self._transport(m, half * v)), mean, v))

    def unwrap(self, mean: Tensor, z: Tensor) -> Tensor:
        """The inverse of :meth:`wrap`: v of the codes z, in double precision."""
        mean, z = mean.double(), z.double()
        return self.factor(mean) * self._log(mean, z) / self.spread

    def log_volume(self, v: Tensor) -> Tensor:
        """ln of how much :meth:`wrap` enlarges a volume at v (...): by what a density in v is to be divided.

        d ln s + (d - 1) ln(sinh(r) / r) with the spread s and r = sqrt(c) s |v|. Volumes are those of the ball.
        """
        v, d = v.double(), v.shape[-1]
        r = (math.sqrt(self.curvature) * self.spread) * torch.sqrt(_squares(v).squeeze(-1) + _TINY**2)
        return d * math.log(self.spread) + (d - 1) * _log_sinhc(r)

    def _transport(self, x: Tensor, v: Tensor) -> Tensor:
        carried: Tensor = 2 / self.factor(x) * v
        return carried

    def _add(self, x: Tensor, y: Tensor) -> Tensor:
        c, xx, yy, xy = self.curvature, _squares(x), _squares(y), (x * y).sum(-1, keepdim=True)
        upper = (1 + 2 * c * xy + c * yy) * x + (1 - c * xx) * y
        return upper / (1 + 2 * c * xy + c * c * xx * yy)

    def _exp(self, x: Tensor, u: Tensor) -> Tensor:
        root, norm = math.sqrt(self.curvature), _norm(u)
        return self._add(x, torch.tanh(root * self.factor(x) * norm / 2) * u / (root * norm))

    def _log(self, x: Tensor, y: Tensor) -> Tensor:
        root, towards = math.sqrt(self.curvature), self._add(-x, y)
        norm = _norm(towards)
        # A sum of points inside is inside, but may round to the border.
        return 2 / (root * self.factor(x)) * torch.atanh((root * norm).clamp_max(1 - 1e-15)) * towards / norm


def ball_of(posterior: object) -> Ball:
    """The ball in which a posterior network has its codes; that of curvature -1 if it has none."""
    ball = getattr(posterior, "ball", None)
    return ball if isinstance(ball, Ball) else Ball()


@part("space", "poincare-ball")
class PoincareBall(Euclidean):
    """The Poincare ball of the posterior: codes are joined by geodesics."""

    def __init__(self, posterior: object = None) -> None:
        self.ball = ball_of(posterior)

    def nearest(self, z: Tensor) -> Tensor:
        """``z`` (..., d), drawn back along its ray where it is outside of the ball."""
        return self.ball.nearest(z)

    def between(self, first: Tensor, last: Tensor, shares: Tensor) -> Tensor:
        """Codes (n, d) at ``shares`` (n,) of the geodesic from one code (d,) to another."""
        way = self.ball.log(first, last)
        return self.ball.exp(first.expand(len(shares), -1), shares[:, None] * way)

    def move(self, z: Tensor, shift: Tensor) -> Tensor:
        """The codes (..., d) to which ``shift`` (..., d) at the origin, carried to ``z`` (..., d), leads."""
        return self.ball.exp(z, self.ball.transport(z, shift))


def _in_double(function: Callable[..., Tensor], *values: Tensor) -> Tensor:
    return function(*(value.double() for value in values)).to(values[0].dtype)


def _squares(x: Tensor) -> Tensor:
    return x.square().sum(-1, keepdim=True)


def _norm(x: Tensor) -> Tensor:
    """The norm (..., 1), never 0 and with a gradient at 0."""
    return torch.sqrt(_squares(x) + _TINY**2)


def _log_sinhc(r: Tensor) -> Tensor:
    """ln(sinh(r) / r) of r >= 0; the series where the quotient would lose its digits."""
    small = r < 1e-2
    large = torch.where(small, 1.0, r)
    exact = large + torch.log(-torch.expm1(-2 * large)) - torch.log(2 * large)
    near = torch.where(small, r, 0.0).square()
    return torch.where(small, near / 6 - near.square() / 180, exact)
