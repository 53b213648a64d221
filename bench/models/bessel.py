"""Modified Bessel functions of the first kind in logarithms, for any order and with exact derivatives.

scipy's exponentially scaled ``ive`` underflows to zero where the order is large for the argument, which
spheres of many dimensions reach. Here one path serves every order: the uniform expansion in the order
(DLMF 10.41), whose error depends on the order alone, at an order of at least 20, and from there down by the
recurrence of the ratio of two neighbouring orders, which is stable in that direction. Everything is computed
in double precision on the device of the argument and returned in its type. For arguments between 1e-8 and
1e6 and orders between 0 and 10,000 the relative error of the ratio is below 1e-14, and the error of the
logarithm below 1e-12, or 1e-14 of its value where that is larger.
"""

from __future__ import annotations

import functools
import math
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_LOWEST = 20  # order from which the expansion is used
_TERMS = 12  # at order 20 the last one is about as large as the rounding


def log_bessel(order: float, x: Tensor) -> Tensor:
    """ln I_v(x) (...) of arguments x > 0 (...), for one order v >= 0; its derivative is I_v+1/I_v + v/x."""
    wide = x.detach().double()
    logarithm, ratio, _ = _evaluate(order, wide)
    return with_derivative(logarithm.to(x), ratio + order / wide, x)


def bessel_ratio(order: float, x: Tensor) -> Tensor:
    """r = I_v+1(x) / I_v(x) (...) of arguments x > 0 (...), for one order v >= 0.

    Its derivative is 1 - r^2 - (2v + 1) r/x, where 1 - r^2 comes from 1 - r, as r tends to 1 when x grows.
    """
    wide = x.detach().double()
    _, ratio, rest = _evaluate(order, wide)
    return with_derivative(ratio.to(x), rest * (2 - rest) - (2 * order + 1) * ratio / wide, x)


def with_derivative(value: Tensor, slope: Tensor, x: Tensor) -> Tensor:
    """``value`` as a function of ``x`` whose derivative is known to be ``slope``, all of one shape."""
    return _Known.apply(x, value, slope)  # type: ignore[no-any-return, no-untyped-call]


class _Known(torch.autograd.Function):
    """Values with a derivative that was computed beside them; there is no second derivative."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, value: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(slope.to(x))
        return value.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (slope,) = ctx.saved_tensors
        return grad * slope, None, None


def _evaluate(order: float, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """ln I_v, r = I_v+1 / I_v and 1 - r (...) of x (...) in double precision.

    With p = v / sqrt(v^2 + x^2), U = sum_k u_k(p) / v^k and V the same sum for the derivative,
    I_v = exp(v eta) U / sqrt(2 pi sqrt(v^2 + x^2)) and I_v' / I_v = sqrt(v^2 + x^2) / x * V / U, DLMF 10.41.3
    and 10.41.5. All terms of V - U hold the factor p^2 - 1 (10.41.9): taking it out leaves nothing to cancel.
    """
    if order < 0:
        raise ValueError(f"the order of a Bessel function is {order}, must not be negative")
    steps = max(0, math.ceil(_LOWEST - order))
    v = order + steps
    root = torch.sqrt(x.square() + v * v)
    p = v / root
    powers = p.unsqueeze(-1) ** torch.arange(3 * _TERMS + 1, device=x.device)
    u, w = (powers @ row for row in _coefficients(v, x.dtype, x.device))
    logarithm = root + v * torch.log(x / (v + root)) - 0.5 * torch.log(2 * math.pi * root) + torch.log(u)
    correction = x / v * p.square() * w / u
    ratio = x / (v + root) - correction
    rest = (v + v * v / (root + x)) / (v + root) + correction
    for step in range(
        steps
    ):  # from the ratio of orders lower + 2 and lower + 1 to that of lower + 1 and lower
        lower = v - 1 - step
        ratio = 1 / (2 * (lower + 1) / x + ratio)
        rest = ratio * (2 * (lower + 1) / x - rest)
        logarithm = logarithm - torch.log(ratio)
    return logarithm, ratio, rest


@functools.cache
def _coefficients(order: float, dtype: torch.dtype, device: torch.device) -> list[Tensor]:
    """The polynomials, copied to a device once: a copy waits for what the device is doing."""
    return [torch.tensor(row, dtype=dtype, device=device) for row in _polynomials(order)]


@functools.cache
def _polynomials(order: float) -> tuple[list[float], list[float]]:
    """Coefficients of 1, p, p^2, ... in sum_k u_k(p)/v^k and in sum_k (u_k(p)/2 + p u_k'(p))/v^(k+1)."""
    u, w = ([0.0] * (3 * _TERMS + 1) for _ in range(2))
    for k, terms in enumerate(_debye()):
        for power, coefficient in terms.items():
            u[power] += float(coefficient) / order**k
            if k < _TERMS:
                w[power] += float(coefficient * (Fraction(1, 2) + power)) / order ** (k + 1)
    return u, w


@functools.cache
def _debye() -> list[dict[int, Fraction]]:
    """u_0, u_1, ... as coefficients by power of p, from the recurrence DLMF 10.41.9."""
    polynomials = [{0: Fraction(1)}]
    for _ in range(_TERMS):
        following: dict[int, Fraction] = {}
        for power, c in polynomials[-1].items():
            rising = c * (Fraction(power, 2) + Fraction(1, 8 * (power + 1)))
            falling = c * (Fraction(power, 2) + Fraction(5, 8 * (power + 3)))
            following[power + 1] = following.get(power + 1, Fraction(0)) + rising
            following[power + 3] = following.get(power + 3, Fraction(0)) - falling
        polynomials.append(following)
    return polynomials
