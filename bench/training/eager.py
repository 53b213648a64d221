"""The library's optimisers for code that is not compiled."""

from __future__ import annotations

import inspect
from typing import TypeVar, cast

import torch

Kind = TypeVar("Kind", bound=torch.optim.Optimizer)
FOR_COMPILERS = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")


def eager(kind: type[Kind]) -> type[Kind]:
    """``kind`` without what its methods do for compiled code, the same to the last bit.

    Else making one imports torch's compiler: two or three seconds, a third of the start of a training.
    """
    methods = {name: inspect.unwrap(getattr(kind, name)) for name in FOR_COMPILERS}
    step = torch.no_grad()(inspect.unwrap(kind.step))  # without gradients, as the decorator made it
    return cast("type[Kind]", type(kind.__name__, (kind,), {**methods, "step": step}))
