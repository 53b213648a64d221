"""What is asked of a paper's runs, as typed objects: audits of its procedure, and its claims with their predicates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, RootModel, model_validator

from bench.base.errors import unknown
from bench.base.settings import Model, Name
from bench.metrics.definitions import DEFINITIONS

# What is measured at each validation: gradients of all reconstruction losses and of the regulariser with respect
# to the encoded text, and how much the decoding signal follows it.
CurveName = Literal["reconstruction-gradient", "regulariser-gradient", "signal-sensitivity"]


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
            known = [estimator for metric, estimator in DEFINITIONS if metric == self.metric]
            raise ValueError(unknown(f"estimator of {self.metric}", self.estimator, known))
        return self


QuantityField = Annotated[Quantity, BeforeValidator(_metric_alone)]
Direction = Literal["higher", "lower"]
Pair = tuple[Name, Name]  # baseline and the other system


class Comparison(Model):
    """The other system minus the baseline; null corpora are all."""

    label: str
    baseline: Name
    other: Name
    metrics: tuple[QuantityField, ...] = Field(min_length=1)
    corpora: tuple[Name, ...] | None = None


class Contrast(Model):
    """The effect of one comparison minus that of another, both named by their labels."""

    label: str
    first: str
    second: str


CheckName = Literal["information-above-kl", "triangle-inequality", "bold-cells"]


class Audit(Model):
    """A question about a paper's procedure: what is run to answer it, and what of it is shown."""

    title: str
    question: str
    method: str
    surer: str
    systems: tuple[Name, ...] = Field(min_length=1)
    values: tuple[QuantityField, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    contrasts: tuple[Contrast, ...] = ()
    checks: tuple[CheckName, ...] = ()

    @model_validator(mode="after")
    def _names(self) -> Self:
        for comparison in self.comparisons:
            for system in (comparison.baseline, comparison.other):
                if system not in self.systems:
                    raise ValueError(unknown("system", system, self.systems, where=comparison.label))
        labels = [comparison.label for comparison in self.comparisons]
        for contrast in self.contrasts:
            for label in (contrast.first, contrast.second):
                if label not in labels:
                    raise ValueError(unknown("comparison", label, labels, where=contrast.label))
        return self


class Audits(RootModel[dict[Name, Audit]]):
    """The content of an ``audits.yaml``."""


class Differences(Model):
    """Each pair differs in this direction in each metric; ``against`` is the baseline's where it is another.

    ``table`` stands for all pairs of baseline and twin that the table prints.
    """

    pairs: tuple[Pair, ...] = ()
    table: Name | None = None
    metrics: tuple[QuantityField, ...] = Field(min_length=1)
    against: QuantityField | None = None
    direction: Direction

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if bool(self.pairs) == (self.table is not None):
            raise ValueError("name one of pairs, table")
        return self


class Trend(Model):
    """Each step along each chain of systems differs in this direction in each metric."""

    chains: tuple[Annotated[tuple[Name, ...], Field(min_length=2)], ...] = Field(min_length=1)
    metrics: tuple[QuantityField, ...] = Field(min_length=1)
    direction: Direction


class Sensitivity(Model):
    """The metric's range (largest minus smallest) over the systems ``more`` exceeds that over ``less``."""

    metric: QuantityField
    more: Annotated[tuple[Name, ...], Field(min_length=2)]
    less: Annotated[tuple[Name, ...], Field(min_length=2)]


class Interaction(Model):
    """The effect of ``first`` (other minus baseline) on the metric is another than that of each of ``others``."""

    metric: QuantityField
    first: Pair
    others: tuple[Pair, ...] = Field(min_length=1)


class Shape(Model):
    """How a curve of a system runs over training, or while the weight of the regulariser rises."""

    system: Name
    curve: CurveName
    shape: Literal[
        "grows", "rises then falls", "falls", "does not fall", "falls at the end", "does not fall at the end"
    ]
    during: Literal["training", "annealing"] = "training"


PREDICATES = ("differences", "trend", "sensitivity", "interaction", "shapes")


class Claim(Model):
    """A sentence of a paper in our own words, and the one predicate over measurements that tests it."""

    where: str
    statement: str
    corpora: tuple[Name, ...] | None = Field(None, description="null: those of the paper")
    differences: Differences | None = None
    trend: Trend | None = None
    sensitivity: Sensitivity | None = None
    interaction: Interaction | None = None
    shapes: tuple[Shape, ...] = ()

    @model_validator(mode="after")
    def _one_predicate(self) -> Self:
        if sum(bool(getattr(self, name)) for name in PREDICATES) != 1:
            raise ValueError(f"name one of {', '.join(PREDICATES)}")
        return self

    def named(self) -> Iterator[str]:
        """The systems that it names itself (not those of a table)."""
        if self.differences:
            yield from (system for pair in self.differences.pairs for system in pair)
        if self.trend:
            yield from (system for chain in self.trend.chains for system in chain)
        if self.sensitivity:
            yield from (*self.sensitivity.more, *self.sensitivity.less)
        if self.interaction:
            yield from (*self.interaction.first, *(s for pair in self.interaction.others for s in pair))
        yield from (shape.system for shape in self.shapes)


class Claims(RootModel[dict[Name, Claim]]):
    """The content of a ``claims.yaml``."""
