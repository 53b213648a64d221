"""From the settings of a run to what it is composed of: model, objective and procedure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.base.registry import build
from bench.models.model import TextModel, initialise
from bench.objectives.objective import Objective

if TYPE_CHECKING:
    from bench.base.settings import RunSettings
    from bench.training.procedures import Procedure


def build_model(settings: RunSettings, words: int) -> TextModel:
    """The model of a run over ``words`` ids, with the initial values of its seed."""
    model = TextModel(settings.parts(), words=words, embedding=settings.embedding, latent=settings.latent)
    initialise(model, settings.seed, **settings.initial.model_dump())
    return model


def build_objective(settings: RunSettings) -> Objective:
    """The objective of a run."""
    wiring, terms = _wiring(settings), settings.objective
    return Objective(
        terms={name: build("term", *term.pair(), wiring) for name, term in terms.items()},
        weights={name: build("weight", *term.weight.pair(), wiring) for name, term in terms.items()},
    )


def build_procedure(settings: RunSettings) -> Procedure:
    """The procedure of a run."""
    procedure: Procedure = build("procedure", *settings.procedure.pair(), _wiring(settings))
    return procedure


def _wiring(settings: RunSettings) -> dict[str, Any]:
    """The sizes that parts outside the model may ask for."""
    training = settings.training
    sizes = {"embedding": settings.embedding, "latent": settings.latent}
    return {**sizes, "batch": training.batch, "steps": training.steps}
