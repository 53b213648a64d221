"""Flows between the code and the decoder, the batch-normalised Gaussian and the fixed concentration."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.models.distributions import DiagonalGaussian
from bench.models.flows import PlanarFlow, PlanarFlowSignal
from bench.models.posteriors import GaussianPosterior
from bench.models.von_mises_fisher import UniformSphere, VonMisesFisherPosterior
from tests.plain import numbers


def signal(**options: int) -> PlanarFlowSignal:
    torch.manual_seed(0)
    return PlanarFlowSignal(3, **options).double()  # type: ignore[arg-type]


def test_the_path_is_flow_after_flow_and_the_determinant_that_of_the_jacobian() -> None:
    ours, z = signal(flows=2), torch.randn(3, dtype=torch.float64)
    codes, determinant = ours.path(z)
    assert len(codes) == 3
    assert torch.equal(codes[0], z)
    for flow, before, after in zip(ours.flows, codes, codes[1:], strict=False):
        assert isinstance(flow, PlanarFlow)
        u, w, b = flow.u, flow.w, flow.b
        constrained = u + (F.softplus(w @ u) - 1 - w @ u) * w / (w @ w)
        torch.testing.assert_close(after, before + constrained * torch.tanh(w @ before + b))
    jacobian = torch.autograd.functional.jacobian(ours, z)
    torch.testing.assert_close(determinant, torch.linalg.slogdet(jacobian).logabsdet)


def test_the_initial_values_are_those_of_the_released_code() -> None:
    torch.manual_seed(1)
    flow = PlanarFlow(2000, "normal")
    assert flow.b.item() == 1
    for values in (flow.u, flow.w):
        assert abs(values.mean().item()) < 0.1
        assert values.std().item() == pytest.approx(1, abs=0.1)


def test_what_the_decoder_reads_has_the_density_of_the_code_over_the_determinant() -> None:
    ours, base = signal(), DiagonalGaussian(torch.randn(4, 3).double(), torch.zeros(4, 3).double())
    z, density = base.sample(numbers(4), 5)
    codes, determinant = ours.path(z)
    torch.testing.assert_close(ours.pushed(base).log_prob(codes[-1]), density - determinant)


def test_centres_are_kept_with_the_weights_where_there_are_some() -> None:
    assert signal(centres=2).state_dict()["centres"].shape == (2, 3)
    assert "centres" not in signal().state_dict()


def test_the_normalised_gaussian_is_the_equations() -> None:
    torch.manual_seed(2)
    ours, e = GaussianPosterior(5, 3, batch_norm=True, hidden=4, spread="variance"), torch.randn(6, 5)
    p = dict(ours.named_parameters())

    def mapped(name: str) -> Tensor:
        inner = F.linear(e, p[f"{name}.0.weight"], p[f"{name}.0.bias"]).relu()
        return F.linear(inner, p[f"{name}.2.weight"], p[f"{name}.2.bias"])

    mean, log_variance = mapped("mean"), mapped("log_std")
    found = ours(e)
    for value, inner in ((found.mean, mean), (2 * found.log_std, log_variance)):
        expected = (inner - inner.mean(0)) / (inner.var(0, unbiased=False) + 1e-5).sqrt()
        torch.testing.assert_close(value, expected, atol=1e-5, rtol=1e-4)
    plain = GaussianPosterior(5, 3)
    affine = dict(plain.named_parameters())
    expected = F.linear(e, affine["log_std.weight"], affine["log_std.bias"])
    torch.testing.assert_close(plain(e).log_std, expected)
    assert not torch.equal(ours.eval()(e).mean, found.mean)  # by the running statistics


def test_a_fixed_concentration_gives_every_text_the_same_known_kl() -> None:
    torch.manual_seed(3)
    latent = VonMisesFisherPosterior(6, 32, fixed=80.0)(torch.randn(4, 6))
    terms = latent.kl_terms(UniformSphere(32))
    assert terms.flatten().tolist() == pytest.approx([17.863] * 4, abs=1e-3)
    assert not terms.requires_grad
    assert latent.expectation().norm(dim=1).tolist() == pytest.approx([0.824] * 4, abs=1e-3)
    drawn = latent.sample(numbers(4), 4000)[0].mean(1)
    torch.testing.assert_close(drawn, latent.expectation(), atol=0.02, rtol=0)
