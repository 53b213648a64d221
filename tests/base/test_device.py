"""The type of products that a device is given, without the device."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from bench.base.device import exact_float32, product_type


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
