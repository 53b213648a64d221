"""The mean discrepancy against a double sum, and what it is known to be on average."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bench.objectives.mmd import MMD

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def kernel(x: NDArray[np.float64], y: NDArray[np.float64], constant: float) -> float:
    distance = float(((x - y) ** 2).sum())
    return sum(s * constant / (s * constant + distance) for s in SCALES)


def double_sum(x: NDArray[np.float64], y: NDArray[np.float64], constant: float) -> float:
    n = len(x)
    within = sum(
        kernel(a[i], a[j], constant) / (n * (n - 1))
        for a in (x, y)
        for i in range(n)
        for j in range(n)
        if i != j
    )
    return within - 2 * sum(kernel(a, b, constant) for a in x for b in y) / n**2


@pytest.mark.parametrize("constant", [64.0, 3.0])
@pytest.mark.parametrize("batch", [2, 9])
def test_it_equals_the_double_sum(batch: int, constant: float) -> None:
    x, y = 2 * normal(batch, 4, seed=1) + 1, normal(batch, 4, seed=2)
    expected = double_sum(x.numpy(), y.numpy(), constant)
    # The scales are held in single precision.
    assert float(MMD(constant=constant).between(x, y)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("multiple", [2.0, 4.0])
def test_the_constant_may_be_a_multiple_of_the_size_of_the_code(multiple: float) -> None:
    x, y = 2 * normal(9, 4, seed=1) + 1, normal(9, 4, seed=2)
    assert torch.equal(MMD(per_dimension=multiple).between(x, y), MMD(constant=4 * multiple).between(x, y))


def test_two_samples_of_one_distribution_give_zero_on_average() -> None:
    """The estimate has no bias; with the diagonal or the square of the mean it would be above zero."""
    penalty, trials, batch = MMD(), 2000, 8
    codes = normal(2, trials, batch, 4)
    found = torch.stack([penalty.between(x, y) for x, y in zip(*codes, strict=True)])
    error = float(found.std()) / math.sqrt(trials)
    assert abs(float(found.mean())) < 5 * error
    assert (found < 0).any()
    x = codes[0, 0].numpy()
    diagonal = (kernel(x[0], x[0], 64.0) - kernel(x[0], x[1], 64.0)) / batch  # what the diagonal would add
    assert diagonal > 20 * error


def test_distributions_far_apart_give_the_terms_within_them() -> None:
    """k falls to 0 with the distance; at distance 0 it is the number of scales, 7."""
    same = torch.zeros(6, 3, dtype=torch.float64)
    assert float(MMD().between(same, same + 1e9)) == pytest.approx(7 + 7, rel=1e-6)
    assert float(MMD().between(same, same)) == pytest.approx(0, abs=1e-6)


def test_a_wide_kernel_measures_the_distance_of_the_means() -> None:
    """For C -> infinity k = 7 - D sum_s 1/(sC), which leaves the squared gap of the means without its bias."""
    x, y, constant = normal(9, 4, seed=1) + 1, normal(9, 4, seed=2), 1e6
    gap = (x.mean(0) - y.mean(0)).square().sum() - (x.var(0) + y.var(0)).sum() / 9
    slope = sum(1 / s for s in SCALES) / constant
    # The next order of k is D / (0.1 C), about 1e-4, of this one.
    assert float(MMD(constant=constant).between(x, y)) == pytest.approx(2 * slope * float(gap), rel=1e-3)


def test_the_gradient_draws_the_codes_to_the_prior() -> None:
    codes, prior = (normal(16, 4, seed=1) + 3).requires_grad_(), normal(16, 4, seed=2)
    (gradient,) = torch.autograd.grad(MMD().between(codes, prior), codes)
    assert (gradient.mean(0) > 0).all()


def test_one_text_has_no_estimate() -> None:
    codes = normal(1, 4).requires_grad_()
    penalty = MMD().between(codes, normal(1, 4, seed=2))
    assert penalty.shape == ()
    assert float(penalty) == 0
    assert not penalty.requires_grad


# The mean over batches of 128 codes of 100 dimensions against as many of N(0, I), and the deviation of one batch,
# computed without this code: shift and scale of the codes, constant, mean, deviation.
TABLE = [
    (0.0, 0.0, 400.0, 1.245, 0.011),
    (0.0, 0.5, 400.0, 0.360, 0.009),
    (0.0, 2.0, 400.0, 0.508, 0.013),
    (0.5, 1.0, 400.0, 0.261, 0.013),
    (1.0, 1.0, 400.0, 0.909, 0.020),
    (0.0, 1.0, 400.0, 0.0, 0.0024),
    (0.0, 0.0, 200.0, 1.930, 0.013),
    (0.0, 0.5, 200.0, 0.448, 0.010),
    (0.0, 2.0, 200.0, 0.533, 0.014),
    (0.5, 1.0, 200.0, 0.269, 0.012),
    (1.0, 1.0, 200.0, 0.924, 0.019),
    (0.0, 1.0, 200.0, 0.0, 0.0025),
]


@pytest.mark.parametrize(("shift", "scale", "constant", "mean", "deviation"), TABLE)
def test_it_has_the_known_values_of_known_distributions(
    shift: float, scale: float, constant: float, mean: float, deviation: float
) -> None:
    batches, penalty = 10, MMD(constant=constant)
    codes = normal(2, batches, 128, 100, seed=3).float()
    found = [float(penalty.between(scale * x + shift, y)) for x, y in zip(*codes, strict=True)]
    # Four standard errors, and the rounding of the table.
    assert sum(found) / batches == pytest.approx(mean, abs=4 * deviation / math.sqrt(batches) + 0.0005)


def test_the_printed_factor_of_the_cross_term_gives_no_distance() -> None:
    """With 1 in place of 2, two samples of one distribution are E k(x, y) apart, not 0 (Bahuleyan et al. 2019)."""
    x, y = normal(2, 400, 4, seed=5)
    penalty = MMD(per_dimension=4.0, cross=1.0)
    between = float(penalty._kernel(x, y).mean())
    assert float(penalty.between(x, y)) == pytest.approx(
        between + float(MMD(per_dimension=4.0).between(x, y))
    )
    assert between > 4
