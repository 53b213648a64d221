"""Quantities: a metric and the estimator that measures it, as claims, audits and tables name them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from bench.base.errors import unknown
from bench.base.settings import Model, Name
from bench.metrics.measures import definitions

Direction = Literal["higher", "lower"]
Pair = tuple[Name, Name]  # baseline and the other system


def _metric_alone(value: Any) -> Any:
    return {"metric": value} if isinstance(value, str) else value


class Quantity(Model):
    """A metric and its estimator; with null the one that repeats the paper's, else the system's main one.

    ``part`` is one of several things that the metric is of, as one of several attributes.
    """

    metric: str
    estimator: str | None = None
    part: str | None = None

    @property
    def name(self) -> str:
        """The metric, with the part behind a colon where there is one."""
        return f"{self.metric}:{self.part}" if self.part else self.metric

    @property
    def measured(self) -> bool:
        """Whether it names something that is measured here."""
        return True

    @model_validator(mode="after")
    def _defined(self) -> Self:
        if not self.measured:
            return self
        known = {metric for metric, _ in definitions()}
        if self.metric not in known:
            raise ValueError(unknown("metric", self.metric, sorted(known)))
        if self.estimator is not None and (self.metric, self.estimator) not in definitions():
            raise ValueError(unknown(f"estimator of {self.metric}", self.estimator, estimators(self.metric)))
        return self


QuantityField = Annotated[Quantity, BeforeValidator(_metric_alone)]


class PrintedQuantity(Quantity):
    """The quantity that repeats a printed one, and how it is printed.

    With a null estimator it is the system's only one. ``better`` says which side of the print is the better one;
    ``margin`` how far a number may lie from a printed one and be the same, in the unit of the print (null: the median
    difference of the pairs printed in that column). ``rounding``: how far rounding can have moved a printed number, in
    the unit of the print, where it was rounded more than once (null: half a unit of the last decimal). ``missing``
    says why nothing is measured here that repeats it; its metric is then a name of the print's own. ``relative_to``:
    the system over whose number that of each is printed, as times are.
    """

    decimals: int = Field(ge=0)
    better: Direction | None = None
    margin: float | None = Field(None, gt=0)
    rounding: float | None = Field(None, gt=0)
    missing: str | None = Field(None, min_length=1)
    relative_to: Name | None = None

    @property
    def measured(self) -> bool:
        """Whether it names something that is measured here."""
        return self.missing is None

    @property
    def slack(self) -> float:
        """How far rounding can have moved a printed number, in the unit of the print."""
        return half_unit(self.decimals) if self.rounding is None else self.rounding


def half_unit(decimals: int) -> float:
    """Half a unit of the last printed decimal."""
    return 0.5 * 10.0**-decimals


def estimators(metric: str) -> list[str]:
    """The estimators of a metric."""
    return [estimator for one, estimator in definitions() if one == metric]
