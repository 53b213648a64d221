"""The type of products that a device is given, without the device; the memory of a process."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.base.device import exact_float32, give_back_memory, product_type


@pytest.mark.parametrize(
    ("capability", "expected"),
    [((7, 0), torch.float32), ((7, 5), torch.float32), ((8, 0), torch.bfloat16), ((9, 0), torch.bfloat16)],
)
def test_bfloat16_is_chosen_only_where_it_is_not_emulated(
    capability: tuple[int, int], expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_: True)  # as is said of emulation too
    assert product_type(torch.device("cuda"), "auto") == expected
    assert product_type(torch.device("cuda"), "bfloat16") == torch.bfloat16


def test_products_in_float32_keep_their_bits() -> None:
    libraries: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [library.allow_tf32 for library in libraries]
    try:
        for library in libraries:
            library.allow_tf32 = True
        exact_float32()
        assert not any(library.allow_tf32 for library in libraries)
    finally:
        for library, value in zip(libraries, before, strict=True):
            library.allow_tf32 = value


def _resident() -> int:
    """KiB of this process that are in memory."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


@pytest.mark.skipif(sys.platform != "linux", reason="the C library of Linux")
def test_gaps_between_pieces_in_use_are_given_back() -> None:
    pieces = [bytearray(b"x" * 65_536) for _ in range(2_000)]
    kept = pieces[::10]
    del pieces
    before = _resident()
    give_back_memory()
    assert before - _resident() > 50_000
    assert len(kept) == 200
