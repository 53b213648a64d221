"""Optimisers without what compiled code needs: the same updates, and no compiler imported."""

import subprocess
import sys
from typing import Any

import pytest
import torch

from bench.training.eager import eager

KINDS: dict[type[torch.optim.Optimizer], dict[str, Any]] = {
    torch.optim.Adam: {"lr": 0.1, "fused": True},
    torch.optim.SGD: {"lr": 0.1, "fused": True},
    torch.optim.RMSprop: {"lr": 0.1, "foreach": True},
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_same_updates(kind: type[torch.optim.Optimizer]) -> None:
    def trained(kind: type[torch.optim.Optimizer], options: dict[str, Any]) -> list[torch.Tensor]:
        weight = torch.nn.Parameter(torch.linspace(-1, 1, 7))
        optimiser = kind([weight], **options)
        found = []
        for _ in range(3):
            optimiser.zero_grad()
            weight.pow(4).sum().backward()
            optimiser.step()
            found.append(weight.detach().clone())
            optimiser.load_state_dict(optimiser.state_dict())
        return found

    for ours, theirs in zip(trained(eager(kind), KINDS[kind]), trained(kind, KINDS[kind]), strict=True):
        assert torch.equal(ours, theirs)


def test_no_compiler_is_imported() -> None:
    code = """
import sys, torch
from bench.training.eager import eager
weight = torch.nn.Parameter(torch.ones(3))
for kind in (torch.optim.Adam, torch.optim.SGD, torch.optim.RMSprop, torch.optim.LBFGS):
    optimiser = eager(kind)([weight])
    def loss():
        optimiser.zero_grad()
        value = weight.square().sum()
        value.backward()
        return value
    optimiser.step(loss)
    optimiser.load_state_dict(optimiser.state_dict())
assert weight.abs().max() < 1
print("torch._dynamo" in sys.modules)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
