"""The training objective of a composed system: a weighted sum of terms.

Of Wu et al. 2020, equation 4, the terms are L_rec, L_reg, L_rec^c and L_match. Each term is summed over the tokens or
dimensions of a text and averaged over the batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from bench.corpora.batches import Batch
from bench.models.forward import Forward
from bench.models.model import TextModel
from bench.models.noise import Noise
from bench.models.precision import add_gradients
from bench.objectives.contracts import Observed, Term, Weight

TOTAL = "total"
KL = "kl"  # the name of the term that is the divergence of the posterior from the prior, whatever its form
Terms = dict[str, Tensor]  # means over the texts of a batch, by name, and their weighted sum, the total
Weights = Mapping[str, float | Tensor]  # by name of the term; 1 where there is none


@dataclass(frozen=True)
class Objective:
    """What one system minimises: its terms by name, in the order in which they are computed, and their weights."""

    terms: Mapping[str, Term]
    weights: Mapping[str, Weight] = field(default_factory=dict)

    def __call__(self, forward: Forward, weights: Weights) -> Terms:
        """The terms for a batch with these ``weights``; of them only the total has a gradient."""
        total, found = None, Terms()
        for name, term in self.terms.items():
            value, found[name] = _computed(term, forward)
            weighted = _times(weights.get(name, 1.0), value)
            total = weighted if total is None else total + weighted
        if total is None:
            raise ValueError("an objective without a term")
        return {**found, TOTAL: total}

    @property
    def codes(self) -> int:
        """How many codes of each text a step draws: as many as a term asks for by its attribute ``codes``, else 1."""
        return max((getattr(term, "codes", 1) for term in self.terms.values()), default=1)

    def only(self, *names: str) -> Objective:
        """The objective with those of its terms that have these ``names``."""
        return Objective({name: term for name, term in self.terms.items() if name in names}, self.weights)

    def backward(
        self, model: TextModel, batch: Batch, noise: Noise, weights: Weights, parts: int = 1
    ) -> Terms:
        """Add the gradients of the objective for ``batch`` to those of the parameters; returns its terms.

        With more ``parts`` than one, sub-batches are taken one after another and need less memory at once. Each
        text has the same noise as in the whole batch, so the gradient is the same, up to rounding, where the
        objective is a mean over texts: where :func:`looks_across` finds nothing. ``noise`` must be fresh.
        """
        if parts == 1:
            terms = self(Forward.repeated(model, batch, noise, self.codes), weights)
            add_gradients(terms[TOTAL])
            return {**terms, TOTAL: terms[TOTAL].detach()}
        texts, sums = len(batch.lengths), Terms()
        size = -(-texts // parts)
        for first in range(0, texts, size):
            rows = slice(first, min(first + size, texts))
            share = (rows.stop - rows.start) / texts
            pieces = batch.part(rows), noise.part(rows, texts)
            terms = self(Forward.repeated(model, *pieces, self.codes), weights)
            add_gradients(share * terms[TOTAL])
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + share * value.detach()
        return sums

    def weights_at(self, step: int, observed: Observed) -> dict[str, float]:
        """The weight of each term at ``step`` (1-based); each step is asked for once, in their order."""
        return {name: weight(step, observed) for name, weight in self.weights.items()}

    @property
    def changing(self) -> list[str]:
        """The terms whose weight differs from step to step."""
        return [name for name, weight in self.weights.items() if not getattr(weight, "fixed", False)]

    @property
    def state(self) -> dict[str, dict[str, Any]]:
        """What the weights remember, by the name of their term."""
        return {name: weight.state for name, weight in self.weights.items() if weight.state}

    def load(self, state: Mapping[str, dict[str, Any]]) -> None:
        """Take back what :attr:`state` was."""
        for name, remembered in state.items():
            self.weights[name].state = remembered


def _computed(term: Term, forward: Forward) -> tuple[Tensor, Tensor]:
    """The value of a term () for a batch, and what is logged of it."""
    if (with_log := getattr(term, "with_log", None)) is not None:
        value, logged = with_log(forward)
        return value, logged
    value = term(forward)
    value = value.mean() if value.dim() else value
    return value, value.detach()


def _times(weight: float | Tensor, value: Tensor) -> Tensor:
    return value if isinstance(weight, (int, float)) and weight == 1 else weight * value


def parts_of(model: TextModel, objective: Objective, procedure: object) -> list[object]:
    """All parts that take part in a step; some say by attributes what they do to the texts or to the device."""
    return [procedure, *objective.terms.values(), *model.modules()]


def looks_across(model: TextModel, objective: Objective, procedure: object) -> list[str]:
    """What makes a step depend on the texts of a batch together, and not on each by itself.

    Parts say it themselves, by an attribute ``across_texts``; a test finds those that should and do not.
    """
    found: Iterable[str] = (getattr(p, "across_texts", "") for p in parts_of(model, objective, procedure))
    return [reason for reason in dict.fromkeys(found) if reason]
