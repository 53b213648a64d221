"""Schedules of the weight of the regulariser, as functions of the step (1-based)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bench.base.registry import part


@part("schedule", "constant")
class Constant:
    """The same weight at every step."""

    def __init__(self, *, ceiling: Annotated[float, Field(ge=0)] = 1.0) -> None:
        self.ceiling = ceiling

    def __call__(self, step: int) -> float:
        """The weight at ``step``."""
        return self.ceiling


@part("schedule", "linear")
class Linear:
    """A ramp from ``floor`` that rises by 1/``length`` a step after ``start`` and ends at ``ceiling``."""

    def __init__(
        self,
        *,
        start: Annotated[int, Field(ge=0)],
        length: Annotated[int, Field(ge=1)],
        ceiling: Annotated[float, Field(ge=0)] = 1.0,
        floor: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    ) -> None:
        self.start, self.length, self.ceiling, self.floor = start, length, ceiling, floor

    def __call__(self, step: int) -> float:
        """The weight at ``step``."""
        return min(self.floor + max((step - self.start) / self.length, 0.0), self.ceiling)


@part("schedule", "cyclical")
class Cyclical:
    """Cycles of a linear ramp from 0 and a plateau, then the ceiling (Fu et al. 2019).

    They divide the steps from ``start`` to ``start + length``, as in Wu et al. 2020; before them the weight is
    0. With tau = ((step - start) mod P) / P in a cycle of P = length/cycles steps, the weight is the ceiling
    times min(tau/ratio, 1): 0 at the first step of each cycle, and at the ceiling from tau = ratio on. As in
    the released code the last step, ``start + length``, still counts: tau and the weight fall to 0 there,
    for this one step, and the weight is the ceiling from the step after.
    """

    def __init__(
        self,
        *,
        start: Annotated[int, Field(ge=0)],
        length: Annotated[int, Field(ge=1)],
        cycles: Annotated[int, Field(ge=1)] = 4,
        ratio: Annotated[float, Field(gt=0, le=1)] = 0.5,
        ceiling: Annotated[float, Field(ge=0)] = 1.0,
    ) -> None:
        self.start, self.length, self.cycles = start, length, cycles
        self.ratio, self.ceiling = ratio, ceiling

    def __call__(self, step: int) -> float:
        """The weight at ``step``."""
        since = step - self.start
        if since < 0:
            return 0.0
        if since > self.length:
            return self.ceiling
        tau = since * self.cycles % self.length / self.length  # in whole numbers up to here: P may be none
        return self.ceiling * min(tau / self.ratio, 1.0)
