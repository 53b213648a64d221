"""Procedures: what one training step does, and how posteriors are inferred."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor

from bench.base.registry import part
from bench.corpora.batches import Collator
from bench.estimators.likelihood import Infer, amortised
from bench.models.model import TextModel
from bench.objectives.objective import Terms

if TYPE_CHECKING:
    from bench.training.update import Step, Update

# The mutual information of texts and codes in nats, estimated from mixtures of so many texts of like length.
Information = Callable[[int], float]


class Procedure(Protocol):
    """How a system is trained. ``state`` is kept in the checkpoint of a run, as JSON."""

    state: dict[str, Any]

    def prepare(self, model: TextModel, texts: Collator) -> None:
        """Change the model before the first step, by the training ``texts``; not asked when a run is resumed."""
        ...

    def __call__(self, update: Update, step: Step) -> tuple[Terms, Tensor]:
        """Train on one step: the terms of the objective, and the norm of its gradient before clipping."""
        ...

    def inference(self, model: TextModel) -> Infer:
        """How q(z|x) is found when the model is measured."""
        ...

    def validated(self, information: Information) -> None:
        """Told after each validation, whose split ``information`` measures."""
        ...


@part("procedure", "standard")
class Standard:
    """One gradient step on all parameters together."""

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.state: dict[str, Any] = {}

    def prepare(self, model: TextModel, texts: Collator) -> None:
        """The model begins as it is."""

    def __call__(self, update: Update, step: Step) -> tuple[Terms, Tensor]:
        """Train on one step: the terms of the objective, and the norm of its gradient before clipping."""
        return update(step)

    def inference(self, model: TextModel) -> Infer:
        """The posteriors of the model's own networks."""
        return amortised(model)

    def validated(self, information: Information) -> None:
        """Nothing depends on the validation."""
