"""From the settings of a run to what it is composed of: model, objective, schedule and procedure."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bench.base.registry import build
from bench.models.model import TextModel, initialise
from bench.objectives.objective import Objective

if TYPE_CHECKING:
    from bench.base.settings import Part, RunSettings
    from bench.training.procedures import Procedure


def build_model(settings: RunSettings, words: int) -> TextModel:
    """The model of a run over ``words`` ids, with the initial values of its seed."""
    model = TextModel(settings.parts(), words=words, embedding=settings.embedding, latent=settings.latent)
    initialise(model, settings.seed, **settings.initial.model_dump())
    return model


def build_objective(settings: RunSettings) -> Objective:
    """The objective of a run."""
    return Objective(
        regulariser=_part("regulariser", settings.regulariser),
        aggregate=_part("aggregate", settings.aggregate),
        twin=_part("coupling", settings.coupling),
    )


def build_schedule(settings: RunSettings) -> Callable[[int], float]:
    """The weight of a run's regulariser by step; 0 where it has none."""
    return _part("schedule", settings.schedule) or (lambda _: 0.0)


def build_procedure(settings: RunSettings) -> Procedure:
    """The procedure of a run, which knows how many texts its batches hold."""
    procedure: Procedure = build("procedure", *settings.procedure.pair(), settings.training.batch)
    return procedure


def _part(choice: str, part: Part) -> Any:
    return None if part.absent else build(choice, *part.pair())
