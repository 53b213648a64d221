"""Runs that a signal stops, and whether two runs are the same."""

from __future__ import annotations

import os
import signal

import torch

from bench.training.loop import Trainer

TIMED = ("seconds", "tokens_per_second")


def stop_after(trainer: Trainer, last: int) -> None:
    """Have the process asked to stop during the step ``last``."""
    original = trainer.one_step

    def one_step(step: int) -> None:
        original(step)
        if step == last:
            os.kill(os.getpid(), signal.SIGTERM)

    trainer.one_step = one_step  # type: ignore[method-assign]


def assert_same(whole: Trainer, again: Trainer) -> None:
    """Two runs agree, bit for bit, in all but time."""
    groups = [(t.model.state_dict(), t.best, t.stepper.state()) for t in (whole, again)]
    for found, expected in zip(*groups, strict=True):
        assert found.keys() == expected.keys()
        for name, value in found.items():
            assert torch.equal(value, expected[name]), name
    assert histories(whole) == histories(again)
    assert (whole.plateau, whole.procedure.state) == (again.plateau, again.procedure.state)


def histories(trainer: Trainer) -> str:
    """What a run logged, without what only measures time, to the last digit (NaN is like NaN)."""
    tables = (trainer.progress.history, trainer.progress.validations)
    return repr([[{k: v for k, v in row.items() if k not in TIMED} for row in rows] for rows in tables])
