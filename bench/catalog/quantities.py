"""Quantities: a metric and the estimator that measures it, as claims, audits and tables name them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from bench.base.errors import unknown
from bench.base.settings import Model, Name
from bench.metrics.definitions import DEFINITIONS

Direction = Literal["higher", "lower"]
Pair = tuple[Name, Name]  # baseline and the other system


def _metric_alone(value: Any) -> Any:
    return {"metric": value} if isinstance(value, str) else value


class Quantity(Model):
    """A metric and its estimator; with null the one that repeats the paper's, else the system's main one."""

    metric: str
    estimator: str | None = None

    @model_validator(mode="after")
    def _defined(self) -> Self:
        if self.metric not in {metric for metric, _ in DEFINITIONS}:
            raise ValueError(unknown("metric", self.metric, sorted({metric for metric, _ in DEFINITIONS})))
        if self.estimator is not None and (self.metric, self.estimator) not in DEFINITIONS:
            raise ValueError(unknown(f"estimator of {self.metric}", self.estimator, estimators(self.metric)))
        return self


QuantityField = Annotated[Quantity, BeforeValidator(_metric_alone)]


class PrintedQuantity(Quantity):
    """The quantity that repeats a printed one, and how it is printed.

    With a null estimator it is the system's only one. ``better`` says which side of the print is the better one.
    """

    decimals: int = Field(ge=0)
    better: Direction | None = None


def estimators(metric: str) -> list[str]:
    """The estimators of a metric."""
    return [estimator for one, estimator in DEFINITIONS if one == metric]
