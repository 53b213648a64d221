"""What only a GPU can show: recordings, and products in a narrow type, on the device itself."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bench.base.device import choose_device
from bench.corpora.prepared import Prepared
from bench.training.agreement import difference
from bench.training.self_check import FLOOR, SPREAD, Check, Side
from bench.training.update import WARM, ReplayedUpdate
from tests.conftest import tiny_settings

on_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
NEXT = 2 * WARM + 6  # a step of a shape that has been recorded and replayed by then


def stepped(side: Side, state: list[Tensor]) -> tuple[dict[str, float], list[Tensor]]:
    """Terms and gradient norm of an update from a saved state, and what it leaves: gradients are in the moments."""
    with torch.no_grad():
        for tensor, value in zip(side.update.tensors(), state, strict=True):
            tensor.copy_(value)
    found = side.step(NEXT)
    return found, [tensor.detach().clone() for tensor in side.update.tensors()]


def one_update_both_ways(system: str, corpus: Prepared, device: torch.device) -> list[str]:
    """In what an update that is replayed differs from one made anew from the same state, by more than that one does."""
    settings = tiny_settings(system)
    sides = [Side(settings, corpus, device, replayed=replayed) for replayed in (False, False, True)]
    for side in sides:
        for number in range(1, NEXT):
            side.step(number)
    state = [tensor.detach().clone() for tensor in sides[0].update.tensors()]
    replays = sides[2].update.replays
    first, second, replayed = (stepped(side, state) for side in sides)
    assert isinstance(sides[2].update, ReplayedUpdate)
    assert sides[2].update.replays == replays + 1, sides[2].update.fell_back
    return [*_terms(first[0], second[0], replayed[0]), *_tensors(first[1], second[1], replayed[1])]


def _terms(first: dict[str, float], second: dict[str, float], replayed: dict[str, float]) -> list[str]:
    found = []
    least = 1e-3 * abs(first["total"])
    for name, value in first.items():
        spread = difference(name, value, second[name], 1.0, least).off
        off = difference(name, value, replayed[name], SPREAD * spread + FLOOR, least)
        found += [] if off.agrees else [str(off)]
    return found


def _tensors(first: list[Tensor], second: list[Tensor], replayed: list[Tensor]) -> list[str]:
    found = []
    for number, (one, other, value) in enumerate(zip(first, second, replayed, strict=True)):
        size = one.abs().max()
        off, spread = (value - one).abs().max(), (other - one).abs().max()
        if not off <= SPREAD * spread + FLOOR * size:
            found.append(f"tensor {number} {tuple(one.shape)} is off by {off:.1e}, of {size:.1e}")
    return found


@on_cuda
@pytest.mark.parametrize(
    "system", ["gru-lm", "dae", "coupled-vae-as-released", "coupled-vmf-vae", "coupled-wae-nf", "prefb-vae"]
)
def test_a_replayed_update_is_that_made_anew(system: str, corpus: Prepared) -> None:
    assert one_update_both_ways(system, corpus, choose_device("cuda")) == []


@on_cuda
def test_the_self_check_passes(corpus: Prepared) -> None:
    findings = Check(choose_device("cuda"), corpus).findings()
    assert [f"{one.what}: {one.text}" for one in findings if not one.agrees] == []


@on_cuda
@pytest.mark.parametrize("system", ["gru-lm", "coupled-vae", "wae"])
def test_narrow_products_move_the_nll_by_less_than_a_thousandth(system: str, corpus: Prepared) -> None:
    side = Side(tiny_settings(system), corpus, choose_device("cuda"))
    for number in range(1, 20):
        side.step(number)
    exact, narrow = side.likelihoods().mean(), side.likelihoods(torch.bfloat16).mean()
    assert narrow == pytest.approx(exact, rel=1e-3)
