"""The layer-normalised LSTM against a transcription of its equations, unit by unit of one text at a time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bench.models.layer_norm_lstm import LayerNormLSTM, LayerNormLSTMDecoder, LayerNormLSTMEncoder
from bench.models.noise import Noise

TIME, BATCH, SAMPLES, SIZE, HIDDEN, CODE = 6, 4, 3, 5, 7, 3
LENGTHS = torch.tensor([6, 1, 4, 2])
REAL = torch.arange(TIME)[:, None] < LENGTHS


def normal(values: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
    """Values (H,) over their units: mean 0 and variance 1, then gain and shift."""
    mean = values.sum() / len(values)
    variance = ((values - mean) ** 2).sum() / len(values)
    return gain * (values - mean) / (variance + 1e-12).sqrt() + shift


def states(lstm: LayerNormLSTM, inputs: Tensor) -> Tensor:
    """Hidden states (time, H) of one text's inputs (time, features), by the equations of the cell."""
    size, found = lstm.hidden, []
    hidden = cell = inputs.new_zeros(size)
    matrix = torch.cat([lstm.weight_ih, lstm.weight_hh], dim=1)
    for values in inputs:
        raw = (matrix @ torch.cat([values, hidden])).split(size)
        i, j, f, o = (normal(raw[n], lstm.gain[n], lstm.shift[n]) for n in range(4))
        cell = cell * (1 / (1 + torch.exp(-(f + 1)))) + 1 / (1 + torch.exp(-i)) * torch.tanh(j)
        cell = normal(cell, lstm.gain[4], lstm.shift[4])  # and so it is carried on
        hidden = torch.tanh(cell) / (1 + torch.exp(-o))
        found.append(hidden)
    return torch.stack(found)


def stirred(module: torch.nn.Module) -> None:
    """Gains and shifts that are not those at the start."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)


def decoder(signal: int = CODE) -> LayerNormLSTMDecoder:
    ours = LayerNormLSTMDecoder(SIZE, signal, hidden=HIDDEN, dropout=0.3).double()
    stirred(ours)
    return ours


@pytest.fixture
def words() -> Tensor:
    torch.manual_seed(1)
    return torch.randn(TIME, BATCH, SIZE, dtype=torch.float64)


@pytest.fixture
def codes() -> Tensor:
    torch.manual_seed(2)
    return torch.randn(BATCH, CODE, dtype=torch.float64)


def plain(ours: LayerNormLSTMDecoder, words: Tensor, codes: Tensor | None) -> Tensor:
    """Features (time, batch, hidden) by the equations."""
    if codes is not None:
        words = torch.stack([torch.cat([step, codes], dim=1) for step in words])
    return torch.stack([states(ours.lstm, text) for text in words.unbind(1)], dim=1)


@pytest.mark.parametrize("signal", [CODE, 0])
def test_values_and_gradients_are_those_of_the_equations(signal: int, words: Tensor, codes: Tensor) -> None:
    ours, h = decoder(signal), codes if signal else None
    expected, found = plain(ours, words, h), ours(words, h, REAL, None, "decoder")
    torch.testing.assert_close(found[REAL], expected[REAL])
    weights = torch.randn_like(expected) * REAL[..., None]
    names, parameters = zip(*ours.named_parameters(), strict=True)
    wanted = torch.autograd.grad((expected * weights).sum(), parameters)
    for name, got, want in zip(
        names, torch.autograd.grad((found * weights).sum(), parameters), wanted, strict=True
    ):
        assert want.abs().max() > 1e-6, f"no gradient reaches {name}"
        torch.testing.assert_close(got, want)


def test_at_the_start_the_carried_cell_has_mean_0_and_variance_1(words: Tensor) -> None:
    ours = LayerNormLSTMDecoder(SIZE, 0, hidden=HIDDEN).double()
    cell = ours.step(words[0], None, ours.start(None, BATCH))[1][:, HIDDEN:]
    torch.testing.assert_close(cell.mean(1), torch.zeros(BATCH).double(), atol=1e-9, rtol=0)
    torch.testing.assert_close(cell.var(1, unbiased=False), torch.ones(BATCH).double())
    bound = (6 / (SIZE + 5 * HIDDEN)) ** 0.5
    assert 0.8 * bound < ours.lstm.weight_hh.abs().max() <= bound
    assert torch.equal(ours.lstm.gain, torch.ones(5, HIDDEN).double())


def test_dropout_falls_on_the_code_too_at_each_step_anew(words: Tensor, codes: Tensor) -> None:
    ours, every = decoder(), torch.ones(TIME, BATCH, dtype=torch.bool)
    inputs = torch.cat([words, codes.expand(TIME, -1, -1)], dim=2)
    dropped = Noise("a").dropout(inputs, 0.3, "decoder input dropout")
    kept = dropped[..., SIZE:] != 0
    assert not torch.equal(kept[0], kept[1])
    expected = torch.stack([states(ours.lstm, text) for text in dropped.unbind(1)], dim=1)
    torch.testing.assert_close(ours(words, codes, every, Noise("a"), "decoder"), expected)


def test_many_samples_and_one_word_at_a_time_equal_the_whole_text(words: Tensor) -> None:
    ours, signals = decoder(), torch.randn(BATCH, SAMPLES, CODE, dtype=torch.float64)
    found = ours.features_of_samples(words, signals)
    assert found.shape == (TIME, BATCH, SAMPLES, HIDDEN)
    for sample in range(SAMPLES):
        h = signals[:, sample]
        expected, state = plain(ours, words, h), ours.start(h, BATCH)
        assert not state.any()
        torch.testing.assert_close(found[:, :, sample], expected)
        for t in range(TIME):
            features, state = ours.step(words[t], h, state)
            torch.testing.assert_close(features, expected[t])


@pytest.mark.parametrize("bidirectional", [True, False])
def test_the_encoder_reads_each_text_to_its_own_end(bidirectional: bool, words: Tensor) -> None:
    ours = LayerNormLSTMEncoder(SIZE, hidden=HIDDEN, bidirectional=bidirectional, dropout=0.3).double()
    stirred(ours)
    noise = Noise("a")
    for dropped, found in (
        (words, ours(words, LENGTHS, None)),
        (noise.dropout(words, 0.3, "encoder dropout"), ours(words, LENGTHS, Noise("a"))),
    ):
        assert found.shape == (BATCH, ours.features)
        for number, length in enumerate(LENGTHS.tolist()):
            text = dropped[:length, number]
            expected = [states(ours.forwards, text)[-1]]
            if ours.backwards is not None:
                expected.append(states(ours.backwards, text.flip(0))[-1])
            torch.testing.assert_close(found[number], torch.cat(expected))
