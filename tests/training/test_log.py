"""What steps give is logged under its own name, row by row, whatever the steps before and after it give."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from bench.training.log import Diverged, Log
from bench.training.state import Progress


def values(**numbers: float) -> dict[str, Tensor]:
    return {name: torch.tensor(number) for name, number in numbers.items()}


def test_steps_with_different_terms_are_averaged_each_over_its_own_steps() -> None:
    """Alternating updates: a critic's loss at one step, that of the model at the next."""
    progress = Progress()
    log = Log(progress)
    for step in range(1, 6):
        log.begin()
        terms = {"critic": 10.0 * step} if step % 2 else {"reconstruction": 1.0, "kl": float(step)}
        log.note(step, 7, values(**terms, gradient_norm=2.0))
        progress.step = step
    log.settle()
    log.close({"learning_rate": 0.1}, epoch_steps=10)
    (row,) = progress.history
    assert (row["critic"], row["kl"], row["reconstruction"]) == (30.0, 3.0, 1.0)
    assert (row["gradient_norm"], row["step"], row["epoch"]) == (2.0, 5, 0.5)


def test_a_term_that_is_not_finite_is_blamed_by_its_name_in_its_step() -> None:
    progress = Progress()
    log = Log(progress)
    for step, terms in enumerate(({"critic": 1.0}, {"kl": math.inf}, {"critic": math.nan}), 1):
        log.begin()
        log.note(step, 1, values(**terms))
    with pytest.raises(Diverged, match="kl became infinite at step 2; last good checkpoint: none"):
        log.settle()
    assert progress.step == 1


def test_the_terms_of_the_last_step_are_observed_and_none_before_the_first() -> None:
    log = Log(Progress())
    assert log.observed() == {}
    log.begin()
    for step in (1, 2):
        log.note(step, 1, values(kl=step / 2))
    assert log.observed() == {"kl": 1.0}
    assert log.observed() == {"kl": 1.0}
