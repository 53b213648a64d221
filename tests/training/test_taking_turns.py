"""Steps of several updates, of the systems of every paper that have them: stopped, in parts, and padded."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from bench.corpora.prepared import Prepared
from bench.models import packing
from bench.objectives.objective import looks_across
from bench.training.loop import Interrupted, Trainer
from tests.golden.golden import World
from tests.training.resuming import assert_same, stop_after
from tests.training.systems import TURNS, taking_turns

STEPS = 7


def trainer_of(paper: str, system: str, world: World, folder: Path, steps: int = STEPS) -> Trainer:
    run = taking_turns(paper, system)
    run = run.model_copy(update={"training": run.training.model_copy(update={"steps": steps})})
    trainer = Trainer(run, Prepared.load(world.prepared(run)), folder, torch.device("cpu"))
    trainer.prepare(trainer.model.state_dict())
    return trainer


@pytest.mark.parametrize(("paper", "system"), TURNS)
def test_stopping_changes_nothing(paper: str, system: str, world: World, tmp_path: Path) -> None:
    whole, first = (trainer_of(paper, system, world, tmp_path / name) for name in ("whole", "parts"))
    whole.train()
    stop_after(first, 4)
    with pytest.raises(Interrupted):
        first.train()
    second = Trainer(
        first.settings, Prepared.load(world.prepared(first.settings)), first.folder, first.device
    )
    assert (second.progress.step, second.progress.prepared) == (4, True)
    second.train()
    assert_same(whole, second)


def one_step(trainer: Trainer, parts: int = 1) -> dict[str, Tensor]:
    """The terms of the first step, and the moments that it leaves, which are as the gradients."""
    if parts > 1:
        trainer.progress.accumulation = {"parts": parts, "reason": "", "from_step": 1}
    trainer.one_step(1)
    ((_, names, values),) = trainer.log._unread
    return {**dict(zip(names, values, strict=True)), **trainer.stepper.state()}


@pytest.mark.parametrize(("paper", "system"), TURNS)
def test_a_step_in_parts_is_the_step_or_the_system_says_why_not(
    paper: str, system: str, world: World, tmp_path: Path
) -> None:
    whole, parted = (trainer_of(paper, system, world, tmp_path / name) for name in ("whole", "parts"))
    if looks_across(whole.model, whole.objective, whole.procedure):
        return
    assert len(whole.batch(1).lengths) > 3
    torch.testing.assert_close(one_step(parted, 3), one_step(whole), rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize(("paper", "system"), TURNS)
def test_a_step_with_padding_is_the_step_without(
    paper: str, system: str, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that is not waited for multiplies padding too."""
    packed = one_step(trainer_of(paper, system, world, tmp_path / "packed"))
    monkeypatch.setattr(packing, "ANSWERING", ())
    padded = one_step(trainer_of(paper, system, world, tmp_path / "padded"))
    torch.testing.assert_close(padded, packed, rtol=2e-3, atol=1e-5)
