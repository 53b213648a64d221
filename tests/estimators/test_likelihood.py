"""Likelihoods against closed forms, enumeration and quadrature."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from bench.corpora.batches import Batch, Collator
from bench.corpora.prepared import Prepared
from bench.corpora.vocabulary import EOS, GO, PAD, UNK
from bench.estimators import likelihood
from bench.estimators.likelihood import conditional_losses, text_likelihoods
from bench.metrics.context import Context
from bench.models.distributions import DiagonalGaussian
from bench.models.forward import Forward
from bench.models.model import TextModel
from bench.models.priors import StandardNormal
from bench.training.composition import build_model
from tests.conftest import tiny_settings
from tests.plain import Plain, all_texts, collator, small_model

COPIES = 64  # of one text, each with noise of its own: independent repetitions of an estimate


class LinearGaussian(nn.Module):
    """z ~ N(0, I), x given z ~ N(Wz, s^2 I) in place of the words; W has orthogonal columns.

    The posterior N(m, diag(v)) is then exact; q is shifted from it and wider by the given amounts.
    """

    W = torch.tensor([[1.0, 2.0], [2.0, -1.0], [0.0, 0.0]])
    x = torch.tensor([1.5, -0.5, 0.3])
    noise = 0.8

    def __init__(self, shift: float, wider: float) -> None:
        super().__init__()
        self.encoder, self.prior, self.condition = nn.Identity(), StandardNormal(2), None
        variance = 1 / (1 + (self.W.t() @ self.W).diagonal() / self.noise**2)
        self.posterior = DiagonalGaussian(
            (variance * (self.x @ self.W) / self.noise**2)[None], variance.log()[None] / 2
        )
        self.q = DiagonalGaussian(self.posterior.mean + shift, self.posterior.log_std + math.log(wider))
        self.branches = {"main": SimpleNamespace(latent=self.latent)}

    def encode(self, batch: Batch, noise: None, condition: None) -> Tensor:
        return torch.zeros(len(batch.lengths), 1)

    def encode_condition(self, batch: Batch, noise: None) -> None:
        return None

    def field_read(self, batch: Batch) -> str:
        return batch.encodes

    def latent(self, encoded: Tensor) -> DiagonalGaussian:
        return DiagonalGaussian(*(p.expand(len(encoded), -1) for p in (self.q.mean, self.q.log_std)))

    @classmethod
    def losses(cls, forward: Forward, codes: Tensor, dtype: torch.dtype) -> Tensor:
        normal = torch.distributions.Normal(codes @ cls.W.t(), cls.noise)
        negative: Tensor = -normal.log_prob(cls.x).sum(-1)
        return negative

    def exact(self) -> float:
        covariance = self.W @ self.W.t() + self.noise**2 * torch.eye(3)
        return -float(MultivariateNormal(torch.zeros(3), covariance).log_prob(self.x))

    def gap(self) -> float:
        """KL(q || posterior): by how much the bound of one code is too high."""
        kinds = [torch.distributions.Normal(d.mean, d.log_std.exp()) for d in (self.q, self.posterior)]
        return float(torch.distributions.kl_divergence(*kinds).sum())


def measure(
    model: LinearGaussian, samples: int, monkeypatch: pytest.MonkeyPatch, copies: int = COPIES
) -> dict[str, np.ndarray]:
    monkeypatch.setattr(likelihood, "conditional_losses", LinearGaussian.losses)
    stand_in: Any = model
    return text_likelihoods(stand_in, collator([[4]] * copies), samples, "test")


def spread(values: np.ndarray) -> float:
    """The standard error of a mean over the repetitions."""
    return float(values.std(ddof=1) / math.sqrt(len(values)))


def test_importance_sampling_converges_to_the_closed_form(monkeypatch: pytest.MonkeyPatch) -> None:
    model = LinearGaussian(shift=0.3, wider=1.4)
    nll = measure(model, 10_000, monkeypatch)["nll"]
    assert 0 < spread(nll) < 0.005
    assert abs(nll.mean() - model.exact()) < 4 * spread(nll)  # the bias, half the variance, is 1/20 of a s.e.


def test_the_mean_weight_is_unbiased_and_its_logarithm_too_high(monkeypatch: pytest.MonkeyPatch) -> None:
    model = LinearGaussian(shift=0.3, wider=1.4)
    means = []
    for samples in (1, 4, 16):
        nll = measure(model, samples, monkeypatch, copies=1000)["nll"]
        weights = np.exp(-nll)
        assert abs(weights.mean() - math.exp(-model.exact())) < 4 * spread(weights)
        means.append(float(nll.mean()))
    assert means[0] > means[1] > means[2] > model.exact()  # by 1.2, .24, .04, give or take .06, .02, .01


def test_one_code_costs_the_gap_on_average_and_so_does_the_elbo(monkeypatch: pytest.MonkeyPatch) -> None:
    model = LinearGaussian(shift=0.3, wider=1.4)
    single = measure(model, 1, monkeypatch)["nll"]
    assert abs(single.mean() - model.exact() - model.gap()) < 4 * spread(single)
    columns = measure(model, 100, monkeypatch)
    assert abs(-columns["elbo"].mean() - model.exact() - model.gap()) < 4 * spread(columns["elbo"])
    np.testing.assert_allclose(
        columns["elbo"], -columns["reconstruction"] - columns["kl_analytic"], rtol=1e-6
    )


@pytest.mark.parametrize("samples", [1, 7])
def test_the_exact_posterior_has_no_variance(samples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = LinearGaussian(shift=0.0, wider=1.0)
    nll = measure(model, samples, monkeypatch)["nll"]
    np.testing.assert_allclose(nll, model.exact(), rtol=0, atol=1e-5)  # float32


SYMBOLS = [PAD, GO, UNK, 4, 5]  # a model may write any of them before the end symbol


def test_a_language_models_probabilities_sum_to_one() -> None:
    model = small_model("gru-lm", words=6)
    texts, plain = all_texts(SYMBOLS, 3), Plain(model)
    found = text_likelihoods(model, collator(texts), 3)
    assert set(found) == {"nll"}
    losses = [plain.losses("branch", text, None).detach().numpy() for text in texts]
    np.testing.assert_allclose(found["nll"], [row.sum() for row in losses], rtol=1e-5)
    empty = float(torch.softmax(plain.logits("branch", [GO], None)[0], 0)[EOS].detach())
    # Texts of three words that go on: their words' probability times that of no end symbol.
    longer = sum(np.exp(-row[:-1].sum()) * -np.expm1(-row[-1]) for row in losses if len(row) == 4)
    assert 0.1 < longer < 0.9
    assert np.exp(-found["nll"]).sum() + empty + longer == pytest.approx(1, abs=1e-5)


def latent_model() -> TextModel:
    """One dimension that matters: a large signal, a posterior unlike the prior."""
    model = small_model("vae", words=6, latent=1)
    with torch.no_grad():
        model.branch.get_parameter("signal.outer.weight").mul_(6)
        model.branch.get_parameter("posterior.mean.bias").fill_(0.6)
        model.branch.get_parameter("posterior.log_std.bias").fill_(-0.2)
    return model


@pytest.mark.parametrize("text", [[4], [5, 4], [4, 4, 5], [UNK, 5, 5, 4, 4, 4]])
def test_importance_sampling_agrees_with_quadrature(text: list[int]) -> None:
    model = latent_model()
    plain, grid = Plain(model), torch.linspace(-8, 8, 161, dtype=torch.double)
    with torch.no_grad():
        joint = [
            -plain.losses("branch", text, plain.signal("branch", z[None])).sum() - z**2 / 2 for z in grid
        ]
    density = torch.stack(joint).exp() / math.sqrt(2 * math.pi)
    exact = float(torch.trapezoid(density, grid))  # smooth and nothing at the ends: exact to many digits
    columns = text_likelihoods(model, collator([text] * COPIES), 200, "test")
    weights = np.exp(-columns["nll"])
    assert abs(weights.mean() - exact) < 4 * spread(weights)
    assert spread(weights) < 0.02 * exact
    assert -columns["elbo"].mean() > -math.log(exact)


def test_losses_of_many_codes_equal_the_model_written_again() -> None:
    model, texts = small_model("vae"), [[4, 5, 6, 7, 8], [8], [5, 5, 3]]
    plain, codes = Plain(model), torch.randn(3, 4, 4)
    found = conditional_losses(Forward(model, collator(texts)(range(3))), codes)
    for i, text in enumerate(texts):
        for j in range(4):
            wanted = plain.losses("branch", text, plain.signal("branch", codes[i, j].double())).sum()
            assert float(found[i, j].detach()) == pytest.approx(float(wanted.detach()), rel=1e-5)


@pytest.fixture(scope="module")
def test_texts(corpus: Prepared) -> Collator:
    return Collator(corpus.splits["test"])


def trained(system: str, runs: Path, corpus: Prepared) -> TextModel:
    settings = tiny_settings(system)
    model = build_model(settings, len(corpus.vocabulary))
    model.load_state_dict(load_file(runs / settings.name / "model.safetensors"))
    return model


@pytest.mark.parametrize("system", ["gru-lm", "dae", "vae"])
def test_the_budget_changes_nothing(system: str, runs: Path, corpus: Prepared, test_texts: Collator) -> None:
    model = trained(system, runs, corpus)
    wanted = text_likelihoods(model, test_texts, 5, "test")
    for rows in (1, 50, 333, 100_000):
        found = text_likelihoods(model, test_texts, 5, "test", rows=rows)
        assert found.keys() == wanted.keys()
        for name, values in wanted.items():
            # Products of other shapes sum in another order: a few units of the last place of float32.
            np.testing.assert_allclose(found[name], values, rtol=3e-6, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("system", ["gru-lm", "vae"])
def test_padding_changes_no_text(system: str) -> None:
    model, texts = small_model(system), [[4, 5, 6], [7], [8, 8], [4, 5, 6, 7, 8, 4, 5, 6, 7, 8, 4, 4]]
    together = text_likelihoods(model, collator(texts), 5, "test")
    for number in range(len(texts)):
        alone = text_likelihoods(model, collator(texts[: number + 1]), 5, "test", rows=1)
        for name, values in alone.items():
            assert values[number] == pytest.approx(together[name][number], abs=1e-5), name


@pytest.mark.parametrize("system", ["gru-lm", "vae"])
def test_evaluation_is_in_float32_whatever_was_trained_in(
    system: str, runs: Path, corpus: Prepared, test_texts: Collator
) -> None:
    settings = tiny_settings(system)
    narrow = settings.model_copy(
        update={"training": settings.training.model_copy(update={"precision": "bfloat16"})}
    )
    context = Context(narrow, corpus, runs / settings.name, torch.device("cpu"))
    names = context.noise("codes")
    wanted = text_likelihoods(context.model, test_texts, context.wanted.samples, *names)
    for name, values in context.likelihoods.items():
        np.testing.assert_array_equal(values, wanted[name], err_msg=name)


@pytest.mark.parametrize("system", ["gru-lm", "vae"])
def test_bfloat16_products_leave_the_mean_within_a_thousandth(
    system: str, runs: Path, corpus: Prepared, test_texts: Collator
) -> None:
    model = trained(system, runs, corpus)
    exact, rounded = (
        text_likelihoods(model, test_texts, 5, "test", dtype=d) for d in (torch.float32, torch.bfloat16)
    )
    assert 0 < abs(rounded["nll"].mean() / exact["nll"].mean() - 1) < 1e-3
    if system == "vae":  # densities are computed in float32 whatever the products are
        np.testing.assert_array_equal(rounded["kl_monte_carlo"], exact["kl_monte_carlo"])


def test_bounds_and_both_kinds_of_kl(runs: Path, corpus: Prepared, test_texts: Collator) -> None:
    columns = text_likelihoods(trained("vae", runs, corpus), test_texts, 50, "test")
    bound = columns["reconstruction"] + columns["kl_monte_carlo"]
    assert (columns["nll"] <= bound + 1e-4).all()  # Jensen's inequality, on the same codes
    assert columns["elbo"].mean() < -columns["nll"].mean()
    difference = columns["kl_monte_carlo"] - columns["kl_analytic"]
    assert abs(difference.mean()) < 4 * spread(difference)


def test_a_stochastic_code_without_a_density_is_reconstructed_from_as_many_samples(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, split = small_model("vae"), collator([[4, 5, 6], [7]])
    whole = text_likelihoods(model, split, 6, "test")
    monkeypatch.setattr(DiagonalGaussian, "has_density", False)
    found = text_likelihoods(model, split, 6, "test")
    assert set(found) == {"reconstruction"}
    np.testing.assert_array_equal(found["reconstruction"], whole["reconstruction"])
