"""Von Mises-Fisher posteriors against numerical integrals, scipy and closed forms."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
import torch
from scipy.special import gammaln, ive
from scipy.stats import kstest, vonmises_fisher
from torch import Tensor
from torch.nn import functional as F

from bench.base.errors import BenchError
from bench.models import packing
from bench.models.distributions import joined
from bench.models.noise import BatchSource, TextSource
from bench.models.priors import StandardNormal
from bench.models.von_mises_fisher import (
    _ENOUGH,
    UniformSphere,
    VonMisesFisher,
    VonMisesFisherPosterior,
    _accepted,
    _proposal,
)
from tests.models.spheres import (
    CASES,
    angles,
    at_angles,
    modes,
    one_minus_cosines,
    probabilities,
    source,
    vmf,
)

# Densities and the KL


@pytest.mark.parametrize(("latent", "k"), [(2, 3.0), *CASES])
def test_the_density_integrates_to_one(latent: int, k: float) -> None:
    q = vmf(1, latent, k)
    angle, width = angles(latent, k)
    values = q.log_prob(at_angles(q, angle).unsqueeze(0))[0].numpy()
    around = math.log(2) + (latent - 1) / 2 * math.log(math.pi) - gammaln((latent - 1) / 2)  # ln |S^(d-2)|
    integral = width @ np.exp(values + around + (latent - 2) * np.log(np.sin(angle)))
    assert integral == pytest.approx(1, rel=1e-9)


@pytest.mark.parametrize(("latent", "k"), [(2, 3.0), (3, 0.5), (8, 5.0), (32, 1.0), (32, 100.0)])
def test_log_prob_equals_scipy(latent: int, k: float) -> None:
    q, z = vmf(4, latent, k), modes(6, latent, seed=3)
    expected = np.stack([vonmises_fisher(mode.numpy(), k).logpdf(z.numpy()) for mode in q.direction], axis=1)
    torch.testing.assert_close(q.cross_log_prob(z), torch.from_numpy(expected), rtol=1e-10, atol=1e-10)
    own = q.log_prob(z.expand(4, 6, latent))
    torch.testing.assert_close(own, torch.from_numpy(expected.T.copy()), rtol=1e-10, atol=1e-10)
    stacked = q.log_prob(z.expand(2, 4, 6, latent))
    torch.testing.assert_close(stacked, own.expand(2, 4, 6))


def test_each_text_has_its_own_concentration() -> None:
    k = torch.tensor([0.5, 7.0, 90.0], dtype=torch.float64)
    q, z = VonMisesFisher(modes(3, 5), k), modes(4, 5, seed=3)
    rows = [VonMisesFisher(q.direction[i : i + 1], k[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(q.cross_log_prob(z), torch.cat([row.cross_log_prob(z) for row in rows], dim=1))
    torch.testing.assert_close(q.log_prob(z.expand(3, 4, 5)), q.cross_log_prob(z).t())


def test_single_precision_near_the_mode() -> None:
    """Codes and modes that are rounded keep four digits of the log-density even where k = 10^5."""
    q = vmf(3, 32, 1e5)
    z, _ = q.sample(source(3), 5)
    rounded = q.map(Tensor.float)
    torch.testing.assert_close(rounded.log_prob(z.float()).double(), q.log_prob(z), rtol=0, atol=5e-3)
    widened = rounded.map(Tensor.double).cross_log_prob(z.float().double().flatten(0, 1)).view(3, 5, 3)
    own = torch.stack([widened[i, :, i] for i in range(3)])
    torch.testing.assert_close(own, q.log_prob(z), rtol=0, atol=5e-3)


@pytest.mark.parametrize(
    ("k", "expected", "tolerance"),
    [
        (1, 0.0156, 5e-5),
        (10, 1.38, 5e-3),
        (20, 4.25, 5e-3),
        (40, 9.89, 5e-3),
        (80, 17.86, 5e-3),
        (100, 20.76, 5e-3),
    ],
)
def test_the_kl_in_32_dimensions(k: float, expected: float, tolerance: float) -> None:
    """Values of ``ive``'s closed form, rounded as they are known from another implementation."""
    kl = vmf(1, 32, k).kl_terms(UniformSphere(32))
    assert kl is not None
    assert kl.shape == (1, 1)
    assert kl.item() == pytest.approx(expected, abs=tolerance)
    cosine = ive(16, k) / ive(15, k)
    constant = 15 * math.log(k / 2) - math.log(ive(15, k)) - k - gammaln(16)  # over the uniform density
    assert kl.item() == pytest.approx(k * cosine + constant, rel=1e-9)


@pytest.mark.parametrize(("latent", "k"), CASES)
def test_the_kl_equals_its_integral(latent: int, k: float) -> None:
    q, prior = vmf(1, latent, k), UniformSphere(latent)
    angle, weight = probabilities(latent, k)
    z = at_angles(q, angle)
    ratio = (q.log_prob(z.unsqueeze(0))[0] - prior.log_prob(z)).numpy()
    kl = q.kl_terms(prior)
    assert kl is not None
    assert kl.item() == pytest.approx(float(weight @ ratio), rel=1e-8, abs=1e-11)


@pytest.mark.parametrize("latent", [3, 32, 200])
def test_the_kl_of_a_small_concentration(latent: int) -> None:
    """KL = k^2 / 2d + O(k^4)."""
    k = torch.tensor([1e-3], dtype=torch.float64, requires_grad=True)
    kl = VonMisesFisher(modes(1, latent), k).kl_terms(UniformSphere(latent))
    assert kl is not None
    (slope,) = torch.autograd.grad(kl.sum(), k)
    assert kl.item() == pytest.approx(1e-6 / (2 * latent), rel=1e-3, abs=0)
    assert slope.item() == pytest.approx(1e-3 / latent, rel=1e-5, abs=0)


def test_the_gradient_of_the_kl() -> None:
    k = torch.tensor([0.1, 1.0, 9.9, 10.5, 80.0, 1e3], dtype=torch.float64, requires_grad=True)

    def kl(values: Tensor) -> Tensor:
        terms = VonMisesFisher(modes(6, 32), values).kl_terms(UniformSphere(32))
        assert terms is not None
        return terms

    assert torch.autograd.gradcheck(kl, (k,), eps=1e-4, rtol=1e-6, atol=1e-8)


def test_other_priors_have_no_closed_form() -> None:
    assert vmf(2, 4, 1.0).kl_terms(StandardNormal(4)) is None


# Samples


@pytest.mark.parametrize("devices", [("cpu",), ()], ids=["looking", "not looking"])
@pytest.mark.parametrize(("latent", "k"), CASES)
def test_the_cosines_follow_their_distribution(
    latent: int, k: float, devices: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of the distribution function, and mean and mean square, against integrals over the angle."""
    monkeypatch.setattr(packing, "ANSWERING", devices)
    count = 20_000 if latent < 1_000 else 2_000
    q = vmf(1, latent, k)
    z, log_density = q.sample(source(1), count)
    torch.testing.assert_close(z.norm(dim=-1), torch.ones(1, count, dtype=torch.float64))
    torch.testing.assert_close(log_density, q.log_prob(z), rtol=1e-9, atol=1e-9)
    angle, weight = probabilities(latent, k)
    drawn = one_minus_cosines(q, z)[0].numpy()  # half the squared chord, which is 2 sin^2(angle/2)
    grid = 2 * np.sin(angle / 2) ** 2
    cumulative = np.cumsum(weight) - weight / 2
    assert kstest(drawn, lambda x: np.interp(x, grid, cumulative)).pvalue > 1e-3
    for power in (1, 2):
        error = 5 * (drawn**power).std() / math.sqrt(count)
        assert (drawn**power).mean() == pytest.approx(float(weight @ grid**power), rel=0, abs=error)


@pytest.mark.parametrize("k", [3.0, 40.0])
def test_the_kl_agrees_with_its_estimate_from_samples(k: float) -> None:
    count = 20_000
    q, prior = vmf(2, 32, k), UniformSphere(32)
    z, log_density = q.sample(source(2), count)
    ratio = log_density - prior.log_prob(z)
    kl = q.kl_terms(prior)
    assert kl is not None
    assert (
        (ratio.mean(1, keepdim=True) - kl).abs() < 5 * ratio.std(1, keepdim=True) / math.sqrt(count)
    ).all()


def test_samples_lie_evenly_around_the_mode() -> None:
    """What is left of z without the mode has mean zero and the covariance of a uniform direction."""
    latent, count = 4, 40_000
    q = vmf(3, latent, 5.0)
    z, _ = q.sample(source(3), count)
    cosine = z @ q.direction.unsqueeze(-1)
    around = F.normalize(z - cosine * q.direction.unsqueeze(1), dim=-1)
    across = torch.eye(latent) - q.direction.unsqueeze(-1) * q.direction.unsqueeze(1)
    covariance = around.transpose(1, 2) @ around / count
    assert around.mean(1).abs().max() < 5 / math.sqrt((latent - 1) * count)
    assert (covariance - across / (latent - 1)).abs().max() < 5 * 0.4 / math.sqrt(
        count
    )  # no product varies more


def test_a_text_draws_the_same_codes_in_any_batch() -> None:
    direction, k = modes(9, 32), torch.logspace(-1, 3, 9, dtype=torch.float64)
    z, log_density = VonMisesFisher(direction, k).sample(TextSource(torch.arange(9), "a"), 4)
    for texts in ([3], [8, 0], list(range(1, 7))):
        some = torch.tensor(texts)
        part, part_density = VonMisesFisher(direction[some], k[some]).sample(TextSource(some, "a"), 4)
        torch.testing.assert_close(part, z[some], rtol=0, atol=1e-15)
        torch.testing.assert_close(part_density, log_density[some], rtol=0, atol=1e-12)
    assert not torch.equal(z, VonMisesFisher(direction, k).sample(TextSource(torch.arange(9), "b"), 4)[0])


@pytest.mark.parametrize("sampler", ["exact", "released"])
def test_modes_on_the_axes(sampler: Literal["exact", "released"]) -> None:
    """A reflection has no normal where the mode is the axis that it starts from."""
    direction = torch.cat([torch.eye(4), -torch.eye(4)]).requires_grad_()
    k = torch.full((8,), 50.0, requires_grad=True)
    z, log_density = VonMisesFisher(direction, k, sampler).sample(source(8), 200)
    assert ((z * direction.unsqueeze(1)).sum(-1).mean(1) > 0.9).all()
    (z.square() @ torch.arange(4.0)).sum().backward()
    for values in (z, log_density, direction.grad, k.grad):
        assert values is not None
        assert values.isfinite().all()


@pytest.mark.parametrize("sampler", ["exact", "released"])
def test_single_precision_at_any_concentration(sampler: Literal["exact", "released"]) -> None:
    k = torch.logspace(-3, 6, 19).requires_grad_()
    z, log_density = VonMisesFisher(modes(19, 32).float(), k, sampler).sample(source(19), 50)
    assert z.dtype == log_density.dtype == torch.float32
    torch.testing.assert_close(z.norm(dim=-1), torch.ones(19, 50), rtol=0, atol=5e-7)
    (z.sum() + log_density.sum()).backward()
    assert k.grad is not None
    assert k.grad.isfinite().all()


class Counting(BatchSource):
    """Counts the gamma variates that are asked for."""

    asked = 0

    def gamma(self, concentration: float, *shape: int) -> Tensor:
        self.asked += 1
        return super().gamma(concentration, *shape)


@pytest.mark.parametrize(("m", "share"), [(1, 0.658), (31, 0.705)])
def test_enough_proposals_are_drawn_where_none_is_looked_at(m: int, share: float) -> None:
    """The share of proposals that is accepted falls with the concentration, to these limits."""
    k, codes = torch.full((1, 1), 1e6, dtype=torch.float64), 1_000
    numbers = Counting(torch.Generator().manual_seed(1), 1)
    for _ in range(codes):
        _accepted(k, _proposal(k, m), m, numbers, 1)
    assert codes / (numbers.asked / 2) == pytest.approx(share, abs=0.05)
    assert (1 - share) ** _ENOUGH < 1e-14


def test_a_concentration_that_is_not_a_number_is_not_waited_for() -> None:
    q = VonMisesFisher(modes(2, 3), torch.tensor([math.nan, 2.0], dtype=torch.float64))
    z, _ = q.sample(source(2), 5)
    assert z.isnan().all(-1).all(-1).tolist() == [True, False]


# Parts


def test_the_posterior_maps_to_a_mode_and_a_concentration_above_one() -> None:
    torch.manual_seed(0)
    posterior, e = VonMisesFisherPosterior(6, 4, sampler="released"), 5 * torch.randn(7, 6)
    q = posterior(e)
    raw = e @ posterior.direction.weight.t() + posterior.direction.bias
    assert posterior.concentration is not None
    torch.testing.assert_close(q.direction * raw.norm(dim=-1, keepdim=True), raw)
    torch.testing.assert_close(q.direction.norm(dim=-1), torch.ones(7))
    scale = (e @ posterior.concentration.weight.t() + posterior.concentration.bias).squeeze(-1)
    torch.testing.assert_close(q.concentration, 1 + torch.log1p(scale.exp()))
    assert q.sampler == "released"
    assert VonMisesFisherPosterior(6, 4)(e).sampler == "exact"
    assert posterior.eval()(e).sampler == "exact"  # what is measured
    z, _ = q.sample(source(7), 1)
    (z.sum() + q.kl_terms(UniformSphere(4)).sum()).backward()
    for parameter in posterior.parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().max() > 0


def test_a_sphere_needs_two_dimensions() -> None:
    with pytest.raises(BenchError, match="at least two dimensions"):
        VonMisesFisherPosterior(6, 1)


def test_the_centre_the_parameters_and_their_changes() -> None:
    q = vmf(3, 4, 5.0, "released")
    assert q.has_density
    assert q.center() is q.direction
    assert q.parameters == {"direction": q.direction, "concentration": q.concentration}
    single = q.map(Tensor.float)
    assert single.direction.dtype == single.concentration.dtype == torch.float32
    assert single.sampler == "released"
    both = joined([q.map(lambda values: values[:1]), q.map(lambda values: values[1:])])
    assert isinstance(both, VonMisesFisher)
    torch.testing.assert_close(both.parameters, q.parameters)


def test_the_uniform_prior() -> None:
    prior, count = UniformSphere(4), 100_000
    z = prior.sample(count, torch.Generator().manual_seed(1))
    assert torch.equal(z, prior.sample(count, torch.Generator().manual_seed(1)))
    torch.testing.assert_close(z.norm(dim=-1), torch.ones(count))
    # Five standard errors: z_i has variance 1/d, and z_i^2 variance 2 (d - 1) / (d^2 (d + 2)).
    assert z.mean(0).abs().max() < 5 * math.sqrt(1 / (4 * count))
    assert (z.square().mean(0) - 1 / 4).abs().max() < 5 * math.sqrt(6 / (96 * count))
    expected = torch.full((2, 5), -math.log(2 * math.pi**2))  # the area of the sphere in four dimensions
    torch.testing.assert_close(prior.log_prob(z[:10].view(2, 5, 4)), expected)


@pytest.mark.parametrize(("latent", "kl"), [(50, 19.52), (100, 18.41), (25, 16.46)])
def test_a_fixed_concentration_has_a_known_kl_and_no_network(latent: int, kl: float) -> None:
    network = VonMisesFisherPosterior(6, latent, fixed=80.0)
    assert {name for name, _ in network.named_parameters()} == {"direction.weight", "direction.bias"}
    found = network(torch.randn(3, 6))
    assert torch.equal(found.concentration, torch.full((3,), 80.0))
    terms = found.kl_terms(UniformSphere(latent))
    assert terms is not None
    torch.testing.assert_close(terms.squeeze(1), torch.full((3,), kl), atol=0.006, rtol=0)
