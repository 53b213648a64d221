"""Procedures: what one training step does."""

from __future__ import annotations

from torch import Tensor

from bench.corpora.batches import Batch
from bench.models.model import TextModel
from bench.models.noise import Noise
from bench.objectives.objective import Objective, Terms
from bench.parts import part
from bench.training.optimiser import Stepper


@part("procedure", "standard")
class Standard:
    """One gradient step on all parameters together."""

    def __call__(
        self,
        model: TextModel,
        objective: Objective,
        stepper: Stepper,
        batch: Batch,
        noise: Noise,
        weight: float,
        step: int,
    ) -> tuple[Terms, Tensor]:
        """The terms of the objective at this step, and the norm of its gradient before clipping."""
        stepper.zero()
        terms = objective(model, batch, noise, weight)
        terms.total.backward()
        return terms, stepper.step(step)
