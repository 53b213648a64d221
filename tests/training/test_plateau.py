"""The rate decays where the validation no longer improves: the rule, and runs that follow it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from bench.base.settings import Optimiser
from bench.corpora.prepared import Prepared
from bench.training.loop import Interrupted, Trainer
from bench.training.plateau import Plateau
from bench.training.run import train_run
from tests.conftest import tiny_settings
from tests.training.resuming import assert_same, stop_after

CPU = torch.device("cpu")
# A rate at which plain gradient descent overshoots: two decays in fewer than forty steps.
RESTLESS = {
    "kind": "sgd",
    "learning_rate": 1.0,
    "decay": "plateau",
    "decay_after": 3,
    "patience": 1,
    "most_decays": 2,
}
TRAINING = {"validate_every": 2, "log_every": 4, "gradient_texts": 0}


@pytest.mark.parametrize(
    ("values", "patience", "first", "expected"),
    # The numbers of the values at which the rate decays; before the ``first`` it may not.
    [
        ([5, 4, 3, 2], 1, 1, []),
        ([5, 5, 5, 5], 1, 1, []),  # as good as the reference is not above it
        ([5, 6, 6, 6, 6], 2, 1, [3]),  # 6 is the new reference
        ([5, 6, 7, 8, 9], 2, 1, [3, 5]),
        ([5, 6, 5, 6, 5, 6], 2, 1, []),  # not in a row
        ([5, 6, 4, 6, 6], 2, 1, [5]),
        ([5, 6, 7, 6.5, 6.5], 1, 1, [2, 3]),
        ([1, 5, 6, 7, 6, 7, 8], 2, 5, [5, 7]),  # counted from the start
        ([3, 9, 9, 2, 9, 9, 8, 8], 2, 1, [3, 6]),
    ],
)
def test_the_rule(values: list[float], patience: int, first: int, expected: list[int]) -> None:
    rule = Plateau()
    decayed = [
        number
        for number, value in enumerate(values, 1)
        if rule.decays_at(value, patience, allowed=number >= first)
    ]
    assert decayed == expected
    assert rule.decays == len(expected)


def test_the_first_plateau_may_begin_a_decay_at_every_validation() -> None:
    rule = Plateau()
    values = [5, 6, 4, 3, 4, 3, 2, 1]
    decayed = [rule.decays_at(v, 1, allowed=n >= 4, onwards=True) for n, v in enumerate(values, 1)]
    assert decayed == [False] * 4 + [True] * 4
    assert rule.decays == 4


def test_a_decay_from_the_first_plateau_on_goes_on_with_the_weights_at_hand(
    corpus: Prepared, tmp_path: Path
) -> None:
    trainer = trained(corpus, tmp_path, decay="from-plateau", most_decays=3)
    assert trainer.plateau.decays == 3
    last = trainer.progress.step
    rates = {int(row["step"]): row["learning_rate"] for row in trainer.progress.history}
    assert [rates[last - 4], rates[last - 2], rates[last]] == [1, 1 / 2, 1 / 4]  # two steps a validation
    assert any(not torch.equal(v, trainer.best[name]) for name, v in trainer.model.state_dict().items())


@pytest.mark.parametrize(("decays", "rate"), [(0, 0.8), (1, 0.2), (3, 0.0125)])
def test_the_rate_depends_on_the_decays_and_not_on_the_step(decays: int, rate: float) -> None:
    settings = Optimiser(decay="plateau", learning_rate=0.8, decay_factor=0.25, decay_after=10)
    assert [settings.rate(step, decays) for step in (1, 50_000)] == pytest.approx([rate] * 2, rel=1e-12)


def trained(corpus: Prepared, folder: Path, stop: int | None = None, **optimiser: Any) -> Trainer:
    """A run that overshoots, to its end, or stopped by a signal after the step ``stop``."""
    settings = tiny_settings("vae", optimiser=RESTLESS | optimiser, training=TRAINING)
    trainer = Trainer(settings, corpus, folder, CPU)
    if stop is not None:
        stop_after(trainer, stop)
    trainer.train()
    return trainer


@pytest.fixture(scope="module")
def whole(corpus: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    """A run that was never stopped."""
    return trained(corpus, tmp_path_factory.mktemp("whole"))


def decay_steps(trainer: Trainer) -> list[int]:
    """The steps of the validations at which the rule, told their values, lets the rate decay."""
    rule, found = Plateau(), []
    for row in trainer.progress.validations:
        if rule.decays_at(row["nll"], 1, allowed=row["step"] > 3):
            found.append(int(row["step"]))
    return found


def test_the_last_decay_ends_the_run_and_no_step_is_recorded_that_was_not_made(whole: Trainer) -> None:
    progress, steps = whole.progress, decay_steps(whole)
    assert len(steps) == 2
    assert progress.step == steps[-1] < whole.settings.training.steps
    assert progress.validations[-1]["step"] == progress.history[-1]["step"] == progress.step
    assert progress.best == {
        "step": min(progress.validations, key=lambda row: row["nll"])["step"],
        "criterion": "validation nll",
        "value": min(row["nll"] for row in progress.validations),
    }


def test_the_rate_halves_after_each_decay_and_a_row_of_the_history_holds_one_rate(whole: Trainer) -> None:
    steps = decay_steps(whole)
    rows = whole.progress.history
    for row in rows:
        assert row["learning_rate"] == 1 / 2 ** sum(step < row["step"] for step in steps)
    assert {int(row["step"]) for row in rows} == {*steps, *range(4, whole.progress.step + 1, 4)}


def test_a_decay_takes_the_best_weights_back(whole: Trainer) -> None:
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, whole.best[name]), name


def test_adam_forgets_the_gradients_of_the_weights_it_leaves(corpus: Prepared, tmp_path: Path) -> None:
    trainer = trained(corpus, tmp_path, kind="adam", learning_rate=0.3, patience=1, most_decays=1)
    assert trainer.plateau.decays == 1
    assert trainer.stepper.state() == {}


def test_a_run_that_ended_early_is_finished(corpora: Path, tmp_path: Path, whole: Trainer) -> None:
    run = train_run(whole.settings, corpora, tmp_path / "runs", tmp_path / "state", device="cpu", threads=1)
    assert (run["state"], run["steps"], run["best"]) == (
        "finished",
        whole.progress.step,
        whole.progress.best,
    )


@pytest.mark.parametrize("which", ["before a decay", "at a decay", "after a decay", "at the last"])
def test_stopping_changes_nothing(which: str, whole: Trainer, corpus: Prepared, tmp_path: Path) -> None:
    first, last = decay_steps(whole)
    stop = {"before a decay": first - 1, "at a decay": first, "after a decay": first + 1, "at the last": last}
    with pytest.raises(Interrupted):
        trained(corpus, tmp_path, stop[which])
    again = trained(corpus, tmp_path)
    assert again.progress.attempts == 2
    assert_same(whole, again)
