"""The GRU decoder against the library's GRU: the first step, the words, many samples, one word at a time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from bench.models.decoders import GRUDecoder
from bench.models.noise import Noise

TIME, BATCH, SAMPLES, SIZE, HIDDEN, FEATURES = 6, 4, 3, 5, 7, 8
REAL = torch.ones(TIME, BATCH, dtype=torch.bool)


def decoder(signal: int = SIZE, dropout: float = 0.3) -> GRUDecoder:
    torch.manual_seed(0)
    return GRUDecoder(SIZE, signal, hidden=HIDDEN, projection=FEATURES, dropout=dropout)


def library(ours: GRUDecoder) -> nn.GRU:
    gru = nn.GRU(ours.gru.weight_ih.shape[1], HIDDEN)
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        getattr(gru, f"{name}_l0").data.copy_(getattr(ours.gru, name).data)
    return gru


@pytest.fixture
def words() -> Tensor:
    torch.manual_seed(1)
    return torch.randn(TIME, BATCH, SIZE)


@pytest.fixture
def signal() -> Tensor:
    torch.manual_seed(2)
    return torch.randn(BATCH, SIZE)


def testone_step_on_the_signal_twice_then_each_word_with_it(words: Tensor, signal: Tensor) -> None:
    ours = decoder()
    first = torch.cat([signal, signal], dim=1)[None]
    rest = torch.cat([words, signal.expand(TIME, -1, -1)], dim=2)
    states, _ = library(ours)(torch.cat([first, rest]))  # the library starts from the zero state
    expected = torch.tanh(ours.projection(states[1:]))
    torch.testing.assert_close(ours(words, signal, REAL, None, "decoder"), expected)


def test_a_language_model_reads_the_words_alone(words: Tensor) -> None:
    ours = decoder(signal=0)
    expected = torch.tanh(ours.projection(library(ours)(words)[0]))
    torch.testing.assert_close(ours(words, None, REAL, None, "decoder"), expected)
    assert torch.equal(ours.start(None, BATCH), torch.zeros(BATCH, HIDDEN))


def test_dropout_falls_on_words_and_signal_and_on_the_states_but_not_on_the_first_step(
    words: Tensor, signal: Tensor
) -> None:
    ours, noise = decoder(), Noise("a")
    rest = torch.cat([words, signal.expand(TIME, -1, -1)], dim=2)
    rest = noise.dropout(rest, 0.3, "decoder input dropout")
    assert 0 < int((rest[..., SIZE:] == 0).sum()) < rest[..., SIZE:].numel()
    states, _ = library(ours)(rest, ours.first_state(signal)[None])
    states = noise.dropout(states, 0.3, "decoder output dropout")
    expected = torch.tanh(ours.projection(states))
    torch.testing.assert_close(ours(words, signal, REAL, Noise("a"), "decoder"), expected)
    assert not torch.allclose(ours(words, signal, REAL, Noise("a"), "twin decoder"), expected)


def test_many_samples_equal_one_at_a_time_without_dropout(words: Tensor) -> None:
    ours, signals = decoder(), torch.randn(BATCH, SAMPLES, SIZE)
    found = ours.features_of_samples(words, signals)
    assert found.shape == (TIME, BATCH, SAMPLES, FEATURES)
    for sample in range(SAMPLES):
        torch.testing.assert_close(
            found[:, :, sample], ours(words, signals[:, sample], REAL, None, "decoder")
        )


@pytest.mark.parametrize("generative", [True, False])
def test_one_word_at_a_time_equals_the_whole_text(generative: bool, words: Tensor, signal: Tensor) -> None:
    ours, h = decoder(SIZE if generative else 0), signal if generative else None
    expected, state = ours(words, h, REAL, None, "decoder"), ours.start(h, BATCH)
    for t in range(TIME):
        features, state = ours.step(words[t], h, state)
        torch.testing.assert_close(features, expected[t])


def test_a_signal_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="size 3 must be 5"):
        decoder(signal=3)
