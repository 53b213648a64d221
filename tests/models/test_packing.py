"""Rows of a batch without its padding."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.models.noise import Noise
from bench.models.packing import Packing
from bench.models.precision import filled, linear, products
from bench.models.recurrent import GRU
from bench.models.second_order import twice_differentiable

TIME, FEATURES = 6, 3
LENGTHS = torch.tensor([2, 5, 1, 5])
REAL = torch.arange(TIME)[:, None] < LENGTHS
CPU = torch.device("cpu")


@pytest.fixture
def values() -> Tensor:
    torch.manual_seed(0)
    return torch.randn(TIME, len(LENGTHS), FEATURES)


def test_rows_are_those_of_the_library_and_go_back(values: Tensor) -> None:
    packing = Packing.of(LENGTHS, TIME)
    expected = nn.utils.rnn.pack_padded_sequence(values, LENGTHS, enforce_sorted=False)
    assert torch.equal(packing.take(values), expected.data)
    assert packing.sizes == expected.batch_sizes.tolist()
    assert expected.sorted_indices is not None
    assert torch.equal(values[0, packing.order], values[0, expected.sorted_indices])
    back = packing.put(packing.take(values))
    assert torch.equal(back, values * REAL[..., None])


def test_the_last_row_and_the_rows_before(values: Tensor) -> None:
    packing = Packing.of(LENGTHS, TIME)
    rows = packing.take(values)
    expected = values[LENGTHS - 1, torch.arange(len(LENGTHS))]
    assert torch.equal(packing.last(rows, LENGTHS), expected)
    for steps in (1, 2, 40):
        earlier = F.pad(values, (0, 0, 0, 0, steps, 0))[:TIME]
        with_none = torch.cat([rows, torch.zeros(1, FEATURES)])
        assert torch.equal(with_none[packing.before(steps)], packing.take(earlier))


def test_the_recurrence_over_rows_is_that_over_the_whole_batch(values: Tensor) -> None:
    gru, state = GRU(FEATURES, 4), torch.randn(len(LENGTHS), 4)
    packing = Packing.of(LENGTHS, TIME)
    found: list[Tensor] = []
    want: list[Tensor] = []
    for results, packed in ((found, True), (want, False)):
        x, h = values.clone().requires_grad_(), state.clone().requires_grad_()
        if packed:
            rows = gru.packed(gru.project(packing.take(x)), packing.sizes, h[packing.order])
        else:
            rows = packing.take(gru(gru.project(x), h))
        results += [rows, *torch.autograd.grad(rows.square().sum(), [x, h, *gru.parameters()])]
    for got, exact in zip(found, want, strict=True):
        torch.testing.assert_close(got, exact)


def test_where_gradients_are_differentiated_again_the_recurrence_keeps_its_padding() -> None:
    with twice_differentiable(CPU):
        packing = Packing.for_steps(LENGTHS, TIME)
    assert packing.sizes == [len(LENGTHS)] * TIME
    assert torch.equal(packing.rows, torch.arange(TIME * len(LENGTHS)))
    assert Packing.for_steps(LENGTHS, TIME).sizes == Packing.of(LENGTHS, TIME).sizes
    alike = torch.tensor([6, 6, 5, 6])
    assert Packing.for_steps(alike, TIME).sizes == [4] * TIME


def test_rows_are_dropped_as_at_their_positions(values: Tensor) -> None:
    packing = Packing.of(LENGTHS, TIME)
    expected = packing.take(Noise("a").dropout(values, 0.5, "words"))
    assert torch.equal(Noise("a").dropout(packing.take(values), 0.5, "words", packing), expected)


def test_what_each_text_has_stands_at_its_rows_on_devices_too(monkeypatch: pytest.MonkeyPatch) -> None:
    every = Packing.for_steps(torch.full_like(LENGTHS, TIME), TIME)
    signal = torch.randn(len(LENGTHS), 3)
    looked_up = every.repeat(signal)
    assert torch.equal(looked_up, signal[every.texts])
    monkeypatch.setattr("bench.models.packing.ANSWERING", ())
    assert torch.equal(every.repeat(signal), looked_up)


@pytest.mark.parametrize("bias", [True, False])
def test_products_of_filled_rows_are_those_of_autocast(bias: bool) -> None:
    torch.manual_seed(1)
    layer = nn.Linear(40, 24, bias=bias)
    x, weights = torch.randn(3, 23, 40, requires_grad=True), torch.randn(3, 23, 24)
    leaves = [x, *layer.parameters()]
    with products(CPU, torch.bfloat16):
        found, expected = linear(x, layer.weight, layer.bias), layer(x)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected.float(), rtol=1e-2, atol=1e-2)
    exact = torch.autograd.grad((F.linear(x, layer.weight, layer.bias) * weights).sum(), leaves)
    for got, want in zip(torch.autograd.grad((found * weights).sum(), leaves), exact, strict=True):
        assert 0 <= (got - want).norm() < 0.01 * want.norm()
    with products(CPU, torch.float32):
        assert torch.equal(linear(x, layer.weight, layer.bias), layer(x))


def test_rows_are_filled_with_zeros_and_columns_with_ones() -> None:
    rows = filled(torch.full((65, 2), 3.0), torch.bfloat16, columns=1)
    assert rows.shape == (128, 3)
    assert (rows[:65] == torch.tensor([3.0, 3.0, 1.0])).all()
    assert not rows[65:].any()
