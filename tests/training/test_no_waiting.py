"""A training step leaves its device alone: nothing is read from it, so that it is never waited for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from bench.corpora.prepared import Prepared
from bench.models import packing
from bench.training.loop import Trainer
from bench.training.update import recordable
from tests.conftest import tiny_settings
from tests.training.systems import BUILT, LAGGING, small

WINDOW = 6  # steps, of which the rate decays after the fourth
# What gives the processor a value, or a shape that depends on values: on a GPU each waits for all before it.
READS = {"_local_scalar_dense", "nonzero", "masked_select", "item", "equal", "is_nonzero"}


class Reads(TorchDispatchMode):
    """Notes the operations that read from a device."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if read(func, args):
            self.found.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def read(func: Any, args: Any) -> bool:
    """Whether this operation is such."""
    name = func.overloadpacket.__name__
    if name in ("index", "index_put_", "_index_put_impl_"):
        return any(index is not None and index.dtype == torch.bool for index in args[1])
    return name in READS


@contextmanager
def reads() -> Iterator[list[str]]:
    with Reads() as mode:
        yield mode.found


@pytest.fixture(autouse=True)
def as_on_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU may be looked at."""
    monkeypatch.setattr(packing, "ANSWERING", ())


def ready(system: str, corpus: Prepared, folder: Path) -> Trainer:
    settings = small(system)
    often = settings.training.model_copy(update={"log_every": WINDOW})
    settings = settings.model_copy(update={"training": often})
    trainer = Trainer(settings, corpus, folder, torch.device("cpu"))
    trainer.reporter.every = float("inf")
    trainer.one_step(1)
    return trainer


# The encoder of the lagging VAE is trained for as long as its loss falls, which is read after some of its updates.
@pytest.mark.parametrize("system", [name for name in BUILT if name not in LAGGING])
def test_a_step_reads_nothing_and_a_window_is_read_at_once(
    system: str, corpus_for: Callable[[str], Prepared], tmp_path: Path
) -> None:
    trainer = ready(system, corpus_for(system), tmp_path)
    with reads() as found:
        for step in range(2, WINDOW):
            trainer.one_step(step)
    said = not recordable(trainer.model, trainer.objective, trainer.procedure)  # by the part that reads
    assert bool(found) == said, found
    trainer.one_step(WINDOW)
    assert trainer.progress.history[0]["step"] == WINDOW


def test_what_reads_is_noticed(corpus: Prepared, tmp_path: Path) -> None:
    trainer = ready("vae", corpus, tmp_path)
    trainer.stepper.looks = True
    with reads() as found:
        trainer.one_step(2)
        values = torch.arange(3.0)
        float(values[values > 1].sum())
    assert found == ["_local_scalar_dense", "index", "_local_scalar_dense"]


@pytest.mark.parametrize("system", ["coupled-vae-as-released", "gru-lm"])
@pytest.mark.parametrize("clip", [0.1, 1e6])
def test_clipping_without_a_look_is_the_same_to_the_last_bit(
    system: str, clip: float, corpus: Prepared, tmp_path: Path
) -> None:
    weights = []
    for looks in (True, False):
        settings = tiny_settings(system, optimiser={"clip": clip})
        trainer = Trainer(settings, corpus, tmp_path / str(looks), torch.device("cpu"))
        trainer.stepper.looks = looks
        for step in range(1, 6):
            trainer.one_step(step)
        weights.append(trainer.model.state_dict())
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
