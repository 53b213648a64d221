"""The terms of flows against the equations, and the weight that falls as another rises."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.base.errors import BenchError
from bench.models.flows import PlanarFlowSignal
from bench.models.priors import StandardNormal
from bench.objectives.flows import FlowKL, Kernel, LogDeterminant
from bench.objectives.mmd import MMD
from bench.objectives.weights import Falling, Linear
from tests.plain import known

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


@pytest.fixture
def forward() -> Any:
    torch.manual_seed(0)
    flow = PlanarFlowSignal(2, flows=2, centres=3).double()
    flow.centres.copy_(torch.randn(3, 2))
    found = known(None, torch.randn(5, 2).double(), torch.randn(5).double(), StandardNormal(2))
    found.main.branch = SimpleNamespace(signal=flow)
    return found


def test_kl_and_determinant_together_are_the_density_of_the_flowed_code_over_the_prior(forward: Any) -> None:
    codes, determinant = forward.main.branch.signal.path(forward.main.z)
    prior = torch.distributions.Normal(0.0, 1.0).log_prob(codes[-1]).sum(1)
    torch.testing.assert_close(FlowKL()(forward), forward.main.log_density - prior)
    torch.testing.assert_close(
        FlowKL()(forward) + LogDeterminant()(forward), forward.main.log_density - determinant - prior
    )


def multiquadric(squared: Tensor, d: int) -> Tensor:
    return torch.stack([2 * d * s / (2 * d * s + squared) for s in SCALES]).sum(0)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"draws": "away"}, lambda r: multiquadric(r, 2).log()),
        ({"draws": "towards"}, lambda r: -multiquadric(r, 2).log()),
        ({"kernel": "gaussian"}, lambda r: 10 * r),
        (
            {"kernel": "gaussian", "bandwidth": 0.5, "offset": 1.0},
            lambda r: -(1 + torch.exp(-0.5 * r)).log(),
        ),
    ],
)
def test_the_kernel_is_taken_at_the_code_before_each_flow(
    options: dict[str, Any], expected: Any, forward: Any
) -> None:
    flow, total = forward.main.branch.signal, torch.zeros(5).double()
    for z in flow.path(forward.main.z)[0][:-1]:
        nearest = torch.stack([(z - c).square().sum(1) for c in flow.centres]).min(0).values
        total = total + expected(nearest)
    torch.testing.assert_close(Kernel(**options)(forward), total, rtol=1e-5, atol=1e-5)


def test_known_values_of_the_kernel() -> None:
    centre = torch.zeros(1, 32)
    at = Kernel().log(torch.zeros(1, 32), centre)
    typical = Kernel().log(torch.full((1, 32), math.sqrt(41 / 32)), centre)
    assert float(at) == pytest.approx(math.log(7))
    assert float(typical.exp()) == pytest.approx(4.0, abs=0.05)


def test_flows_without_centres_are_refused(forward: Any) -> None:
    forward.main.branch.signal = PlanarFlowSignal(2)
    with pytest.raises(BenchError, match="no centres"):
        Kernel()(forward)


def test_the_falling_weight_is_what_another_leaves_of_it() -> None:
    rising = Linear(start=20, length=50, ceiling=0.8)
    falling = Falling(first=10.0, start=20, length=50, depth=0.8)
    for step in (1, 20, 21, 45, 60, 61, 90):
        assert falling(step, dict) == pytest.approx(10 - rising(step, dict))
    assert Falling(first=0.5, start=0, length=1, depth=2.0)(9, dict) == 0


def test_the_gaussian_discrepancy_with_and_without_the_diagonal() -> None:
    x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [2.0]])
    e1, e2, e4 = (math.exp(-0.5 * r) for r in (1, 1, 4))
    cross = (1 + e4 + e1 + e2) / 4  # 0-0, 0-2, 1-0, 1-2
    found = MMD(kernel="gaussian", bandwidth=0.5).between(x, y)
    biased = MMD(kernel="gaussian", bandwidth=0.5, biased=True).between(x, y)
    assert float(found) == pytest.approx(e1 + e4 - 2 * cross)
    assert float(biased) == pytest.approx((1 + e1) / 2 + (1 + e4) / 2 - 2 * cross)
    assert float(MMD(kernel="gaussian", biased=True).between(x, x)) == pytest.approx(0, abs=1e-6)
