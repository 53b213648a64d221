"""The networks of the dual form and the term that they give: against the losses written out, and who learns."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from bench.base.errors import BenchError
from bench.models.forward import Forward
from bench.models.mixture_priors import MixtureOfGaussians
from bench.models.noise import Noise
from bench.objectives.divergences import KL
from bench.objectives.dual import DensityRatio, Dual, DualPrior
from bench.training.composition import build_model
from tests.conftest import tiny_settings
from tests.ivae import CODES, UNITS, ivae_settings
from tests.plain import WORDS, collator

BATCH = collator([[4, 5, 6, 7, 8], [8], [5, 5, 3], [6, 4]])(range(4))


@pytest.fixture
def forward() -> Forward:
    return Forward(build_model(ivae_settings(), WORDS), BATCH, Noise("dual"))


def ratio(given_text: bool = True) -> DensityRatio:
    torch.manual_seed(1)
    return DensityRatio(CODES, UNITS, given_text=given_text, hidden=6, layers=2)


def written_out(network: DensityRatio, z: Tensor, encoded: Tensor) -> Tensor:
    """nu of each code, by its weights."""
    values = torch.cat([z, encoded], -1) if network.given_text else z
    *hidden, last = [layer for layer in network.network if isinstance(layer, nn.Linear)]
    for layer in hidden:
        values = leaky_relu(values @ layer.weight.t() + layer.bias, 0.01)
    return (values @ last.weight.t() + last.bias).squeeze(-1)


@pytest.mark.parametrize("given_text", [True, False])
def test_the_losses_are_those_of_the_released_code(given_text: bool, forward: Forward) -> None:
    network = ratio(given_text)
    z, encoded = forward.main.z, forward.encoded
    prior = forward.model.prior.sample(4, Noise("dual").generator("prior"))
    at_text, at_prior = written_out(network, z, encoded), written_out(network, prior, encoded)
    torch.testing.assert_close(network(forward), at_prior.exp() - at_text)
    torch.testing.assert_close(Dual({"nu_xz": network})(forward), at_text)


def gradients(module: nn.Module) -> list[Tensor]:
    return [p.grad for p in module.parameters() if p.grad is not None]


def test_networks_learn_from_their_loss_and_the_encoder_from_the_other_by_the_code_alone(
    forward: Forward,
) -> None:
    network = ratio()
    network(forward).mean().backward(retain_graph=True)
    assert len(gradients(network)) == len(list(network.parameters()))
    assert gradients(forward.model) == []
    network.zero_grad()
    Dual({"nu": network}, ratio="nu")(forward).sum().backward()
    assert gradients(network) == []
    known = {name: p.grad for name, p in forward.model.encoder.named_parameters()}
    # The gradient of nu at its code, sent back through the code: the text that nu reads is held fixed.
    again = Forward(forward.model, BATCH, Noise("dual"))
    z, fixed = again.main.z, again.encoded.detach()
    at_code = torch.autograd.grad(written_out(network, z, fixed).sum(), z, retain_graph=True)[0]
    expected = torch.autograd.grad(z, list(forward.model.encoder.parameters()), at_code)
    for (name, found), wanted in zip(known.items(), expected, strict=True):
        torch.testing.assert_close(found, wanted, msg=name)


def test_the_best_network_gives_the_kl(forward: Forward, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ln q/p in place of the network, the mean of its loss is 1 - KL, over many codes."""
    latent, prior, copies = forward.main.latent, forward.model.prior, 20_000
    codes = latent.sample(Noise("many").source("latent", 4), copies)[0]
    drawn = prior.sample(4 * copies, torch.Generator().manual_seed(0))

    def best(z: Tensor) -> Tensor:
        of_text = z.view(4, copies, CODES)
        found: Tensor = latent.log_prob(of_text) - prior.log_prob(of_text)
        return found

    network = ratio()
    monkeypatch.setattr(network, "value", lambda z, _: best(z).flatten())
    main = SimpleNamespace(z=codes.flatten(0, 1))
    many: Any = SimpleNamespace(main=main, encoded=forward.encoded, prior_codes=drawn)
    loss = network(many).view(4, copies).mean(1)
    error = best(drawn).exp().std(1) / math.sqrt(copies) + best(codes).std(1) / math.sqrt(copies)
    assert ((loss - (1 - KL()(forward))).abs() < 5 * error).all()


@pytest.mark.parametrize(("given_text", "first"), [(True, CODES + UNITS), (False, CODES)])
def test_the_network_reads_the_text_or_not(given_text: bool, first: int) -> None:
    sizes = [tuple(m.weight.shape) for m in ratio(given_text).network if isinstance(m, nn.Linear)]
    assert sizes == [(6, first), (6, 6), (1, 6)]


def test_what_a_system_lacks_or_names_wrongly_is_said(forward: Forward) -> None:
    with pytest.raises(BenchError, match="'kl' has no fitted ratio"):
        Dual({"kl": KL()}, ratio="kl")(forward)
    with pytest.raises(BenchError, match="unknown term 'nu'"):
        ivae_settings(objective={"kl": {"ratio": "nu"}})
    with pytest.raises(BenchError, match="term 'dual' needs the property 'ratio'"):
        tiny_settings("vae", objective={"kl": {"kind": "dual", "ratio": "kl"}})
    with pytest.raises(BenchError, match="a point has no density"):
        tiny_settings("dae", prior="standard-normal", objective={"nu": {"kind": "density-ratio"}})


@pytest.mark.parametrize("ascent", [False, True])
def test_a_learned_prior_moves_where_its_sign_says_and_the_network_leaves_it_alone(ascent: bool) -> None:
    model = build_model(ivae_settings(), WORDS)
    model.prior = prior = MixtureOfGaussians(CODES, components=3)
    network, noise = ratio(), Noise("dual")
    network(Forward(model, BATCH, noise)).mean().backward()
    assert gradients(prior) == []
    network.zero_grad()
    known = Forward(model, BATCH, noise.anew("prior", 1))
    drawn = Forward(model, BATCH, noise.anew("prior", 1)).prior_codes
    term = DualPrior({"nu_xz": network}, ascent=ascent)
    values = term(known)
    expected = written_out(network, drawn, known.encoded).exp() * (1 if ascent else -1)
    torch.testing.assert_close(values, expected)
    values.sum().backward()
    assert gradients(network) == []
    assert prior.mean.grad is not None
    assert prior.mean.grad.abs().sum() > 0
