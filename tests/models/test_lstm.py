"""The LSTM encoder and decoder against the equations of the cell and against packed sequences."""

from __future__ import annotations

import contextlib
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bench.models.lstm import LSTMDecoder, LSTMEncoder, run
from bench.models.noise import Noise
from bench.models.precision import in_words, products

TIME, BATCH, SAMPLES, SIZE, HIDDEN = 6, 4, 3, 5, 7
LENGTHS = torch.tensor([6, 1, 4, 2])
REAL = torch.arange(TIME)[:, None] < LENGTHS
SIGNALS = [SIZE, 3, 0]  # sizes: as large as a word, another one, none


First = Literal["cell", "state", "both", "affine", "zeros"]
FIRST: list[First] = ["cell", "state", "both", "affine", "zeros"]


def decoder(signal: int = SIZE, first: First = "cell") -> LSTMDecoder:
    torch.manual_seed(0)
    return LSTMDecoder(SIZE, signal, hidden=HIDDEN, dropout=0.3, first=first).double()


def signal_of(size: int) -> Tensor | None:
    torch.manual_seed(2)
    return torch.randn(BATCH, size, dtype=torch.float64) if size else None


@pytest.fixture
def words() -> Tensor:
    torch.manual_seed(1)
    return torch.randn(TIME, BATCH, SIZE, dtype=torch.float64)


def cell_by_cell(lstm: nn.LSTM, inputs: Tensor, hidden: Tensor, cell: Tensor) -> Tensor:
    """Hidden states (time, batch, H) by the equations of the cell."""
    weights = dict(lstm.named_parameters())
    states = []
    for values in inputs:
        gates = values @ weights["weight_ih_l0"].t() + hidden @ weights["weight_hh_l0"].t()
        i, f, g, o = (gates + weights["bias_ih_l0"] + weights["bias_hh_l0"]).chunk(4, dim=1)
        cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
        hidden = torch.sigmoid(o) * torch.tanh(cell)
        states.append(hidden)
    return torch.stack(states)


def plain(ours: LSTMDecoder, words: Tensor, signal: Tensor | None, first: First = "cell") -> Tensor:
    if signal is None:
        zero = words.new_zeros(BATCH, HIDDEN)
        return cell_by_cell(ours.lstm, words, zero, zero)
    inputs = torch.stack([torch.cat([word, signal], dim=1) for word in words])
    if ours.first_cell is not None:
        cell = signal @ ours.first_cell.weight.t()
        return cell_by_cell(ours.lstm, inputs, torch.tanh(cell), cell)
    if ours.first_both is not None:
        both = signal @ ours.first_both.weight.t() + ours.first_both.bias
        both = torch.tanh(both) if first == "both" else both
        return cell_by_cell(ours.lstm, inputs, both[:, :HIDDEN], both[:, HIDDEN:])
    if ours.first_state is None:
        return cell_by_cell(ours.lstm, inputs, words.new_zeros(BATCH, HIDDEN), words.new_zeros(BATCH, HIDDEN))
    state = signal @ ours.first_state.weight.t() + ours.first_state.bias
    return cell_by_cell(ours.lstm, inputs, state, torch.zeros_like(state))


@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize("size", SIGNALS)
def test_values_and_gradients_are_those_of_the_equations(first: First, size: int, words: Tensor) -> None:
    ours, h = decoder(size, first), signal_of(size)
    expected, found = plain(ours, words, h, first), ours(words, h, REAL, None, "decoder")
    torch.testing.assert_close(found, expected)
    weights = torch.randn_like(expected)
    names, parameters = zip(*ours.named_parameters(), strict=True)
    gradients = torch.autograd.grad((found * weights).sum(), parameters)
    for name, got, want in zip(
        names, gradients, torch.autograd.grad((expected * weights).sum(), parameters), strict=True
    ):
        assert got.abs().max() > 1e-6, f"no gradient reaches {name}"
        torch.testing.assert_close(got, want)


def test_dropout_falls_on_words_and_states_but_not_on_the_signal(words: Tensor) -> None:
    ours, h, noise = decoder(), signal_of(SIZE), Noise("a")
    states = plain(ours, noise.dropout(words, 0.3, "decoder input dropout"), h)
    expected = noise.dropout(states, 0.3, "decoder output dropout")
    assert 0 < int((expected == 0).sum()) < expected.numel()
    torch.testing.assert_close(ours(words, h, REAL, Noise("a"), "decoder"), expected)
    assert not torch.allclose(ours(words, h, REAL, Noise("a"), "twin decoder"), expected)


def test_no_feature_sees_a_later_word_or_another_text(words: Tensor) -> None:
    ours, h = decoder(), signal_of(SIZE)
    before = ours(words, h, REAL, None, "decoder")
    for t in range(TIME):
        changed = words.clone()
        changed[t, 0] += 1
        after = ours(changed, h, REAL, None, "decoder")
        assert torch.equal(after[:t], before[:t])
        assert torch.equal(after[:, 1:], before[:, 1:])
        assert not torch.isclose(after[t, 0], before[t, 0]).any()


@pytest.mark.parametrize("size", [SIZE, 3])
def test_many_samples_equal_one_at_a_time(size: int, words: Tensor) -> None:
    ours, signals = decoder(size), torch.randn(BATCH, SAMPLES, size, dtype=torch.float64)
    found = ours.features_of_samples(words, signals)
    assert found.shape == (TIME, BATCH, SAMPLES, HIDDEN)
    for sample in range(SAMPLES):
        expected = ours(words, signals[:, sample], REAL, None, "decoder")
        torch.testing.assert_close(found[:, :, sample], expected)


@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize("size", SIGNALS)
def test_one_word_at_a_time_equals_the_whole_text(first: First, size: int, words: Tensor) -> None:
    ours, h = decoder(size, first), signal_of(size)
    expected, state = ours(words, h, REAL, None, "decoder"), ours.start(h, BATCH)
    assert state.shape == (BATCH, 2 * HIDDEN)
    assert bool(state.any()) == bool(size and first != "zeros")
    for t in range(TIME):
        features, state = ours.step(words[t], h, state)
        torch.testing.assert_close(features, expected[t])
        assert torch.equal(state[:, :HIDDEN], features)


def test_gradients_are_those_of_finite_differences() -> None:
    torch.manual_seed(3)
    ours = LSTMDecoder(2, 1, hidden=2).double()
    names, values = zip(*ours.named_parameters(), strict=True)
    words, signal = torch.randn(3, 2, 2, dtype=torch.float64), torch.randn(2, 1, dtype=torch.float64)
    real = torch.ones(3, 2, dtype=torch.bool)

    def features(words: Tensor, signal: Tensor, *parameters: Tensor) -> Tensor:
        arguments = (words, signal, real, None, "decoder")
        found: Tensor = functional_call(ours, dict(zip(names, parameters, strict=True)), arguments)
        return found

    leaves = [leaf.detach().clone().requires_grad_() for leaf in (words, signal, *values)]
    assert torch.autograd.gradcheck(features, leaves)


def test_autocast_on_the_cpu_rounds_the_first_cell_and_not_the_recurrence() -> None:
    torch.manual_seed(4)
    reader, ours = LSTMEncoder(64, hidden=64, bidirectional=True), LSTMDecoder(64, 64, hidden=64)
    words, signal, real = torch.randn(30, 8, 64), torch.randn(8, 64), torch.ones(30, 8, dtype=torch.bool)
    lengths = torch.full((8,), 30)

    def outcome(model: nn.Module, *arguments: Tensor | str | None) -> tuple[Tensor, ...]:
        found = model(*arguments)
        return found, *torch.autograd.grad(found.square().sum(), list(model.parameters()))

    exact = outcome(reader, words, lengths, None), outcome(ours, words, signal, real, None, "decoder")
    with products(torch.device("cpu"), torch.bfloat16):
        rounded = outcome(reader, words, lengths, None), outcome(ours, words, signal, real, None, "decoder")
    assert all(map(torch.equal, rounded[0], exact[0]))
    for got, want in zip(rounded[1], exact[1], strict=True):
        assert got.dtype == torch.float32
        # Operands and outcome of the one product are rounded to 8 significant bits: relative errors of 2^-9.
        assert 0 < (got - want).square().mean().sqrt() < 0.01 * want.square().mean().sqrt()


class Types(TorchDispatchMode):
    """The types of what reaches the library's recurrence, on a device that only knows shapes."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: dict[str, set[torch.dtype]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        tensors = [t for t in tree_leaves(args) if isinstance(t, Tensor) and t.is_floating_point()]
        self.found.setdefault(func.overloadpacket.__name__, set()).update(t.dtype for t in tensors)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", ["cuda", "xpu", "cpu"])
def test_autocast_is_off_where_the_recurrence_is_on_whatever_device(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CUDA's autocast gives cuDNN's LSTM float16 whatever narrow type it is told."""
    turned_off: list[str] = []

    def autocast(kind: str, *, enabled: bool) -> contextlib.AbstractContextManager[None]:
        turned_off.extend([kind] * (not enabled))
        return contextlib.nullcontext()

    class Elsewhere(Tensor):
        device = torch.device(name)

    monkeypatch.setattr(torch, "autocast", autocast)
    inputs = torch.zeros(2, 1, SIZE).as_subclass(Elsewhere)
    monkeypatch.setattr(nn.LSTM, "forward", lambda self, x, first: (x, (x[:1], x[:1])))
    run(nn.LSTM(SIZE, SIZE), inputs)
    assert turned_off == [name]


def test_the_types_that_reach_the_library_are_those_that_are_recorded() -> None:
    model = LSTMDecoder(SIZE, SIZE, hidden=HIDDEN)
    with Types() as seen, products(torch.device("cpu"), torch.bfloat16):
        model(
            torch.randn(TIME, BATCH, SIZE), torch.randn(BATCH, SIZE), REAL, None, "decoder"
        ).sum().backward()
    recurrent = {name: types for name, types in seen.found.items() if "rnn" in name or "lstm" in name}
    assert recurrent
    assert set().union(*recurrent.values()) == {torch.float32}
    assert torch.bfloat16 in seen.found["mm"]
    assert in_words(model, torch.bfloat16) == "bfloat16 products, LSTM in float32"
    assert in_words(model, torch.float32) == "float32 products"
    assert in_words(nn.Linear(2, 2), torch.bfloat16) == "bfloat16 products"


@pytest.mark.parametrize("gradients", [True, False])
def test_the_library_is_told_that_gradients_are_wanted_in_evaluation_mode_too(
    gradients: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """cuDNN refuses the gradient of a recurrence that it was not told to be trained."""
    told: list[bool] = []
    library = torch._VF.lstm

    def lstm(*arguments: Any) -> Any:
        told.append(arguments[6])
        return library(*arguments)

    monkeypatch.setattr(torch._VF, "lstm", lstm)
    ours = decoder().eval()
    with torch.set_grad_enabled(gradients):
        ours(torch.randn(TIME, BATCH, SIZE, dtype=torch.float64), signal_of(SIZE), REAL, None, "decoder")
    assert told == [gradients]


def encoder(bidirectional: bool) -> LSTMEncoder:
    torch.manual_seed(5)
    return LSTMEncoder(SIZE, hidden=HIDDEN, bidirectional=bidirectional, dropout=0.3).double()


def packed(ours: LSTMEncoder, words: Tensor) -> Tensor:
    """The last hidden states of the library over packed sequences."""
    library = nn.LSTM(SIZE, HIDDEN, bidirectional=ours.backwards is not None).double()
    for direction, suffix in ((ours.forwards, ""), (ours.backwards, "_reverse")):
        for name, values in direction.named_parameters() if direction is not None else ():
            getattr(library, name + suffix).data.copy_(values)
    _, (last, _) = library(nn.utils.rnn.pack_padded_sequence(words, LENGTHS, enforce_sorted=False))
    return torch.cat(list(last), dim=-1)


@pytest.mark.parametrize("bidirectional", [True, False])
def test_the_encoder_equals_packed_sequences_with_dropout_on_the_words(
    bidirectional: bool, words: Tensor
) -> None:
    ours = encoder(bidirectional)
    found = ours(words, LENGTHS, None)
    assert found.shape == (BATCH, ours.features)
    torch.testing.assert_close(found, packed(ours, words))
    dropped = Noise("a").dropout(words, 0.3, "encoder dropout")
    torch.testing.assert_close(ours(words, LENGTHS, Noise("a")), packed(ours, dropped))
    assert LSTMEncoder(SIZE, hidden=HIDDEN).dropout == 0


@pytest.mark.parametrize("bidirectional", [True, False])
def test_the_readout_with_the_cell_is_that_of_the_last_word(bidirectional: bool, words: Tensor) -> None:
    torch.manual_seed(5)
    ours = LSTMEncoder(SIZE, hidden=HIDDEN, bidirectional=bidirectional, readout="and-cell").double()
    found = ours(words, LENGTHS, None)
    assert found.shape == (BATCH, ours.features)
    for text, length in enumerate(LENGTHS):
        read = words[:length, text : text + 1]
        states = [run(ours.forwards, read)[1]]
        if ours.backwards is not None:
            states.append(run(ours.backwards, read.flip(0))[1])
        torch.testing.assert_close(found[text], torch.cat(states, dim=-1)[0])


def test_a_signal_may_be_the_first_state_alone(words: Tensor) -> None:
    torch.manual_seed(0)
    ours, h = LSTMDecoder(SIZE, 3, hidden=HIDDEN, first="both", each_step=False).double(), signal_of(3)
    assert h is not None
    assert ours.first_both is not None
    state = torch.tanh(h @ ours.first_both.weight.t() + ours.first_both.bias)
    expected = cell_by_cell(ours.lstm, words, state[:, :HIDDEN], state[:, HIDDEN:])
    torch.testing.assert_close(ours(words, h, REAL, None, "decoder"), expected)


@pytest.mark.parametrize("bidirectional", [True, False])
def test_padding_never_reaches_the_encoded_text_but_every_word_does(
    bidirectional: bool, words: Tensor
) -> None:
    ours = encoder(bidirectional)
    before = ours(words, LENGTHS, None)
    changed = words.clone()
    changed[~REAL] = 1e6
    assert torch.equal(ours(changed, LENGTHS, None), before)
    words.requires_grad_()
    (gradient,) = torch.autograd.grad(ours(words, LENGTHS, None).sum(), words)
    assert torch.equal(gradient.any(-1), REAL)
    for name, parameter in ours.named_parameters():
        (gradient,) = torch.autograd.grad(ours(words, LENGTHS, None).sum(), parameter)
        assert gradient.any(), f"no gradient reaches {name}"
