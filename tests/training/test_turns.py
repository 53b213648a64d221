"""The updates of a step, of every system that can be built: together they train everything."""

from __future__ import annotations

import pytest

from bench.training.composition import Composition
from bench.training.optimiser import Stepper
from tests.plain import WORDS
from tests.training.systems import BUILT, small


@pytest.mark.parametrize("system", BUILT)
def test_the_updates_of_a_step_train_every_term_and_every_parameter(system: str) -> None:
    settings = small(system)
    composition = Composition(settings, WORDS)
    turns = composition.procedure.turns
    assert turns
    for name in composition.objective.terms:
        assert any(turn.takes(name) for turn in turns), name
    stepper = Stepper(composition.model, settings.optimiser, settings.groups, composition.auxiliary)
    assert len(stepper.parameters) == len(list(composition.parameters()))
    for name in stepper.parameters:
        assert any(turn.changes(name) for turn in turns), name
