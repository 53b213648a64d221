"""The type in which products run; everything else stays in float32."""

from __future__ import annotations

import torch


def products(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """A context in which products on ``device`` run in ``dtype`` (bfloat16 or float32)."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16)


def product_dtype(device: torch.device) -> torch.dtype:
    """The type in which products run on ``device``: the autocast type inside autocast, else float32."""
    if torch.is_autocast_enabled(device.type):
        return torch.get_autocast_dtype(device.type)
    return torch.float32
