"""Gradients of gradients, for what is trained through steps of gradient descent.

Hand-written backward passes give gradients that cannot be differentiated again, and so do some kernels of
the library. Inside :func:`twice_differentiable` those who have such a pass compute with plain operations.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

import torch
from torch.backends import cudnn

_active: ContextVar[bool] = ContextVar("second_order", default=False)


@contextlib.contextmanager
def twice_differentiable(device: torch.device) -> Iterator[None]:
    """A context in which what is computed on ``device`` can be differentiated twice; nothing is rounded."""
    token = _active.set(True)
    try:
        with torch.autocast(device.type, enabled=False), cudnn.flags(enabled=False, allow_tf32=False):
            yield
    finally:
        _active.reset(token)


def second_order() -> bool:
    """Whether gradients of what is computed now are to be differentiated again."""
    return _active.get()
