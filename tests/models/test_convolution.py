"""The dilated causal decoder against the library's convolutions, each text alone and without padding."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from bench.base.registry import registry
from bench.models.convolution import CNNDecoder, RowBatchNorm
from bench.models.noise import Noise
from bench.models.precision import products

TIME, BATCH, SAMPLES, SIZE, CHANNELS = 9, 4, 3, 5, 6
DILATIONS = (1, 2, 3)
LENGTHS = torch.tensor([9, 3, 6, 1])
REAL = torch.arange(TIME)[:, None] < LENGTHS


def decoder(
    signal: int = SIZE, dilations: tuple[int, ...] = DILATIONS, channels: int = CHANNELS
) -> CNNDecoder:
    """A decoder in doubles and in evaluation mode whose normalisations are not the identity."""
    torch.manual_seed(0)
    ours = CNNDecoder(SIZE, signal, channels=channels, dilations=dilations, dropout=0.3)
    for module in ours.modules():
        if isinstance(module, RowBatchNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.2, 0.8)
    return ours.double().eval()


@pytest.fixture
def words() -> Tensor:
    torch.manual_seed(1)
    return torch.randn(TIME, BATCH, SIZE, dtype=torch.float64)


@pytest.fixture
def signal() -> Tensor:
    torch.manual_seed(2)
    return torch.randn(BATCH, SIZE, dtype=torch.float64)


def normalised(norm: RowBatchNorm, texts: Sequence[Tensor], training: bool) -> list[Tensor]:
    """Texts (positions, channels) by the formula, with the statistics of all their positions in training."""
    rows = torch.cat(list(texts))
    mean = rows.mean(0) if training else norm.running_mean
    variance = rows.var(0, unbiased=False) if training else norm.running_var
    rows = (rows - mean) / torch.sqrt(variance + 1e-5) * norm.weight + norm.bias
    return list(rows.relu().split([len(text) for text in texts]))


def convolved(layer: nn.Linear, texts: Sequence[Tensor], width: int, dilation: int = 1) -> list[Tensor]:
    """Texts through the library's convolution, zeros on both sides and the tail cut off."""
    kernel = layer.weight.unflatten(1, (width, -1)).transpose(1, 2)
    padding = (width - 1) * dilation
    return [
        F.conv1d(text.t()[None], kernel, layer.bias, padding=padding, dilation=dilation)[
            0, :, : len(text)
        ].t()
        for text in texts
    ]


def plain(ours: CNNDecoder, words: Tensor, signal: Tensor | None, training: bool) -> Tensor:
    """Features of all real positions (positions, channels), text by text."""
    texts = []
    for text, length in enumerate(LENGTHS):
        rows = words[:length, text]
        if signal is None:
            rows = torch.cat([torch.zeros_like(rows[:1]), rows])
        else:
            h = signal[text]
            rows = torch.cat([torch.cat([h, h])[None], torch.cat([rows, h.expand(len(rows), -1)], dim=1)])
        texts.append(rows)
    values = convolved(ours.first, texts, 1)
    for block, dilation in zip(ours.blocks, DILATIONS, strict=True):
        inner = normalised(block.inner_norm, convolved(block.inner, values, 1), training)
        wide = normalised(block.dilated_norm, convolved(block.dilated, inner, 3, dilation), training)
        outer = normalised(block.outer_norm, convolved(block.outer, wide, 1), training)
        values = [value + more for value, more in zip(values, outer, strict=True)]
    return torch.cat([value[1:] for value in values])


def by_text(features: Tensor) -> Tensor:
    """The real positions of features (time, batch, channels), text by text."""
    return features.transpose(0, 1)[REAL.t()]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("generative", [True, False])
def test_values_and_gradients_equal_the_library_on_unpadded_texts(
    generative: bool, training: bool, words: Tensor, signal: Tensor
) -> None:
    ours, h = decoder(SIZE if generative else 0).train(training), signal if generative else None
    expected = plain(ours, words, h, training)
    found = by_text(ours(words, h, REAL, None, "decoder"))
    torch.testing.assert_close(found, expected)
    weights = torch.randn_like(expected)
    names, parameters = zip(*ours.named_parameters(), strict=True)
    gradients = torch.autograd.grad((found * weights).sum(), parameters)
    for name, got, want in zip(
        names, gradients, torch.autograd.grad((expected * weights).sum(), parameters), strict=True
    ):
        assert got.abs().max() > 1e-6, f"no gradient reaches {name}"
        torch.testing.assert_close(got, want)


def test_the_normalisation_is_that_of_the_library() -> None:
    torch.manual_seed(3)
    ours, library = RowBatchNorm(CHANNELS).double(), nn.BatchNorm1d(CHANNELS).double()
    for mine, theirs in zip(ours.parameters(), library.parameters(), strict=True):
        mine.data.normal_()
        theirs.data.copy_(mine.data)
    for _ in range(3):
        values = torch.randn(TIME, CHANNELS, dtype=torch.float64, requires_grad=True)
        weights = torch.randn_like(values)
        found, expected = ours(values, own=True), library(values)
        torch.testing.assert_close(found, expected)
        leaves = [values, *ours.parameters()]
        want = torch.autograd.grad((expected * weights).sum(), [values, *library.parameters()])
        for got, exact in zip(torch.autograd.grad((found * weights).sum(), leaves), want, strict=True):
            torch.testing.assert_close(got, exact)
    torch.testing.assert_close(ours.running_mean, library.running_mean)
    torch.testing.assert_close(ours.running_var, library.running_var)
    torch.testing.assert_close(ours(values, own=False), library.eval()(values))
    with pytest.raises(ValueError, match="more than 1 value"):
        ours(values[:1], own=True)


def statistics(ours: CNNDecoder) -> list[Tensor]:
    return [buffer.clone() for buffer in ours.buffers()]


def test_running_statistics_are_of_the_real_positions_and_of_the_first_one_of_each_text(
    words: Tensor, signal: Tensor
) -> None:
    ours = decoder().train()
    norm = ours.blocks[0].inner_norm
    before = norm.running_mean.clone()
    ours(words, signal, REAL, None, "decoder")
    pairs = torch.cat([words, signal.expand(TIME, -1, -1)], dim=-1)[REAL]
    rows = torch.cat([torch.cat([signal, signal], dim=-1), pairs])
    mean = ours.blocks[0].inner(ours.first(rows)).mean(0)
    torch.testing.assert_close(norm.running_mean, 0.9 * before + 0.1 * mean)


@pytest.mark.parametrize("training", [True, False])
def test_padding_reaches_neither_real_positions_nor_statistics(
    training: bool, words: Tensor, signal: Tensor
) -> None:
    ours, other = decoder().train(training), decoder().train(training)
    expected = ours(words, signal, REAL, None, "decoder")[REAL]
    longer, real = F.pad(words, (0, 0, 0, 0, 0, 20)), F.pad(REAL, (0, 0, 0, 20))
    longer[~real] = 1e6
    found = other(longer, signal, real, None, "decoder")[real]
    torch.testing.assert_close(found, expected)
    for got, want in zip(statistics(other), statistics(ours), strict=True):
        torch.testing.assert_close(got, want)
    assert all(map(torch.equal, statistics(ours), statistics(decoder()))) == (not training)


def test_no_prediction_sees_a_later_word_once_training_is_over(words: Tensor, signal: Tensor) -> None:
    everything = torch.ones(TIME, BATCH, dtype=torch.bool)
    ours = decoder()
    before = ours(words, signal, everything, None, "decoder")
    for t in range(TIME):
        changed = words.clone()
        changed[t] += 1
        after = ours(changed, signal, everything, None, "decoder")
        assert torch.equal(after[:t], before[:t])
        assert not torch.isclose(after[t], before[t]).all(-1).any()
    ours.train()  # the statistics of the batch do see it, as the class says
    before, after = (ours(w, signal, everything, None, "decoder") for w in (words, changed))
    assert not torch.isclose(after[0], before[0]).all()


def test_the_default_dilations_see_63_positions_of_which_the_first_may_be_that_of_the_signal() -> None:
    torch.manual_seed(4)
    ours = CNNDecoder(SIZE, SIZE, channels=16).double().eval()
    assert ours.history == [2, 4, 8, 16, 32]
    words = torch.randn(70, 1, SIZE, dtype=torch.float64, requires_grad=True)
    h, other = torch.randn(2, 1, SIZE, dtype=torch.float64)
    features = ours(words, h, torch.ones(70, 1, dtype=torch.bool), None, "decoder")
    (gradient,) = torch.autograd.grad(features[-1].sum(), words)
    assert gradient.any(-1).flatten().nonzero().flatten().tolist() == list(range(70 - 63, 70))
    states = [ours.start(first, 1) for first in (h, other)]
    differing = []
    for t in range(70):
        steps = [ours.step(words[t], h, state) for state in states]
        states = [state for _, state in steps]
        differing.append(not torch.equal(steps[0][0], steps[1][0]))
    assert differing == [True] * 62 + [False] * 8


def test_dropout_falls_on_the_words_alone(words: Tensor, signal: Tensor) -> None:
    ours = decoder()
    dropped = Noise("a").dropout(words, 0.3, "decoder input dropout")
    assert 0 < int((dropped == 0).sum()) < words.numel()
    found = ours(words, signal, REAL, Noise("a"), "decoder")
    torch.testing.assert_close(by_text(found), plain(ours, dropped, signal, False))
    assert not torch.allclose(ours(words, signal, REAL, Noise("a"), "twin decoder"), found)


def test_many_samples_equal_one_at_a_time(words: Tensor) -> None:
    ours, signals = decoder(), torch.randn(BATCH, SAMPLES, SIZE, dtype=torch.float64)
    found = ours.features_of_samples(words, signals)
    assert found.shape == (TIME, BATCH, SAMPLES, CHANNELS)
    for sample in range(SAMPLES):
        expected = ours(words, signals[:, sample], REAL, None, "decoder")
        torch.testing.assert_close(found[:, :, sample], expected)


@pytest.mark.parametrize("generative", [True, False])
def test_one_word_at_a_time_equals_the_whole_text(generative: bool, words: Tensor, signal: Tensor) -> None:
    ours, h = decoder(SIZE if generative else 0), signal if generative else None
    expected, state = ours(words, h, REAL, None, "decoder"), ours.start(h, BATCH)
    assert state.shape == (BATCH, 2 * sum(DILATIONS), CHANNELS)
    for t in range(TIME):
        features, state = ours.step(words[t], h, state)
        torch.testing.assert_close(features, expected[t])


def test_gradients_are_those_of_finite_differences() -> None:
    torch.manual_seed(5)
    ours = CNNDecoder(2, 2, channels=3, dilations=(1, 2)).double()
    names, values = zip(*ours.named_parameters(), strict=True)
    words, signal = torch.randn(4, 2, 2, dtype=torch.float64), torch.randn(2, 2, dtype=torch.float64)
    real = torch.tensor([[True, True], [True, True], [True, False], [True, False]])

    def features(words: Tensor, signal: Tensor, *parameters: Tensor) -> Tensor:
        arguments = (words, signal, real, None, "decoder")
        found: Tensor = functional_call(ours, dict(zip(names, parameters, strict=True)), arguments)
        return found[real]

    leaves = [leaf.detach().clone().requires_grad_() for leaf in (words, signal, *values)]
    assert torch.autograd.gradcheck(features, leaves)


@pytest.mark.parametrize("training", [True, False])
def test_bfloat16_products_stay_near_float32(training: bool) -> None:
    torch.manual_seed(6)
    ours = CNNDecoder(64, 64, channels=64).train(training)
    words, signal, real = torch.randn(30, 8, 64), torch.randn(8, 64), torch.ones(30, 8, dtype=torch.bool)
    exact = ours(words, signal, real, None, "decoder")
    with products(torch.device("cpu"), torch.bfloat16):
        rounded = ours(words, signal, real, None, "decoder")
    assert rounded.dtype == torch.float32
    # Operands and outcomes are rounded to 8 significant bits, errors of 2^-9 each, in a chain of 16 products.
    assert 0 < (rounded - exact).square().mean().sqrt() < 0.04 * exact.std()


def test_options_are_read_from_a_declaration() -> None:
    options = registry()["decoder"]["cnn"].options
    large = [1, 2, 4, 8, 16, 1, 2, 4, 8, 16]
    found = options.model_validate({"channels": 128, "dilations": large}).model_dump()
    assert found == {"channels": 128, "dilations": tuple(large), "dropout": 0.2}
    assert options.model_validate({"channels": 1}).model_dump()["dilations"] == (1, 2, 4, 8, 16)
    for wrong in ([], [1, 0], [1.5], 3):
        with pytest.raises(ValidationError, match="dilations"):
            options.model_validate({"channels": 128, "dilations": wrong})


def test_a_signal_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="size 3 must be 5"):
        decoder(signal=3)
