"""The probe on codes that say everything, nothing, or a known amount about an attribute."""

from __future__ import annotations

import math

import pytest
import torch

from bench.metrics.attributes import entropy_of, probe_information

CLASSES, COUNT, LATENT = 3, 1500, 6


def labels(seed: int) -> torch.Tensor:
    return torch.randint(CLASSES, (COUNT,), generator=torch.Generator().manual_seed(seed))


def noise(seed: int) -> torch.Tensor:
    return torch.randn(COUNT, LATENT, generator=torch.Generator().manual_seed(seed))


def probed(train: torch.Tensor, test: torch.Tensor) -> float:
    return probe_information(train, labels(0), test, labels(1), CLASSES)


def test_entropy_of_labels() -> None:
    assert entropy_of(torch.tensor([0, 0, 1, 2]), 4) == pytest.approx(1.5 * math.log(2), rel=1e-6)
    assert entropy_of(torch.zeros(5, dtype=torch.long), 2) == 0


def test_a_code_that_determines_the_attribute_carries_nearly_all_of_its_entropy() -> None:
    def code(which: int) -> torch.Tensor:
        one_hot = torch.nn.functional.one_hot(labels(which), CLASSES).float()
        return torch.cat([5 * one_hot, torch.zeros(COUNT, LATENT - CLASSES)], dim=1) + 0.1 * noise(2 + which)

    entropy = entropy_of(labels(1), CLASSES)
    found = probed(code(0), code(1))
    assert found <= entropy
    assert found > entropy - 0.02  # the ridge keeps the classifier from full certainty


def test_an_independent_code_carries_about_nothing() -> None:
    found = probed(noise(2), noise(3))
    # Fitting p = 14 useless weights costs about p/2n nats on new data, give or take as much again.
    assert -0.02 < found < 0.005


def test_a_code_that_tells_one_class_from_the_rest() -> None:
    """Certain of class 0, ignorant of 1 or 2: H(A) minus the share of the others times ln 2."""

    def code(which: int) -> torch.Tensor:
        return 5 * (labels(which) == 0).float()[:, None] + 0.1 * noise(2 + which)

    entropy, share = entropy_of(labels(1), CLASSES), float((labels(1) != 0).float().mean())
    assert probed(code(0), code(1)) == pytest.approx(entropy - share * math.log(2), abs=0.03)


def test_a_constant_dimension_is_no_obstacle() -> None:
    train, test = noise(2), noise(3)
    train[:, 0] = test[:, 0] = 7.0
    assert math.isfinite(probed(train, test))
