"""The types of the products of an update, forwards and backwards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bench.base.settings import RunSettings
from bench.models.noise import Noise
from bench.models.precision import products
from bench.training.composition import Composition
from tests.conftest import tiny_settings
from tests.ivae import ivae_settings
from tests.plain import WORDS, collator

CPU = torch.device("cpu")
PRODUCTS = ("mm", "addmm", "bmm", "baddbmm")


class Seen(TorchDispatchMode):
    """How many products read each piece of memory, by its address."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.products: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket.__name__ in PRODUCTS:
            for one in (t for t in tree_leaves(args) if isinstance(t, Tensor)):
                place = one.untyped_storage().data_ptr()
                self.products[place] = self.products.get(place, 0) + 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("settings", [tiny_settings("coupled-vae"), ivae_settings("ivae")])
def test_what_is_in_float32_forwards_is_so_backwards(settings: RunSettings) -> None:
    """A narrow product reads a copy of the weight, one in float32 the weight itself."""
    made = Composition(settings, WORDS)
    batch = collator([[4, 5, 6], [8, 4], [5, 5, 3, 4]])(np.arange(3))
    weights = made.objective.weights_at(1, dict)
    read = {}
    for dtype in (torch.float32, torch.bfloat16):
        with Seen() as seen, products(CPU, dtype):
            made.objective.backward(made.model, batch, Noise("a test", device=CPU), weights)
        read[dtype] = seen.products
    posterior = made.model.branch.posterior
    assert posterior is not None
    kept = [m.weight for m in posterior.modules() if isinstance(m, nn.Linear)]
    assert kept
    for weight in kept:
        place = weight.untyped_storage().data_ptr()
        assert read[torch.bfloat16][place] == read[torch.float32][place] >= 2
