"""Bessel functions against mpmath, scipy, closed forms of half orders and finite differences."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from scipy.special import ive
from torch import Tensor

from bench.models.bessel import bessel_ratio, log_bessel

mpmath = importlib.import_module("mpmath")  # comes with torch, through sympy; it has no types

# Below, at and above the order from which the expansion is used; up to 20,000 dimensions.
ORDERS = (0, 0.5, 1, 2.3, 15, 19.5, 20, 20.5, 60, 499, 9_999)
ARGUMENTS = (1e-8, 1e-3, 0.1, 1, 5, 15.9, 31, 100, 400, 1e3, 1e4, 1e5, 1e6)
SERIES = [  # mpmath sums neither its series nor its expansion where a large argument meets a large order
    (order, x) for order in ORDERS for x in ARGUMENTS if order < 400 or x < 2_000
]


def number(x: float) -> Tensor:
    return torch.tensor(x, dtype=torch.float64, requires_grad=True)


def exact(order: float, x: Any) -> tuple[Any, Any]:
    """ln I_v(x) and I_v+1(x) / I_v(x) to the digits that mpmath works with."""
    lower, upper = mpmath.besseli(order, x), mpmath.besseli(order + 1, x)
    return mpmath.log(lower), upper / lower


def test_values_and_derivatives_equal_mpmath() -> None:
    with mpmath.workdps(50):
        for order, x in SERIES:
            where = f"order {order}, argument {x}"
            step = mpmath.mpf(x) * mpmath.mpf("1e-12")
            logarithm, ratio = exact(order, mpmath.mpf(x))
            above, below = exact(order, x + step), exact(order, x - step)
            slopes = [(right - left) / (2 * step) for right, left in zip(above, below, strict=True)]
            argument = number(x)
            found = log_bessel(order, argument), bessel_ratio(order, argument)
            grads = [torch.autograd.grad(value, argument)[0].item() for value in found]
            assert found[0].item() == pytest.approx(float(logarithm), rel=1e-14, abs=1e-12), where
            assert found[1].item() == pytest.approx(float(ratio), rel=1e-14, abs=0), where
            assert grads[0] == pytest.approx(float(slopes[0]), rel=1e-13, abs=0), where
            # A difference of terms as large as 1 - r^2, which is far larger than it at either end.
            assert grads[1] == pytest.approx(float(slopes[1]), rel=0, abs=2e-13 * float(1 - ratio**2)), where


@pytest.mark.parametrize("x", ARGUMENTS)
def test_the_half_orders_of_three_dimensions(x: float) -> None:
    """I_1/2 = sqrt(2/(pi x)) sinh x, and I_3/2 / I_1/2 = coth x - 1/x."""
    with mpmath.workdps(50):
        wide = mpmath.mpf(x)
        logarithm = float(mpmath.log(mpmath.sqrt(2 / (mpmath.pi * wide)) * mpmath.sinh(wide)))
        ratio = float(mpmath.coth(wide) - 1 / wide)
    assert log_bessel(0.5, number(x)).item() == pytest.approx(logarithm, rel=1e-14, abs=1e-13)
    assert bessel_ratio(0.5, number(x)).item() == pytest.approx(ratio, rel=1e-14, abs=0)


@pytest.mark.parametrize(("order", "x"), [(499, 1e4), (499, 1e6), (9_999, 1e5), (9_999, 1e6)])
def test_large_arguments_of_large_orders_equal_scipy(order: float, x: float) -> None:
    lower, upper = ive(order, x), ive(order + 1, x)
    assert log_bessel(order, number(x)).item() - x == pytest.approx(math.log(lower), abs=1e-9)
    assert bessel_ratio(order, number(x)).item() == pytest.approx(upper / lower, rel=1e-11, abs=0)


def test_it_goes_on_where_scipy_underflows() -> None:
    assert ive(499, 1.0) == 0
    first_terms = -499 * math.log(2) - math.lgamma(500) + math.log(1 + 0.25 / 500)
    assert log_bessel(499, number(1.0)).item() == pytest.approx(first_terms, abs=1e-6)


@pytest.mark.parametrize("function", [log_bessel, bessel_ratio])
@pytest.mark.parametrize("order", [0, 0.5, 15, 20, 499])
def test_derivatives_equal_finite_differences(
    function: Callable[[float, Tensor], Tensor], order: float
) -> None:
    x = torch.tensor([[0.5, 3.0, 12.0], [40.0, 150.0, 900.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda argument: function(order, argument), (x,), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("function", [log_bessel, bessel_ratio])
def test_types_and_mistakes(function: Callable[[float, Tensor], Tensor]) -> None:
    x = torch.tensor([1.0, math.nan, 30.0], requires_grad=True)
    value = function(15, x)
    assert value.dtype == torch.float32
    assert value.isnan().tolist() == [False, True, False]
    (grad,) = torch.autograd.grad(value.sum(), x, create_graph=True)
    assert grad.dtype == torch.float32
    assert grad.isnan().tolist() == [False, True, False]
    with pytest.raises(RuntimeError):
        torch.autograd.grad(grad.sum(), x)
    with pytest.raises(ValueError, match="order"):
        function(-0.5, x)
