"""Planar flows against an own map in numpy, Jacobians of the library, roots of scipy and integrals."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.stats import norm
from torch import Tensor
from torch.distributions import Independent, Normal

from bench.estimators.information import mutual_information
from bench.models.distributions import DiagonalGaussian, Latent
from bench.models.flows import Flowed, PlanarFlow, PlanarFlowPosterior
from bench.models.noise import BatchSource
from bench.models.priors import StandardNormal

BATCH, SAMPLES, LATENT, FEATURES = 5, 3, 4, 6
# Factors of normal parameters: w.u from near zero to far on either side, where u' must be turned back.
SIZES = (0.01, 1.0, 6.0)


def flow(latent: int, seed: int, size: float = 1.0, dtype: torch.dtype = torch.float64) -> PlanarFlow:
    """A flow with parameters drawn from N(0, size^2)."""
    made = PlanarFlow(latent).to(dtype)
    generator = torch.Generator().manual_seed(seed)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=size, generator=generator)
    return made


def directed(product: float, dtype: torch.dtype = torch.float64) -> PlanarFlow:
    """A flow in two dimensions with w = (1, 0), b = 0.3 and the given w.u."""
    made = PlanarFlow(2).to(dtype)
    with torch.no_grad():
        made.u.copy_(torch.tensor([product, 0.5], dtype=torch.float64))
        made.w.copy_(torch.tensor([1.0, 0.0]))
        made.b.fill_(0.3)
    return made


def flowed(batch: int, latent: int, flows: int = 3, seed: int = 0, size: float = 1.0) -> Flowed:
    """A Gaussian base in double precision, and flows that bend it visibly."""
    generator = torch.Generator().manual_seed(seed)
    mean, log_std = torch.randn(2, batch, latent, generator=generator, dtype=torch.float64)
    return Flowed(
        DiagonalGaussian(mean, 0.3 * log_std), tuple(flow(latent, seed + k, size) for k in range(flows))
    )


def numbers(*shape: int, seed: int = 7) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def source(batch: int, seed: int = 3) -> BatchSource:
    return BatchSource(torch.Generator().manual_seed(seed), batch)


def by_numpy(made: PlanarFlow) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """The map as the article writes it."""
    u, w, b = (parameter.detach().double().numpy() for parameter in (made.u, made.w, made.b))
    constrained = u + (np.logaddexp(0, w @ u) - 1 - w @ u) * w / (w @ w)
    return lambda z: z + constrained * np.tanh(z @ w + b)[..., None]


@pytest.mark.parametrize("size", SIZES)
def test_the_map_is_that_of_the_article(size: float) -> None:
    made, z = flow(LATENT, 0, size), numbers(BATCH, SAMPLES, LATENT)
    torch.testing.assert_close(made(z)[0], torch.from_numpy(by_numpy(made)(z.numpy())), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("size", SIZES)
def test_the_log_determinant_is_that_of_the_jacobian(size: float) -> None:
    for seed in range(10):
        made, z = flow(LATENT, seed, size), numbers(BATCH, LATENT, seed=seed)
        jacobians = torch.func.vmap(torch.func.jacrev(lambda code, made=made: made(code)[0]))(z)
        sign, expected = torch.linalg.slogdet(jacobians)
        assert (sign == 1).all()
        torch.testing.assert_close(made(z)[1], expected, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
@pytest.mark.parametrize("size", SIZES[:2])
def test_the_inverse_undoes_the_map_and_the_map_the_inverse(
    size: float, dtype: torch.dtype, tolerance: float
) -> None:
    for seed in range(10):
        made = flow(LATENT, seed, size, dtype)
        z = 3 * numbers(2, BATCH, SAMPLES, LATENT, seed=seed).to(dtype)
        there, log_det = made(z)
        back, same_log_det = made.inverse(there)
        torch.testing.assert_close(back, z, rtol=tolerance, atol=tolerance)
        torch.testing.assert_close(same_log_det, log_det, rtol=tolerance, atol=tolerance)
        torch.testing.assert_close(made(made.inverse(z)[0])[0], z, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("product", [-600.0, -30.0, -5.0, -1.0, 0.0, 0.54, 3.0, 50.0, 1e4])
def test_any_parameters_give_a_map_that_rises_along_w(product: float) -> None:
    made = directed(product)
    along = torch.linspace(-60, 60, 4001, dtype=torch.float64)
    z, log_det = made(torch.stack([along, torch.zeros_like(along)], dim=-1))
    assert (z[:, 0].diff() > 0).all()
    assert log_det.isfinite().all()
    # Far out tanh is flat; where w.z = -b the determinant is softplus(w.u).
    assert log_det[0].item() == 0
    middle = made(torch.tensor([-0.3, 0.0], dtype=torch.float64))[1].item()
    softplus = math.log1p(math.exp(product)) if product < 30 else product
    assert middle == pytest.approx(math.log(softplus), rel=1e-9)


@pytest.mark.parametrize("product", [-30.0, -5.0, 0.0, 3.0, 50.0, 1e4])
def test_the_root_is_that_of_scipy(product: float) -> None:
    """Also where w.u' is near -1 and the map almost flat."""
    made, goals = directed(product), [-40.0, -2.0, -0.301, -0.3, -0.2, 0.0, 0.5, 7.0, 1e4]
    image = by_numpy(made)

    def missing(x: float, goal: float) -> float:
        return float(image(np.array([x, 0.0]))[0]) - goal

    limit = abs(product) + 2e4
    expected = [brentq(missing, -limit, limit, args=(goal,), xtol=1e-12, rtol=1e-14) for goal in goals]
    z = torch.tensor([[goal, 0.0] for goal in goals], dtype=torch.float64)
    found = made.inverse(z)[0][:, 0].tolist()
    # Near w.u' = -1 the map is flat to the third order at its centre: the root has a third of the digits.
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9 if product > -20 else 1e-5)


def test_a_constraint_that_underflows_gives_finite_numbers() -> None:
    made = directed(-200.0, torch.float32)  # softplus(-200) is zero in single precision
    z = torch.tensor([[-0.3, 0.0], [0.0, 0.0], [0.0, -1.0], [5.0, 2.0]])
    for values, log_det in (made(z), made.inverse(z), made.inverse(made(z)[0])):
        assert values.isfinite().all()
        assert log_det.isfinite().all()


def test_a_root_does_not_depend_on_the_others_of_its_batch() -> None:
    made, z = flow(LATENT, 1, dtype=torch.float32), numbers(40, LATENT).float()
    together, log_det = made.inverse(z)
    for i in range(len(z)):
        alone, log_det_alone = made.inverse(z[i : i + 1])
        assert torch.equal(alone[0], together[i])
        assert torch.equal(log_det_alone[0], log_det[i])


def test_autocast_does_not_round_the_map() -> None:
    made, z = flow(LATENT, 1, dtype=torch.float32), numbers(BATCH, LATENT).float()
    plain = *made(z), *made.inverse(z)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = *made(z), *made.inverse(z)
    assert all(torch.equal(a, b) for a, b in zip(plain, rounded, strict=True))


def test_gradients_of_map_and_inverse_equal_differences() -> None:
    made, z = flow(LATENT, 2), numbers(BATCH, LATENT)
    names = [name for name, _ in made.named_parameters()]

    def of(method: Callable[[Tensor], tuple[Tensor, Tensor]]) -> Callable[..., tuple[Tensor, Tensor]]:
        class Call(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.made = made

            def forward(self, codes: Tensor) -> tuple[Tensor, Tensor]:
                return method(codes)

        def call(codes: Tensor, *values: Tensor) -> tuple[Tensor, Tensor]:
            state = {f"made.{name}": value for name, value in zip(names, values, strict=True)}
            result: tuple[Tensor, Tensor] = torch.func.functional_call(Call(), state, (codes,))
            return result

        return call

    values = [parameter.detach().clone().requires_grad_() for parameter in made.parameters()]
    inputs = (z.requires_grad_(), *values)
    assert torch.autograd.gradcheck(of(made.forward), inputs)
    assert torch.autograd.gradcheck(of(made.inverse), inputs)


def test_initial_parameters() -> None:
    torch.manual_seed(0)
    made = PlanarFlow(500)
    for parameter in made.parameters():
        assert parameter.abs().max() <= 0.01
    # Five standard errors of the mean of 500 numbers uniform on an interval of length 0.02.
    assert abs(made.u.mean().item()) < 5 * 0.02 / math.sqrt(12 * 500)
    assert made.w.std().item() == pytest.approx(0.02 / math.sqrt(12), rel=0.1)
    before = made.u.clone()
    made.reset_parameters()
    assert not torch.equal(made.u, before)


@pytest.mark.parametrize("flows", [1, 3])
def test_the_density_of_one_dimension_integrates_to_one(flows: int) -> None:
    q = flowed(1, 1, flows)

    def density(z: float) -> float:
        return float(q.log_prob(torch.full((1, 1, 1), z, dtype=torch.float64)).exp().detach())

    modes = q.sample(source(1), 50)[0].flatten().sort().values.tolist()
    total = quad(density, -30, 30, points=modes[::7], limit=200)[0]
    assert total == pytest.approx(1, abs=1e-7)


def test_the_density_of_two_dimensions_integrates_to_one() -> None:
    q = flowed(1, 2, size=0.7)
    axis = torch.linspace(-12, 12, 401, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    total = q.cross_log_prob(grid).exp().sum() * (axis[1] - axis[0]) ** 2
    assert total.item() == pytest.approx(1, abs=1e-5)


def test_the_estimated_kl_equals_an_integral_over_the_base() -> None:
    """KL = E_q0 [ln q0(z0) - ln f'(z0) - ln p(f(z0))], with f and f' as numpy has them."""
    q, step = flowed(1, 1), 1e-5
    latent: Latent = q
    mean, std = float(q.base.mean), float(q.base.log_std.exp())
    images = [by_numpy(made) for made in q.flows]

    def push(z: float) -> float:
        value = np.array([z])
        for image in images:
            value = image(value)
        return float(value[0])

    def integrand(z: float) -> float:
        log_slope = math.log((push(z + step) - push(z - step)) / (2 * step))
        return float(norm.pdf(z, mean, std) * (norm.logpdf(z, mean, std) - log_slope - norm.logpdf(push(z))))

    expected = quad(integrand, mean - 9 * std, mean + 9 * std, limit=200)[0]
    z, log_density = q.sample(source(1), 100_000)
    ratio = log_density - StandardNormal(1).log_prob(z)
    error = ratio.std().item() / math.sqrt(ratio.numel())
    assert error < 0.05 * expected
    assert abs(ratio.mean().item() - expected) < 5 * error
    assert latent.kl_terms(StandardNormal(1)) is None


def test_samples_come_with_their_density() -> None:
    q = flowed(BATCH, LATENT)
    z, log_density = q.sample(source(BATCH), SAMPLES)
    assert z.shape == (BATCH, SAMPLES, LATENT)
    assert log_density.shape == (BATCH, SAMPLES)
    torch.testing.assert_close(q.log_prob(z), log_density, rtol=1e-9, atol=1e-9)
    start, _ = q.base.sample(source(BATCH), SAMPLES)
    for made in q.flows:
        start = torch.from_numpy(by_numpy(made)(start.detach().numpy()))
    torch.testing.assert_close(z, start, rtol=1e-9, atol=1e-9)


def test_log_prob_takes_leading_axes() -> None:
    q, z = flowed(BATCH, LATENT), numbers(2, BATCH, SAMPLES, LATENT)
    torch.testing.assert_close(q.log_prob(z), torch.stack([q.log_prob(half) for half in z]))


def test_log_prob_of_all_pairs_is_that_of_each_pair() -> None:
    q, z = flowed(BATCH, LATENT), numbers(7, LATENT)
    expected = q.log_prob(z.expand(BATCH, 7, LATENT)).t()
    assert expected.shape == (7, BATCH)
    torch.testing.assert_close(q.cross_log_prob(z), expected, rtol=1e-9, atol=1e-9)


def test_the_centre_is_the_mean_pushed_through() -> None:
    q = flowed(BATCH, LATENT)
    expected = q.base.mean.numpy()
    for made in q.flows:
        expected = by_numpy(made)(expected)
    torch.testing.assert_close(q.center(), torch.from_numpy(expected), rtol=1e-9, atol=1e-9)
    assert q.parameters == q.base.parameters


def test_a_changed_distribution_keeps_its_flows_in_any_precision() -> None:
    torch.manual_seed(0)
    flows = tuple(flow(LATENT, k, dtype=torch.float32) for k in range(3))
    single = Flowed(DiagonalGaussian(*torch.randn(2, BATCH, LATENT)), flows)
    double = single.map(Tensor.double)
    assert double.flows == flows
    assert double.base.mean.dtype == torch.float64
    z, log_density = single.sample(source(BATCH), SAMPLES)
    assert double.log_prob(z.double()).dtype == torch.float64
    torch.testing.assert_close(double.log_prob(z.double()), log_density.double(), rtol=1e-3, atol=1e-3)
    few = double.map(lambda values: values[1:3])
    torch.testing.assert_close(few.log_prob(z[1:3].double()), double.log_prob(z.double())[1:3])
    assert flows[0].u.dtype == torch.float32


def test_mutual_information_is_that_of_the_base() -> None:
    """The flows are a bijection that all texts share: it takes nothing away and adds nothing."""
    q = flowed(12, LATENT)
    start, _ = q.base.sample(source(12), SAMPLES)
    z, _ = q.sample(source(12), SAMPLES)
    found, base = (
        mutual_information(d, c.detach(), torch.zeros(12), torch.ones(12), StandardNormal(LATENT), 5)
        for d, c in ((q, z), (q.base, start))
    )
    torch.testing.assert_close(found.leave_one_out, base.leave_one_out, rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(found.self_included, base.self_included, rtol=1e-7, atol=1e-7)


def network(**options: bool | int) -> PlanarFlowPosterior:
    torch.manual_seed(0)
    made = PlanarFlowPosterior(FEATURES, LATENT, **options)  # type: ignore[arg-type]
    assert len(made.flows) == options.get("flows", 3)
    return made


def test_the_posterior_without_normalisation_is_two_affine_maps() -> None:
    made, encoded = network(flows=2, batch_norm=False), torch.randn(BATCH, FEATURES)
    q = made(encoded)
    torch.testing.assert_close(q.base.mean, made.mean(encoded))
    torch.testing.assert_close(q.base.log_std, made.log_std(encoded))
    assert q.flows == tuple(made.flows)


def test_the_posterior_normalises_over_the_batch_in_training_only() -> None:
    made, encoded = network(), torch.randn(BATCH, FEATURES)
    outputs = made.mean(encoded), made.log_std(encoded)
    q = made.train()(encoded)
    for found, raw in zip((q.base.mean, q.base.log_std), outputs, strict=True):
        centred = raw - raw.mean(0)
        torch.testing.assert_close(found, centred / (raw.var(0, unbiased=False) + 1e-5).sqrt())
    # Running statistics after one batch: a tenth of the batch's, nine tenths of the initial 0 and 1.
    q = made.eval()(encoded)
    for found, raw in zip((q.base.mean, q.base.log_std), outputs, strict=True):
        running = (0.9 + 0.1 * raw.var(0) + 1e-5).sqrt()
        torch.testing.assert_close(found, (raw - 0.1 * raw.mean(0)) / running)
    one = made(encoded[:1])
    torch.testing.assert_close(one.base.mean, q.base.mean[:1])


def test_one_text_is_normalised_by_the_running_statistics() -> None:
    made, encoded = network(), torch.randn(BATCH, FEATURES)
    made.train()(encoded)
    state = {name: value.clone() for name, value in made.state_dict().items()}
    alone = made(encoded[:1])
    alone.center().sum().backward()
    assert all(torch.equal(value, state[name]) for name, value in made.state_dict().items())
    torch.testing.assert_close(alone.base.mean, made.eval()(encoded[:1]).base.mean)


def test_every_parameter_learns_from_a_sample_and_its_density() -> None:
    made = network().train()
    z, log_density = made(torch.randn(BATCH, FEATURES)).sample(source(BATCH), 1)
    (log_density - StandardNormal(LATENT).log_prob(z)).mean().backward()
    normalised = ("mean.bias", "log_std.bias")  # subtracted with the batch's mean
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None
        assert (parameter.grad.abs().max() > 1e-6) != (name in normalised), name


def test_the_base_of_the_posterior_equals_the_library() -> None:
    q = flowed(BATCH, LATENT, 0)
    z = numbers(BATCH, SAMPLES, LATENT)
    library = Independent(Normal(q.base.mean, q.base.log_std.exp()), 1)
    torch.testing.assert_close(q.log_prob(z), library.log_prob(z.transpose(0, 1)).t())
