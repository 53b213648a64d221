"""Both matching losses by hand, and where their gradient goes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Literal

import pytest
import torch

from bench.objectives.matching import Matching, rational_quadratic

C = 64.0  # twice the 32 dimensions of the code
H, H_TWIN = torch.tensor([[1.0, 2.0, 2.0], [0.0, 0.0, 0.0]]), torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])


def test_euclidean_is_the_squared_distance_summed_over_coordinates() -> None:
    assert Matching(distance="euclidean").between(H, H_TWIN).tolist() == [9.0, 3.0]


def test_rational_quadratic_by_hand() -> None:
    def by_hand(d: float) -> float:
        return -sum(s * C / (s * C + d) for s in (0.1, 0.2, 0.5, 1, 2, 5, 10))

    assert Matching().between(H, H_TWIN).tolist() == pytest.approx([by_hand(9.0), by_hand(3.0)], rel=1e-6)
    # D = 64: 1/11 + 1/6 + 1/3 + 1/2 + 2/3 + 5/6 + 10/11 = 3.5
    assert float(rational_quadratic(torch.tensor(64.0), C)) == pytest.approx(-3.5, rel=1e-6)


def test_rational_quadratic_rises_from_minus_seven_towards_zero() -> None:
    values = rational_quadratic(torch.logspace(-3, 6, 200), C)
    assert float(rational_quadratic(torch.tensor(0.0), C)) == -7
    assert (values.diff() > 0).all()
    assert -7 < values[0] < values[-1] < 0


def test_slope_at_zero() -> None:
    d = torch.zeros((), requires_grad=True)
    (slope,) = torch.autograd.grad(rational_quadratic(d, C), d)
    # (1/0.1 + 1/0.2 + 1/0.5 + 1/1 + 1/2 + 1/5 + 1/10) / C
    assert float(slope) == pytest.approx(18.8 / 64, rel=1e-6)


class Branches(SimpleNamespace):
    """A forward pass of which only the branches are known."""

    branches: dict[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.branches[name]


@pytest.mark.parametrize("distance", ["rational-quadratic", "euclidean"])
def test_no_gradient_reaches_the_twin(distance: Literal["rational-quadratic", "euclidean"]) -> None:
    signal, twin = H.clone().requires_grad_(), H_TWIN.clone().requires_grad_()
    branches = {"twin": SimpleNamespace(signal=twin)}
    forward: Any = Branches(main=SimpleNamespace(signal=signal), branches=branches)
    Matching(distance=distance)(forward).sum().backward()
    assert twin.grad is None
    assert signal.grad is not None
    assert (signal.grad != 0).all()
