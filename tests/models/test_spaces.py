"""Where codes are: on the way between two of them, moved, and brought back."""

from __future__ import annotations

import torch

from bench.models.spaces import Euclidean, Sphere

FIRST, LAST = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 0.8, 0.6])
SHARES = torch.tensor([0.0, 0.25, 0.5, 1.0])


def test_between_two_codes_of_a_plane_is_the_straight_line() -> None:
    found = Euclidean().between(FIRST, LAST, SHARES)
    torch.testing.assert_close(found[1], torch.tensor([0.75, 0.2, 0.15]))
    assert torch.equal(found[0], FIRST)
    assert torch.equal(found[3], LAST)


def test_between_two_codes_of_a_sphere_is_the_arc() -> None:
    found = Sphere().between(FIRST, LAST, SHARES)
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(4))
    torch.testing.assert_close(found[2], (FIRST + LAST) / 2**0.5)  # the two are at right angles
    assert (torch.linalg.det(torch.stack([FIRST, LAST, found[1]])).abs()) < 1e-6  # in their plane


def test_a_moved_code_stays_in_its_space() -> None:
    shift = torch.tensor([0.0, 2.0, 0.0])
    assert torch.equal(Euclidean().move(FIRST, shift), FIRST + shift)
    torch.testing.assert_close(Sphere().move(FIRST, shift), (FIRST + shift) / 5**0.5)
