"""Schedules of the weight of the regulariser, as functions of the step (1-based)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bench.parts import part


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
    """clip((step - start) / length, 0, ceiling): the ceiling moves the end of the ramp, not its slope."""

    def __init__(
        self,
        *,
        start: Annotated[int, Field(ge=0)],
        length: Annotated[int, Field(ge=1)],
        ceiling: Annotated[float, Field(ge=0)] = 1.0,
    ) -> None:
        self.start, self.length, self.ceiling = start, length, ceiling

    def __call__(self, step: int) -> float:
        """The weight at ``step``."""
        return min(max((step - self.start) / self.length, 0.0), self.ceiling)
