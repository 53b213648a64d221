"""The GRU and the encoder against the library's, values and gradients."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from unittest import mock

import pytest
import torch
from torch import Tensor, nn

from bench.models import packing, recurrent
from bench.models.encoders import GRUEncoder, reverse_padded
from bench.models.precision import products
from bench.models.recurrent import GRU, packed_together
from bench.models.second_order import twice_differentiable
from bench.models.stacked import stacked

TIME, BATCH, FEATURES, HIDDEN = 7, 5, 6, 4


def copy_into(library: nn.GRU, ours: GRU, suffix: str = "") -> None:
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        getattr(library, f"{name}_l0{suffix}").data.copy_(getattr(ours, name).data)


@pytest.mark.parametrize(
    "context", [nullcontext(), twice_differentiable(torch.device("cpu"))], ids=["once", "twice"]
)
def test_values_and_gradients_equal_the_library(context: AbstractContextManager[None]) -> None:
    torch.manual_seed(0)
    ours, library = GRU(FEATURES, HIDDEN), nn.GRU(FEATURES, HIDDEN)
    copy_into(library, ours)
    inputs = torch.randn(TIME, BATCH, FEATURES)
    state = torch.randn(BATCH, HIDDEN)
    weights = torch.randn(TIME, BATCH, HIDDEN)
    x1, h1 = inputs.clone().requires_grad_(), state.clone().requires_grad_()
    x2, h2 = inputs.clone().requires_grad_(), state.clone().requires_grad_()
    expected, _ = library(x1, h1[None])
    with context:
        found = ours(ours.project(x2), h2)
    torch.testing.assert_close(found, expected)
    (expected * weights).sum().backward()
    (found * weights).sum().backward()
    torch.testing.assert_close(x2.grad, x1.grad)
    torch.testing.assert_close(h2.grad, h1.grad)
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        torch.testing.assert_close(getattr(ours, name).grad, getattr(library, f"{name}_l0").grad)


def test_bfloat16_products_stay_near_float32() -> None:
    torch.manual_seed(1)
    gru = GRU(64, 64)
    inputs = torch.randn(30, 8, 64)
    exact = gru(gru.project(inputs))
    with products(torch.device("cpu"), torch.bfloat16):
        rounded = gru(gru.project(inputs))
    assert rounded.dtype == torch.float32
    # Inputs and weights are rounded to 8 significant bits: relative errors of 2^-9 per product.
    assert 0 < (rounded - exact).abs().max() < 0.02


def packed(encoder: GRUEncoder, embedded: Tensor, lengths: Tensor) -> Tensor:
    library = nn.GRU(FEATURES, HIDDEN, bidirectional=encoder.backwards is not None)
    copy_into(library, encoder.forwards)
    if encoder.backwards is not None:
        copy_into(library, encoder.backwards, "_reverse")
    sequence = nn.utils.rnn.pack_padded_sequence(embedded, lengths, enforce_sorted=False)
    _, last = library(sequence)
    return torch.cat(list(last), dim=-1)


@pytest.mark.parametrize("bidirectional", [True, False])
def test_encoder_equals_packed_sequences_of_the_library(bidirectional: bool) -> None:
    torch.manual_seed(2)
    encoder = GRUEncoder(FEATURES, hidden=HIDDEN, bidirectional=bidirectional, dropout=0.0)
    embedded = torch.randn(TIME, BATCH, FEATURES)
    lengths = torch.tensor([7, 1, 4, 6, 2])
    found = encoder(embedded, lengths, None)
    assert found.shape == (BATCH, encoder.features)
    torch.testing.assert_close(found, packed(encoder, embedded, lengths))


def test_padding_never_reaches_the_encoded_text() -> None:
    encoder = GRUEncoder(FEATURES, hidden=HIDDEN, dropout=0.0)
    embedded = torch.randn(TIME, BATCH, FEATURES)
    lengths = torch.tensor([3, 1, 4, 2, 2])
    before = encoder(embedded, lengths, None)
    embedded[4:] = 1e6
    torch.testing.assert_close(encoder(embedded, lengths, None), before)


def test_reverse_padded_reverses_each_text_within_its_length() -> None:
    values = torch.arange(4.0)[:, None, None].expand(4, 2, 1)
    found = reverse_padded(values, torch.tensor([4, 2]))[..., 0].t().tolist()
    assert found == [[3, 2, 1, 0], [1, 0, 2, 3]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_in_few_kernels_all_is_as_step_by_step(dtype: torch.dtype) -> None:
    torch.manual_seed(2)
    layers = [GRU(FEATURES, HIDDEN), GRU(FEATURES, HIDDEN)]
    inputs, weights = torch.randn(2, TIME, BATCH, FEATURES), torch.randn(2, TIME, BATCH, HIDDEN)
    start = torch.randn(2, BATCH, HIDDEN)
    found = []
    for together in (False, True):
        words, state = inputs.clone().requires_grad_(), start.clone().requires_grad_()
        with products(torch.device("cpu"), dtype):
            rows = [layer.project(each).flatten(0, 1) for layer, each in zip(layers, words, strict=True)]
            if together:
                states = packed_together(layers, rows, [BATCH] * TIME, list(state))
            else:
                each = zip(layers, rows, state, strict=True)
                states = [layer.packed(r, [BATCH] * TIME, first) for layer, r, first in each]
            (torch.stack(states) * weights.flatten(1, 2)).sum().backward()
        parameters = [parameter for layer in layers for parameter in layer.parameters()]
        found.append([torch.stack(states), words.grad, state.grad, *(p.grad for p in parameters)])
        for parameter in parameters:
            parameter.grad = None
    atol, rtol = (1e-6, 1e-5) if dtype == torch.float32 else (0.02, 0.02)
    torch.testing.assert_close(found[1], found[0], atol=atol, rtol=rtol)


def test_an_encoder_takes_both_directions_at_once_where_kernels_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(3)
    encoder = GRUEncoder(FEATURES, hidden=HIDDEN)
    embedded, lengths = torch.randn(TIME, BATCH, FEATURES), torch.tensor([7, 3, 1, 7, 5])
    expected = encoder(embedded, lengths, None)
    calls = mock.Mock(side_effect=stacked)
    monkeypatch.setattr(recurrent, "stacked", calls)
    monkeypatch.setattr(packing, "ANSWERING", ())
    torch.testing.assert_close(encoder(embedded, lengths, None), expected)
    assert [len(call.args[0]) for call in calls.call_args_list] == [2]
