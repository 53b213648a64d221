"""What a term of an objective and its weight must do: the contracts that the type checker and the tests hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from torch import Tensor

from bench.models.forward import Forward

# The terms of the step before, as numbers; none before the first step. To ask for them is to wait for the device.
Observed = Callable[[], Mapping[str, float]]


class Term(Protocol):
    """A quantity that is minimised.

    A term whose value for a text depends on the other texts of its batch says why in an attribute ``across_texts``.
    One that reads from its device has a true attribute ``reads_device``. One that is minimised in another unit than
    nats per text has a method ``with_log`` that gives its value and, without a gradient, what is logged of it. One that
    compares several codes of a text says how many in an attribute ``codes``; all terms of the objective then see each
    text as often.
    """

    def __call__(self, forward: Forward) -> Tensor:
        """Values of the texts (batch,), of which the mean counts, or one value () of the batch; in nats per text."""
        ...


class Weight(Protocol):
    """The weight of a term by step. ``state`` is kept in the checkpoint of a run, as JSON.

    A weight that is the same at every step has a true attribute ``fixed``: it is not logged.
    """

    state: dict[str, Any]

    def __call__(self, step: int, observed: Observed) -> float:
        """The weight at ``step`` (1-based); it is asked once for each step, in their order."""
        ...
