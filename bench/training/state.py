"""The resumable state of a run: everything needed to go on as if nothing had happened.

Noise and batches are functions of the seed and the step, so the state is the parameters, the optimiser, the
best weights so far, the history and the step. It is one file, replaced atomically, beside the outputs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from bench.base.errors import BenchError
from bench.base.files import replacing

FILE = "checkpoint.safetensors"


@dataclass
class Progress:
    """What a run has done so far. ``history`` and ``validations`` hold one row per logged step.

    ``prepared``: whether the procedure has changed the model before the first step.

    ``accumulation``: in how many ``parts`` each batch is taken, since which step (``from_step``) and why
    (``reason``); None as long as batches are taken whole. ``begun_with``: the ``run`` whose trained modules it
    began with, and their ``weights_sha256``; ``vectors`` likewise: the ``evaluator`` that gave the words their vectors,
    and its files with their sha256. ``window`` holds what steps have given since the last row of the
    history, ``observed`` the terms of the last step that was looked at, ``weights`` what weights remember.
    ``processor_seconds``: what the steps took of the processor; None where some of them were not timed so.
    """

    step: int = 0
    seconds: float = 0.0
    processor_seconds: float | None = None
    validation_seconds: float = 0.0
    attempts: int = 0
    prepared: bool = False
    accumulation: dict[str, Any] | None = None
    tokens: int = 0
    started: str = ""
    begun_with: dict[str, str] | None = None
    vectors: dict[str, Any] | None = None
    best: dict[str, Any] | None = None
    history: list[dict[str, float]] = field(default_factory=list)
    validations: list[dict[str, float]] = field(default_factory=list)
    window: dict[str, Any] = field(default_factory=dict)
    observed: dict[str, float] = field(default_factory=dict)
    weights: dict[str, dict[str, Any]] = field(default_factory=dict)
    procedure: dict[str, Any] = field(default_factory=dict)
    plateau: dict[str, Any] = field(default_factory=dict)

    def spend(self, seconds: float, processor: float) -> None:
        """Add what a step took, by the clock and of the processor."""
        self.seconds += seconds
        if self.processor_seconds is not None:
            self.processor_seconds += processor


class Damaged(BenchError):
    """A checkpoint that cannot be read."""


@dataclass(frozen=True)
class Checkpoint:
    """A saved state: tensors by group (``model``, ``best``, ``optimiser``) and the progress."""

    tensors: dict[str, dict[str, Tensor]]
    progress: Progress


def save(folder: Path, identity: str, tensors: dict[str, dict[str, Tensor]], progress: Progress) -> None:
    """Write the state of the run ``identity``, whole or not at all."""
    flat = {
        f"{group}/{name}": t.contiguous() for group, named in tensors.items() for name, t in named.items()
    }
    content = {"identity": identity, "progress": json.dumps(vars(progress))}
    with replacing(folder / FILE) as part:
        save_file(flat, part, metadata=content)


def load(folder: Path, identity: str) -> Checkpoint | None:
    """The saved state, or None if there is none.

    Raises :class:`Damaged`, or another :class:`BenchError` for the state of another configuration.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors: dict[str, dict[str, Tensor]] = {}
            for key in file.keys():  # noqa: SIM118 (not a mapping)
                group, name = key.split("/", 1)
                tensors.setdefault(group, {})[name] = file.get_tensor(key)
    except (SafetensorError, OSError) as error:
        raise Damaged(f"damaged checkpoint: {error}", where=path) from error
    if metadata.get("identity") != identity:
        raise BenchError(
            f"checkpoint of another configuration: expected {identity}, found {metadata.get('identity')}",
            where=path,
            remedy="delete it, or give --state another folder",
        )
    return Checkpoint(tensors, Progress(**json.loads(metadata["progress"])))


def clone(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copies on the CPU."""
    return {name: torch.empty_like(t, device="cpu").copy_(t.detach()) for name, t in tensors.items()}
