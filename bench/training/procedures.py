"""Procedures: what one training step does, and how posteriors are inferred."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from pydantic import Field
from torch import Tensor

from bench.base.errors import BenchError
from bench.base.registry import part
from bench.corpora.batches import Collator
from bench.estimators.likelihood import Infer, amortised
from bench.models.forward import PRIOR
from bench.models.model import TextModel
from bench.objectives.objective import Terms
from bench.training.turns import ALL, Turn

if TYPE_CHECKING:
    from bench.training.update import Step, Update

# The mutual information of texts and codes in nats, estimated from mixtures of so many texts of like length.
Information = Callable[[int], float]


class Procedure(Protocol):
    """How a system is trained: ``turns`` are the updates of a step. ``state`` is kept in the checkpoint, as JSON."""

    state: dict[str, Any]
    turns: tuple[Turn, ...]

    def prepare(self, model: TextModel, texts: Collator) -> None:
        """Change the model in place before the first step, by the training ``texts``; not asked on a resume."""
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

    turns: tuple[Turn, ...] = (ALL,)

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


@part("procedure", "alternating")
class Alternating(Standard):
    """Updates of some terms on some groups of parameters, then one of other terms on other groups.

    A step makes ``inner`` updates that minimise the ``inner_terms`` and move the ``inner_groups``, and then one that
    minimises the ``outer_terms`` and moves the ``outer_groups``: all others, unless they are named. So a critic is
    trained before each update of what it judges (Tolstikhin et al. 2018, algorithm 1). An inner update has noise of
    its own, and the batch of the step; or a ``further`` batch, drawn with replacement; or, with ``same_codes``, the
    batch, the dropout and the codes of the step, and only codes of the prior that are drawn anew (Fang et al. 2019,
    released code). Each is clipped by the gradient of what it moves. Logged are the terms of the outer update and of
    the last inner one; total and norm are of the outer one.
    """

    def __init__(
        self,
        batch: int,
        groups: Mapping[str, tuple[str, ...]],
        *,
        inner_terms: Annotated[tuple[str, ...], Field(min_length=1, json_schema_extra={"names": "terms"})],
        inner_groups: Annotated[tuple[str, ...], Field(min_length=1, json_schema_extra={"names": "groups"})],
        inner: Annotated[int, Field(ge=1, json_schema_extra={"repeats": "updates"})] = 1,
        further: bool = False,
        same_codes: bool = False,
        outer_terms: Annotated[tuple[str, ...], Field(json_schema_extra={"names": "terms"})] = (),
        outer_groups: Annotated[tuple[str, ...], Field(json_schema_extra={"names": "groups"})] = (),
    ) -> None:
        super().__init__(batch)
        if further and same_codes:
            raise BenchError("a further batch has other codes", where="procedure alternating: same_codes")
        first, others = (
            tuple(module for name in names for module in groups[name])
            for names in (inner_groups, outer_groups)
        )
        self.inner, self.further, self.same_codes = inner, further, same_codes
        outer = Turn(terms=outer_terms) if outer_terms else Turn(without=inner_terms)
        outer = replace(outer, moves=others) if others else replace(outer, stays=first)
        self.turns = (Turn(terms=inner_terms, moves=first), outer)

    def __call__(self, update: Update, step: Step) -> tuple[Terms, Tensor]:
        """Train on one step: the terms of its updates, and the norm of the outer gradient before clipping."""
        first, last = self.turns
        found: Terms = {}
        for given in self._inner_steps(step):
            found, _ = update(given, first)
        terms, norm = update(step, last)
        return {**found, **terms}, norm

    def _inner_steps(self, step: Step) -> Iterator[Step]:
        """What each inner update is given."""
        for number in range(1, self.inner + 1):
            if self.same_codes:
                yield replace(step, noise=step.noise.anew(PRIOR, number))
                continue
            batch, noise = step.another(number)
            yield replace(step, batch=batch if self.further else step.batch, noise=noise)
