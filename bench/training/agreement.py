"""Whether two computations of the same thing agree: one on another device, or one replayed from a recording."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from bench.objectives.objective import TOTAL, Terms

TERMS, NORM = 1e-4, 1e-3  # relative tolerances of the terms of an update and of the norm of its gradient
NARROW = 10.0  # times as much, where products are narrow
SMALL = 1e-3  # of the total: what cancels in smaller terms is compared with this
GRADIENT_NORM = "gradient norm"


@dataclass(frozen=True)
class Mismatch:
    """Two values of one quantity, ``off`` by so much relative to its size, of which ``allowed`` is tolerated."""

    name: str
    expected: float
    found: float
    off: float
    allowed: float

    @property
    def agrees(self) -> bool:
        """Whether it is tolerated."""
        return self.off <= self.allowed

    def __str__(self) -> str:
        off = f"off by {self.off:.1e}, {self.allowed:.0e} is allowed"
        return f"{self.name}: {self.found:.7g} in place of {self.expected:.7g} ({off})"


def difference(
    name: str, expected: float, found: float, allowed: float, least: float = 0.0, *, nan_agrees: bool = False
) -> Mismatch:
    """How far ``found`` is off, relative to ``expected`` or to ``least`` if that is more; what is not finite is wrong.

    ``nan_agrees``: the same NaN or infinity twice is no difference, where something else looks for those.
    """
    if math.isfinite(expected) and math.isfinite(found):
        off = abs(found - expected) / max(abs(expected), least, 1e-12)
    else:
        same = expected == found or (math.isnan(expected) and math.isnan(found))
        off = 0.0 if nan_agrees and same else math.inf
    return Mismatch(name, expected, found, off, allowed)


def numbers(terms: Terms, norm: Tensor) -> dict[str, float]:
    """The terms of an update and the norm of its gradient, read from their device."""
    return {**{name: float(value) for name, value in terms.items()}, GRADIENT_NORM: float(norm)}


def furthest(
    expected: Mapping[str, float],
    found: Mapping[str, float],
    *,
    narrow: bool = False,
    nan_agrees: bool = False,
) -> Mismatch:
    """Of what :func:`numbers` gives of two updates, what differs most for what is allowed."""
    factor = NARROW if narrow else 1.0
    total = abs(expected[TOTAL])
    least = SMALL * total if math.isfinite(total) else 0.0
    each = [
        difference(
            name,
            value,
            found[name],
            factor * (NORM if name == GRADIENT_NORM else TERMS),
            0.0 if name == GRADIENT_NORM else least,
            nan_agrees=nan_agrees,
        )
        for name, value in expected.items()
    ]
    return max(each, key=lambda one: one.off / one.allowed)
