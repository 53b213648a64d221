"""The Poincare ball: against values of a library of manifolds, closed forms, and the plane that it becomes."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from bench.models.model import initialise
from bench.models.poincare import Ball, PoincareBall
from bench.models.signals import Hyperbolic

X, Y = torch.tensor([0.3, -0.2, 0.5]).double(), torch.tensor([-0.4, 0.6, 0.1]).double()
U, V = torch.tensor([0.2, 0.5, -0.3]).double(), torch.tensor([0.7, -0.1, 0.4]).double()
BALL = Ball(0.7)
ORIGIN = torch.zeros(3).double()


class Network:
    """What a space and a signal read of a posterior network."""

    def __init__(self, ball: Ball) -> None:
        self.ball = ball


# Of geoopt 0.5.1, PoincareBall(c=0.7), whose curvature is kept in single precision.
KNOWN: dict[str, tuple[Any, list[float]]] = {
    "sum": (lambda: BALL.add(X, Y), [0.0455153535, 0.2634846784, 0.7516638916]),
    "exp": (lambda: BALL.exp(X, U), [0.6227268467, 0.280605169, 0.3421216777]),
    "log": (lambda: BALL.log(X, Y), [-0.5899940847, 0.5772874467, -0.5602199438]),
    "distance": (lambda: BALL.distance(X, Y), [2.7182485229]),
    "transport": (lambda: BALL.transport(X, V), [0.5138000032, -0.0734000005, 0.2936000018]),
    "factor": (lambda: BALL.factor(X), [2.7247956235]),
    "geodesic": (
        lambda: PoincareBall(Network(BALL)).between(X, Y, torch.tensor([0.25]).double()),
        [0.1319791233, -0.0286224727, 0.3565015073],
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_maps_have_the_values_of_a_library(name: str) -> None:
    computed, values = KNOWN[name]
    assert computed().flatten().tolist() == pytest.approx(values, rel=1e-6)


def test_maps_have_their_closed_forms_at_the_origin() -> None:
    root, norm = math.sqrt(0.7), U.norm()
    assert_close(BALL.exp(ORIGIN, U), torch.tanh(root * norm) * U / (root * norm))
    assert_close(BALL.distance(ORIGIN, X), 2 / root * torch.atanh(root * X.norm()))
    assert_close(BALL.add(-X, X), ORIGIN)


def test_logarithm_and_exponential_are_inverse_and_lengths_are_distances() -> None:
    assert_close(BALL.log(X, BALL.exp(X, U)), U)
    assert_close(BALL.exp(X, BALL.log(X, Y)), Y)
    assert_close(BALL.distance(X, BALL.exp(X, U)), BALL.factor(X).squeeze() * U.norm())
    assert_close(BALL.transport(X, V), BALL.log(X, BALL.add(X, BALL.exp(ORIGIN, V))))  # equation 6


@pytest.mark.parametrize("spread", [1.0, 2.0])
def test_a_tangent_vector_leads_as_far_as_its_convention_says(spread: float) -> None:
    ball = Ball(0.7, spread)
    z = ball.wrap(X, V)
    assert_close(ball.distance(X, z), spread * V.norm())
    assert_close(ball.unwrap(X, z), V)
    # The volume: of the map in coordinates, times that of the ball at the code.
    jacobian: Tensor = torch.func.jacrev(lambda v: ball.wrap(X, v))(V)
    volume = torch.linalg.slogdet(jacobian).logabsdet + 3 * ball.factor(z).log().squeeze()
    assert_close(ball.log_volume(V), volume)


def test_a_flat_ball_is_the_plane_with_lengths_that_count_twice() -> None:
    flat = Ball(1e-9, 2.0)
    for found, expected in (
        (flat.add(X, Y), X + Y),
        (flat.exp(X, U), X + U),
        (flat.log(X, Y), Y - X),
        (flat.wrap(X, V), X + V),
        (flat.distance(X, Y), 2 * (X - Y).norm()),
        (flat.log_volume(V), torch.tensor(3 * math.log(2)).double()),
    ):
        assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_what_is_outside_is_drawn_back_and_gradients_are_finite() -> None:
    space = PoincareBall(Network(BALL))
    far = space.nearest(torch.tensor([30.0, 0.0]))
    assert 0.7 * far.square().sum() < 1
    assert_close(space.nearest(X), X)
    assert_close(space.move(X, V), BALL.wrap(X, V))
    for start in (torch.zeros(2), torch.tensor([40.0, 1.0])):
        v = start.clone().requires_grad_()
        (BALL.wrap(torch.zeros(2), v).sum() + BALL.log_volume(v).float()).backward()
        assert v.grad is not None
        assert v.grad.isfinite().all()


def test_hyperbolic_features_are_equation_8() -> None:
    signal = Hyperbolic(3, Network(BALL)).double()
    signal.load_state_dict({"normal": torch.stack([U, V, -U]), "offset": torch.stack([X, Y, X])})
    found = signal(torch.stack([Y, ORIGIN]))
    root = math.sqrt(0.7)
    for k, (a, offset) in enumerate(((U, X), (V, Y), (-U, X))):
        b = BALL.exp(ORIGIN, offset)
        for i, z in enumerate((Y, ORIGIN)):
            kappa = BALL.add(-b, z)
            share = 2 * root * (kappa @ a).abs() / ((1 - 0.7 * kappa @ kappa) * a.norm())
            sign = torch.sign(a @ BALL.log(b, z))
            expected = sign * BALL.factor(b).squeeze() * a.norm() * torch.asinh(share) / root
            assert_close(found[i, k], expected)
    assert_close(found[:, 0], -found[:, 2])


def test_hyperplanes_begin_as_they_say_whatever_the_bound_of_other_weights() -> None:
    signal = Hyperbolic(16, Network(BALL))
    initialise(signal, 0, weights=1e-4)
    assert signal.normal.std().item() == pytest.approx(0.25 / math.sqrt(16), rel=0.2)


def test_the_distance_to_a_hyperplane_has_the_value_of_a_library() -> None:
    """The distance of Y to the hyperplane through X with the normal U, of geoopt 0.5.1 (dist2plane)."""
    signal = Hyperbolic(3, Network(BALL)).double()
    offset = BALL.log(ORIGIN, X)
    signal.load_state_dict({"normal": U.expand(3, 3), "offset": offset.expand(3, 3)})
    distance = signal(Y)[0] / (BALL.factor(X).squeeze() * U.norm())
    assert distance.item() == pytest.approx(2.0331661594, rel=1e-6)


def test_features_of_a_flat_ball_are_affine() -> None:
    signal = Hyperbolic(3, Network(Ball(1e-9))).double()
    expected = 4 * (X - signal.offset) @ signal.normal.mT
    assert_close(signal(X), expected.diagonal(), rtol=1e-6, atol=1e-6)
