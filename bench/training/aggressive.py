"""Aggressive training of the inference network (He et al. 2019)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import torch
from pydantic import Field
from torch import Tensor

from bench.base.registry import part
from bench.objectives.objective import TOTAL, Terms
from bench.training.procedures import Information, Standard
from bench.training.turns import ALL, Turn

if TYPE_CHECKING:
    from bench.training.update import Step, Update

# The sides of the model, each clipped by the gradient of both.
_INFERENCE = ("encoder", "branch.posterior")
INFERENCE, GENERATION = Turn(moves=_INFERENCE, whole=True), Turn(stays=_INFERENCE, whole=True)


@part("procedure", "aggressive", needs={"density": "it watches the mutual information of texts and codes"})
class Aggressive(Standard):
    """Many updates of the inference network before each update of the rest, while it lags behind.

    One step, as in the released code of He et al. 2019: at most ``inner`` updates of the inference side, on
    the batch of the step and then on batches drawn with replacement; after every ``block`` of them the loss
    per target token of the block is compared with that of the block before, and they end once it has risen.
    Then the generation side is updated on the batch of the step, with noise of its own; the terms of a step
    are those of this update. Each update follows the whole gradient of the whole objective with the weight of
    the step, clipped as one although only a side of it moves.

    All that ends for good at the first validation whose mutual information is lower than that of the one
    before (zero at first): from then on both sides are updated together. It is estimated as released, from
    mixtures of ``mixture`` texts of like length, and so never exceeds ln ``mixture``; but from the density of
    one code for each text, where the released code has the entropy in closed form. A validation takes the
    place of the end of an epoch.

    The inference side is the encoder and the posterior network. All else is of the generation side: the
    embedding, which encoder and decoder share here, and the whole of a coupled twin, whose own posterior
    network reads the encoder only to be decoded (no code of a coupled system was released).
    """

    turns: tuple[Turn, ...] = (INFERENCE, GENERATION, ALL)

    def __init__(
        self,
        batch: int,
        *,
        inner: Annotated[int, Field(ge=1, json_schema_extra={"repeats": "updates"})] = 99,
        block: Annotated[int, Field(ge=1)] = 15,
        mixture: Annotated[int, Field(ge=2)] = 32,
    ) -> None:
        super().__init__(batch)
        self.inner, self.block, self.mixture = inner, block, mixture
        self.state = {"aggressive": True, "information": 0.0}

    def __call__(self, update: Update, step: Step) -> tuple[Terms, Tensor]:
        """Train on one step: the terms of the objective, and the norm of its gradient before clipping."""
        if not self.state["aggressive"]:
            return super().__call__(update, step)
        self._catch_up(update, step)
        return update(step, GENERATION)

    def _catch_up(self, update: Update, step: Step) -> None:
        """The updates of the inference side."""
        before, tokens = 1e4, 0
        loss = torch.zeros((), dtype=torch.float64, device=step.batch.words.device)
        for number in range(1, self.inner + 1):
            batch, noise = step.another(number)
            if number == 1:
                batch = step.batch
            terms, _ = update(replace(step, batch=batch, noise=noise), INFERENCE)
            loss += terms[TOTAL].double() * len(batch.lengths)
            tokens += batch.tokens
            if number % self.block == 0:
                mean = float(loss) / tokens
                if mean > before:
                    return
                before, tokens = mean, 0
                loss.zero_()

    def validated(self, information: Information) -> None:
        """Aggressive training ends when the mutual information has fallen since the last validation."""
        if self.state["aggressive"]:
            found = information(self.mixture)
            self.state["aggressive"] = found >= self.state["information"]
            self.state["information"] = found
