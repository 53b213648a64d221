"""The composed model: against the same model written again; its sizes, initial values, what a twin shares."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from bench.catalog.catalog import load_catalog
from bench.corpora.vocabulary import EOS, GO
from bench.models.lstm import run
from bench.models.model import TextModel, initialise
from bench.models.noise import Noise
from bench.planning.resolve import resolve
from bench.training.composition import build_model
from tests.conftest import tiny_settings
from tests.plain import WORDS, Plain, collator, small_model

TEXTS = [[4, 5, 6, 7, 8], [8], [5, 5, 3], [6, 4]]


def test_encoded_texts_and_signals_equal_the_model_written_again() -> None:
    model = small_model("coupled-vae")
    plain, encoded = Plain(model), model.encode(collator(TEXTS)(range(4)))
    for number, text in enumerate(TEXTS):
        e = plain.encode(text)
        torch.testing.assert_close(encoded[number].double(), e, rtol=1e-4, atol=1e-6)
        latent = model.branch.latent(encoded)
        for found, part in ((latent.parameters["mean"], "mean"), (latent.parameters["log_std"], "log_std")):
            expected = plain.affine(f"branch.posterior.{part}", e)
            torch.testing.assert_close(found[number].double(), expected, rtol=1e-4, atol=1e-6)
        h = plain.signal("branch", latent.center()[number].double())
        torch.testing.assert_close(
            model.branch.decoding_signal(latent.center())[number].double(), h, rtol=1e-4, atol=1e-6
        )


READING = {"none": ([], []), "begin": ([GO], []), "both": ([GO], [EOS])}


@pytest.mark.parametrize("symbols", READING)
@pytest.mark.parametrize("own", [False, True])
def test_an_encoder_reads_symbols_around_the_words_and_its_own_embeddings(symbols: str, own: bool) -> None:
    lstm: dict[str, Any] = {"kind": "lstm", "hidden": 8, "bidirectional": False}
    model = small_model("vae", encoder={**lstm, "symbols": symbols, "own_table": own})
    encoded, (before, after) = model.encode(collator(TEXTS)(range(4))), READING[symbols]
    table = model.encoder.table if own else model.embedding
    for number, text in enumerate(TEXTS):
        ids = torch.tensor([*before, *text, *after])
        torch.testing.assert_close(
            encoded[number], run(model.encoder.forwards, table(ids)[:, None])[0][-1, 0]
        )
    encoded.sum().backward()
    assert (model.embedding.weight.grad is None) == own


def test_an_encoder_with_its_own_embeddings_is_refused_where_its_field_has_some() -> None:
    parts = tiny_settings("vae", encoder={"kind": "lstm", "hidden": 8, "own_table": True}).parts()
    with pytest.raises(ValueError, match="embeddings of its own"):
        TextModel(parts, words=WORDS, embedding=8, latent=4, reads="context", others={"context": 5})


def test_dropout_comes_with_noise_alone() -> None:
    model, batch = small_model("vae"), collator(TEXTS)(range(4))
    model.train()  # the library's switch has no effect: no hidden randomness
    assert torch.equal(model.encode(batch), model.encode(batch))
    assert not torch.equal(model.encode(batch, Noise("a")), model.encode(batch))
    assert torch.equal(model.encode(batch, Noise("a")), model.encode(batch, Noise("a")))


# Sizes of the released code: a bidirectional encoder of H units, a decoder of 2H, embedding and signal 200.
@pytest.mark.parametrize(("corpus", "hidden"), [("ptb", 128), ("yelp13", 256), ("yahoo", 256)])
def test_sizes_under_the_protocol_of_the_paper(corpus: str, hidden: int) -> None:
    settings = resolve(load_catalog(), "paper", "coupled-vae", corpus, "coupled-vae", 0)
    with torch.device("meta"):
        model = TextModel(settings.parts(), words=1000, embedding=settings.embedding, latent=settings.latent)
    sizes = {name: tuple(value.shape) for name, value in model.named_parameters()}
    assert sizes["embedding.weight"] == (1000, 200)
    for direction in ("forwards", "backwards"):
        assert sizes[f"encoder.{direction}.weight_ih"] == (3 * hidden, 200)
    for branch in ("branch", "twin"):
        assert sizes[f"{branch}.posterior.mean.weight"] == (32, 2 * hidden)
        assert sizes[f"{branch}.posterior.log_std.weight"] == (32, 2 * hidden)
        assert sizes[f"{branch}.signal.inner.weight"] == (200, 32)
        assert sizes[f"{branch}.signal.outer.weight"] == (200, 200)
        assert sizes[f"{branch}.decoder.gru.weight_ih"] == (3 * 2 * hidden, 400)
        assert sizes[f"{branch}.decoder.gru.weight_hh"] == (3 * 2 * hidden, 2 * hidden)
        assert sizes[f"{branch}.decoder.projection.weight"] == (200, 2 * hidden)
        assert sizes[f"{branch}.output.weight"] == (1000, 200)


def test_a_twin_has_its_own_of_everything_after_the_encoder() -> None:
    model = small_model("coupled-vae")
    assert model.twin is not None
    shapes = [{n: p.shape for n, p in branch.named_parameters()} for branch in (model.branch, model.twin)]
    assert shapes[0] == shapes[1]
    assert not {id(p) for p in model.branch.parameters()} & {id(p) for p in model.twin.parameters()}
    rest = {n.split(".")[0] for n, _ in model.named_parameters()} - {"branch", "twin"}
    assert rest == {"embedding", "encoder"}


@pytest.mark.parametrize("other", ["dae", "beta-1.2-vae", "coupled-vae"])
def test_systems_share_the_initial_values_of_every_module_that_both_have(other: str) -> None:
    first, second = small_model("vae").state_dict(), small_model(other).state_dict()
    shared = {name for name in first.keys() & second.keys() if first[name].shape == second[name].shape}
    assert len(shared) == min(len(first), len(second))  # all of the smaller system
    for name in shared:
        assert torch.equal(first[name], second[name]), name


def test_every_module_and_seed_has_values_of_its_own() -> None:
    first, second = small_model("coupled-vae"), small_model("coupled-vae", seed=1)
    torch.manual_seed(5)
    again, state = small_model("coupled-vae").state_dict(), first.state_dict()
    for name, value in second.named_parameters():
        assert torch.equal(state[name], again[name]), name
        assert not torch.equal(state[name], value), name
        if name.startswith("twin."):
            assert not torch.equal(state[name], state["branch." + name.removeprefix("twin.")]), name


def test_initialising_leaves_the_global_generator_alone_and_draws_normal_embeddings() -> None:
    model = small_model("vae", words=2000)
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    initialise(model, 4)
    assert torch.equal(torch.rand(3), expected)
    values = model.embedding.weight  # N(0, 1) for all ids: 24 000 numbers, five standard errors
    assert abs(float(values.mean().detach())) < 5 / 24_000**0.5
    assert abs(float(values.var().detach()) - 1) < 5 * (2 / 24_000) ** 0.5


def test_a_language_model_has_no_code() -> None:
    model = build_model(resolve(load_catalog(), "demo", "coupled-vae", "generated-tiny", "gru-lm", 0), WORDS)
    batch = collator(TEXTS)(range(4))
    for what, use in (
        ("no encoder", lambda: model.encode(batch)),
        ("no posterior", lambda: model.branch.latent(torch.zeros(1, 1))),
        ("no decoding signal", lambda: model.branch.decoding_signal(torch.zeros(1, 1))),
    ):
        with pytest.raises(TypeError, match=what):
            use()
