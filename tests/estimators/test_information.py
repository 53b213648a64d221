"""Estimators of mutual information against a double loop, and on Gaussians whose information is known."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal

from bench.estimators import information
from bench.estimators.information import (
    AGGREGATE_CODES,
    Information,
    active_units,
    mutual_information,
    sigma_histogram,
    within_all,
    within_batches,
)
from bench.models.distributions import DiagonalGaussian
from bench.models.priors import StandardNormal
from tests.plain import numbers


def closed_kl(q: DiagonalGaussian) -> Tensor:
    terms = q.kl_terms(StandardNormal(q.mean.shape[1]))
    assert terms is not None
    return terms.sum(-1)


def looped(q: DiagonalGaussian, codes: Tensor, block: int) -> Information:
    """Each estimator as its definition reads, one text, one code and one neighbour at a time."""
    texts = [
        Independent(Normal(m, s.exp()), 1) for m, s in zip(q.mean.double(), q.log_std.double(), strict=True)
    ]
    prior = Independent(Normal(torch.zeros(codes.shape[2]).double(), 1.0), 1)
    columns: dict[str, list[float]] = {f: [] for f in Information.__dataclass_fields__}
    kl = closed_kl(DiagonalGaussian(q.mean.double(), q.log_std.double()))

    paired, controls = list[Tensor](), list[Tensor]()

    def mean_density(which: list[int], z: Tensor) -> Tensor:
        return torch.logsumexp(torch.stack([texts[j].log_prob(z) for j in which]), 0) - math.log(len(which))

    for i, own in enumerate(codes.double()):
        start = i // block * block
        here = list(range(start, min(start + block, len(codes))))
        without = [j for j in here if j != i]
        rows: dict[str, list[Tensor]] = {name: [] for name in columns}
        for number, z in enumerate(own):
            density = texts[i].log_prob(z)
            rows["leave_one_out"].append(density - mean_density(without, z))
            rows["self_included"].append(density - mean_density(here, z))
            rows["like_length"].append(torch.zeros(()).double())  # the only text of its length
            if number < AGGREGATE_CODES:
                everything = mean_density(list(range(len(codes))), z)
                rows["aggregate"].append(density - everything)
                controls.append(density - prior.log_prob(z) - kl[i])
        for name, values in rows.items():
            columns[name].append(float(torch.stack(values).mean()))
            if name == "aggregate":
                paired += values
    found = Information(*(torch.tensor(values, dtype=torch.double) for values in columns.values()))
    control = torch.stack(controls).view(len(codes), -1)
    within = (control - control.mean(1, keepdim=True)).flatten()
    slope = float(within @ torch.stack(paired) / (within @ within))
    return replace(found, aggregate=found.aggregate - slope * control.mean(1))


def estimated(q: DiagonalGaussian, codes: Tensor, block: int) -> Information:
    lengths, prior = torch.arange(len(codes)), StandardNormal(codes.shape[2])
    return mutual_information(q, codes, closed_kl(q), lengths, prior, block)


# The last: own densities of e^100 to e^1000 times the others', where a difference of sums has no digits left.
@pytest.mark.parametrize("log_std", [0.0, -1.0, -4.0])
def test_every_estimator_equals_the_double_loop(log_std: float, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    q = DiagonalGaussian(torch.randn(11, 3), log_std + 0.3 * torch.randn(11, 3))
    codes = q.sample(numbers(11), AGGREGATE_CODES + 2)[0]
    wanted = looped(q, codes, block=4)  # blocks of four, four and three
    for cells in (8_000_000, 5):
        monkeypatch.setattr(information, "_CELLS", cells)
        found = estimated(q, codes, block=4)
        for name, values in vars(wanted).items():
            # The KL of the aggregate is float32; the expanded squares cancel to some ten digits.
            torch.testing.assert_close(getattr(found, name), values, rtol=1e-6, atol=1e-5, msg=name)


def test_batches_of_like_length_are_blocks_of_the_sorted_texts() -> None:
    torch.manual_seed(0)
    q = DiagonalGaussian(torch.randn(11, 3), torch.zeros(11, 3))
    codes = q.sample(numbers(11), 2)[0]
    lengths = torch.tensor([5, 9, 1, 5, 7, 2, 5, 8, 3, 5, 4])
    order = torch.tensor([2, 5, 8, 10, 0, 3, 6, 9, 4, 7, 1])  # equal lengths in the order of the file
    sorted_texts = looped(q.map(lambda values: values[order]), codes[order], block=4)
    found = within_batches(q, codes, lengths, batch=4)
    torch.testing.assert_close(found[order], sorted_texts.self_included, rtol=1e-6, atol=1e-5)


def test_batches_of_equal_length_mix_no_lengths() -> None:
    torch.manual_seed(0)
    q = DiagonalGaussian(torch.randn(11, 3), torch.zeros(11, 3))
    codes = q.sample(numbers(11), 2)[0]
    lengths = torch.tensor([5, 9, 1, 5, 7, 2, 5, 8, 1, 5, 5])
    found = within_batches(q, codes, lengths, batch=3, equal=True)
    assert found[[1, 4, 5, 7]].tolist() == pytest.approx([0] * 4)  # alone of their lengths
    for together in ([0, 3, 6], [9, 10], [2, 8]):  # at most three of a length
        rows = torch.tensor(together)
        wanted = looped(DiagonalGaussian(q.mean[rows], q.log_std[rows]), codes[rows], block=3)
        torch.testing.assert_close(found[rows], wanted.self_included, rtol=1e-6, atol=1e-5)


def test_the_aggregate_never_exceeds_its_limit_and_varies_least() -> None:
    """Subtracted from the known KL alone, the mixture of 200 texts gave up to 5.47 nats where ln 200 is 5.30."""
    for nats, texts, latent in ((0.05, 200, 8), (3.0, 200, 8), (12.0, 200, 32)):
        torch.manual_seed(1)
        q, _ = known(nats, texts, latent, 1)
        prior, kl, wide = StandardNormal(latent), closed_kl(q).double(), q.map(Tensor.double)
        found, of_kl, paired = list[Tensor](), list[Tensor](), list[Tensor]()
        for _ in range(12):
            codes = wide.mean[:, None] + wide.log_std.exp()[:, None] * torch.randn(texts, 4, latent).double()
            mixture = information._log_sum(wide, codes) - math.log(texts)
            found.append(within_all(wide, codes, kl, prior).mean())
            of_kl.append((kl - (mixture - prior.log_prob(codes)).mean(1)).mean())
            paired.append((wide.log_prob(codes) - mixture).mean())
        assert max(found) <= math.log(texts)
        if nats == 12:
            assert max(of_kl) > math.log(texts)
        least = min(float(torch.stack(other).std()) for other in (of_kl, paired))
        assert float(torch.stack(found).std()) < 1.1 * least
        # The same expectation: four standard errors of the paired one.
        error = float(torch.stack(paired).std()) / 12**0.5
        assert float(torch.stack(found).mean() - torch.stack(paired).mean()) == pytest.approx(
            0, abs=4 * error
        )


def test_a_block_of_one_text_has_no_neighbours() -> None:
    q = DiagonalGaussian(torch.randn(5, 3), torch.zeros(5, 3))
    found = estimated(q, q.sample(numbers(5), 4)[0], block=2)
    assert found.leave_one_out.isnan().tolist() == [False, False, False, False, True]
    assert found.self_included[4] == 0


def known(nats: float, texts: int, latent: int, samples: int) -> tuple[DiagonalGaussian, Tensor]:
    """Posteriors of deviation s around means from N(0, (1 - s^2) I): q(z) is N(0, I) and I = -d ln s."""
    torch.manual_seed(1)
    std = math.exp(-nats / latent)
    mean = torch.randn(texts, latent) * math.sqrt(1 - std**2)
    q = DiagonalGaussian(mean, torch.full_like(mean, math.log(std)))
    return q, q.sample(numbers(texts), samples)[0]


@pytest.mark.parametrize("nats", [3.0, 8.0])
def test_bounds_on_gaussians_of_known_information(nats: float) -> None:
    texts, block = 1500, 100
    q, codes = known(nats, texts, 8, 10)
    found = {name: values.mean().item() for name, values in vars(estimated(q, codes, block)).items()}
    # The KL, whose mean is I here, varies over these texts with a standard error of 0.05.
    assert float(closed_kl(q).mean()) == pytest.approx(nats, abs=0.2)
    assert found["leave_one_out"] > nats
    assert found["self_included"] < found["aggregate"] < nats + 0.2
    assert found["self_included"] <= math.log(block)
    assert found["aggregate"] <= math.log(texts)
    if nats == 3:
        assert found["aggregate"] == pytest.approx(nats, abs=0.1)
    else:
        assert found["self_included"] > 0.95 * math.log(block)


# Averages of an independent computation with d = 32 and one block of 513 texts.
@pytest.mark.parametrize(("nats", "out", "included"), [(3, 3.07, 2.86), (10, 12.73, 6.01), (20, 35.8, 6.24)])
def test_the_errors_of_both_estimators_at_513_texts(nats: float, out: float, included: float) -> None:
    found = estimated(*known(nats, 513, 32, 20), block=513)
    # Four standard errors over texts (0.04, 0.12 and 0.30 nats), and those of the other computation.
    assert found.leave_one_out.mean().item() == pytest.approx(out, rel=0.06)
    assert found.self_included.mean().item() == pytest.approx(included, abs=0.1)


def test_identical_posteriors_carry_no_information() -> None:
    q = DiagonalGaussian(torch.ones(6, 2), torch.zeros(6, 2))
    found = estimated(q, q.sample(numbers(6), 3)[0], block=6)
    torch.testing.assert_close(found.leave_one_out, torch.zeros(6).double(), atol=1e-12, rtol=0)
    torch.testing.assert_close(found.self_included, torch.zeros(6).double(), atol=1e-12, rtol=0)


def test_active_units_by_hand() -> None:
    mean = torch.tensor([[0.0, 0.0, 0.0, 5.0], [0.09, 0.11, 1.0, 5.0], [0.18, 0.22, 2.0, 5.0]])
    count, variance = active_units(mean)
    torch.testing.assert_close(variance, torch.tensor([0.0081, 0.0121, 1.0, 0.0]).double())
    assert count == 2


def test_sigma_histogram_counts_every_deviation() -> None:
    sigma = torch.tensor([[0.001, 0.5025], [0.9999, 1.0], [3.0, 0.5030]])
    found = sigma_histogram(sigma.log())
    counts = found["counts"]
    assert isinstance(counts, list)
    assert found["edges"] == [i / 200 for i in range(201)]
    assert {i: c for i, c in enumerate(counts) if c} == {0: 1, 100: 2, 199: 1}
    assert found["above"] == 2
    assert sigma_histogram(torch.ones(2, 2))["above"] == 4
