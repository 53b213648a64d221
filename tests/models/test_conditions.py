"""Systems that are given another field: against a transcription of their equations and against the library."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from bench.base.errors import BenchError
from bench.catalog.catalog import load_catalog
from bench.corpora.batches import Batch, Collator
from bench.corpora.prepared import Prepared
from bench.estimators.likelihood import conditional_losses, conditions, text_likelihoods
from bench.metrics.decoding import greedy
from bench.metrics.responses import Exchanged
from bench.models.conditions import ConditionalGaussian
from bench.models.distributions import DiagonalGaussian
from bench.models.forward import Forward
from bench.models.model import TWIN
from bench.models.noise import Noise, TextSource
from bench.objectives.divergences import KL
from bench.objectives.matching import Matching
from bench.planning.resolve import resolve
from bench.training.composition import build_model
from bench.training.run import train_run
from tests.conftest import TINY

PAIRS = "generated-pairs-tiny"
SMALL = TINY | {"condition": {"hidden": 8, "dropout": 0.2}}


def settings_of(system: str, corpus: str = PAIRS) -> Any:
    return resolve(load_catalog(), "demo", "coupled-vae", corpus, system, 0, SMALL)


@pytest.fixture(scope="module")
def batch(pairs: Prepared) -> Batch:
    return Collator(pairs.splits["test"])(np.arange(6))


def model_of(system: str, pairs: Prepared) -> Any:
    return build_model(settings_of(system), len(pairs.vocabulary)).eval()


def test_kl_of_two_gaussians_and_the_density_of_the_prior_are_those_of_the_library() -> None:
    torch.manual_seed(0)
    prior, e_y, q = (
        ConditionalGaussian(4, 3),
        torch.randn(5, 3),
        DiagonalGaussian(*torch.randn(2, 5, 4).unbind()),
    )
    p = prior.given(e_y)
    library = Normal(p.mean, p.log_std.exp())
    terms = q.kl_terms(p)
    assert terms is not None
    torch.testing.assert_close(terms, kl_divergence(Normal(q.mean, q.log_std.exp()), library))
    z = torch.randn(5, 4)
    torch.testing.assert_close(prior.log_prob(z, e_y), library.log_prob(z).sum(-1))
    drawn = prior.sample(5, torch.Generator().manual_seed(1), e_y)
    noise = torch.empty(5, 4).normal_(generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(drawn, p.mean + p.log_std.exp() * noise)
    with pytest.raises(TypeError, match="depends on a condition"):
        prior.log_prob(z)


def test_a_prior_with_a_hidden_layer_gives_the_variance_of_its_equations() -> None:
    torch.manual_seed(0)
    prior, e_y = ConditionalGaussian(4, 3, hidden=5, spread="variance"), torch.randn(2, 3)
    inner: Any = prior.inner
    first = inner[0]
    hidden = torch.tanh(e_y @ first.weight.t() + first.bias)
    found = prior.given(e_y)
    torch.testing.assert_close(found.mean, hidden @ prior.mean.weight.t() + prior.mean.bias)
    variance = (hidden @ prior.log_std.weight.t() + prior.log_std.bias).exp()
    torch.testing.assert_close((2 * found.log_std).exp(), variance)


def encoded(encoder: Any, model: Any, words: Tensor, lengths: Tensor) -> Tensor:
    return encoder(model.embedding(words), lengths, None)  # type: ignore[no-any-return]


def test_a_coupled_cvae_is_what_its_equations_say(pairs: Prepared, batch: Batch) -> None:
    model = model_of("coupled-cvae", pairs)
    forward = Forward(model, batch, source=TextSource(batch.index, "codes"))
    post = batch.fields["context"]
    e_y = encoded(model.condition.encoder, model, post.words, post.lengths)
    e_x = encoded(model.encoder, model, batch.words, batch.lengths)
    both = torch.cat([e_x, e_y], dim=-1)
    r = model.condition.response(e_y)
    q = model.branch.posterior(both)
    z = q.sample(TextSource(batch.index, "codes"), 1)[0].squeeze(1)
    for branch, code in ((forward.main, z), (forward[TWIN], model.twin.posterior(both).mean)):
        own: Any = branch.branch.signal
        torch.testing.assert_close(branch.signal, own.outer(torch.relu(own.inner(code))) + r)
    p = model.prior.given(e_y)
    expected = kl_divergence(Normal(q.mean, q.log_std.exp()), Normal(p.mean, p.log_std.exp())).sum(-1)
    torch.testing.assert_close(KL()(forward), expected)


def test_importance_sampling_weighs_by_the_prior_given_the_post(pairs: Prepared) -> None:
    model, collator = model_of("cvae", pairs), Collator(pairs.splits["test"].first(6))
    found = text_likelihoods(model, collator, 3, "a")
    batch = collator(np.arange(6))
    forward = Forward(model, batch)
    with torch.no_grad():
        codes, density = forward.main.latent.sample(TextSource(batch.index, "a"), 3)
        losses = conditional_losses(forward, codes)
        assert forward.condition is not None
        prior = torch.stack([model.prior.log_prob(code, forward.condition) for code in codes.unbind(1)], 1)
        assert density is not None
        nll = math.log(3) - torch.logsumexp(prior - losses - density, 1)
    np.testing.assert_allclose(found["nll"], nll, rtol=1e-4)
    assert {"kl_analytic", "kl_monte_carlo"} <= set(found)


def test_the_likelihood_of_an_encoder_decoder_is_exact_and_depends_on_the_post(pairs: Prepared) -> None:
    model, collator = model_of("gru-encoder-decoder", pairs), Collator(pairs.splits["test"].first(6))
    batch, texts = collator(np.arange(6)), np.arange(6)
    found = text_likelihoods(model, collator, 3, "a")["nll"]
    logits = model.branch.output(Forward(model, batch).main.features)
    each = -logits.log_softmax(-1).gather(-1, batch.targets[..., None]).squeeze(-1) * batch.real
    np.testing.assert_allclose(found, each.sum(0).detach(), rtol=1e-4)
    exchanged = Exchanged(collator, texts, np.roll(texts, 1))
    other = exchanged(texts)
    assert torch.equal(other.words, batch.words)
    assert torch.equal(other.others["context"].lengths, batch.others["context"].lengths.roll(1))
    assert not np.allclose(text_likelihoods(model, exchanged, 3, "a")["nll"], found)
    given = model.given(conditions(model, collator))
    assert len(greedy(model, None, 5, given=given)) == 6


@pytest.mark.parametrize(("of", "moves"), [("signal", True), ("code", False)])
def test_matching_moves_the_network_of_the_post_only_as_released(
    of: Any, moves: bool, pairs: Prepared, batch: Batch
) -> None:
    model = model_of("coupled-cvae", pairs)
    forward = Forward(model, batch, source=TextSource(batch.index, "codes"))
    found = Matching(of=of)(forward)
    torch.testing.assert_close(found, Matching()(forward), rtol=1e-5, atol=1e-5)
    found.sum().backward()
    gradient = model.condition.response.weight.grad
    assert (gradient is not None and bool(gradient.abs().sum() > 0)) == moves
    assert model.branch.signal.outer.weight.grad.abs().sum() > 0


def test_the_two_encoders_have_dropout_masks_of_their_own(pairs: Prepared, batch: Batch) -> None:
    model, noise = model_of("cvae", pairs), Noise("noise")
    Forward(model, batch, noise).encoded.sum().backward()
    assert len(noise.generators) == 2


def test_a_corpus_without_the_field_is_refused(tmp_path: Path, corpora: Path) -> None:
    settings = settings_of("cvae", "generated-tiny")
    with pytest.raises(BenchError, match="field of generated-tiny"):
        train_run(settings, corpora, tmp_path / "runs", tmp_path / "state", device="cpu", threads=1)


def test_codes_of_the_prior_and_repeated_texts_are_given_the_same_posts(
    pairs: Prepared, batch: Batch
) -> None:
    model = model_of("cvae", pairs)
    forward = Forward(model, batch, Noise("posts"))
    assert forward.condition is not None
    given = model.prior.given(forward.condition)
    drawn = model.prior.sample(6, Noise("posts").generator("prior"), forward.condition)
    torch.testing.assert_close(forward.prior_codes, drawn)
    assert given.mean.shape == drawn.shape
    many = Forward.repeated(model, batch, Noise("posts"), 3)
    once = Forward(model, batch, Noise("posts"))
    assert once.condition is not None
    torch.testing.assert_close(many.condition, once.condition.repeat(3, 1))
