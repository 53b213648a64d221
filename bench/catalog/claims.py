"""The claims of a paper: each a sentence in our own words, and the predicate over measurements that tests it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, RootModel, model_validator

from bench.base.settings import Model, Name
from bench.catalog.quantities import Direction, Pair, QuantityField

# What is measured at each validation: gradients of all reconstruction losses and of the regulariser with respect
# to the encoded text, how much the decoding signal follows it; the KL, its weight and their product; the loss.
CurveName = Literal[
    "kl",
    "kl-weight",
    "reconstruction",
    "reconstruction-gradient",
    "regulariser-gradient",
    "signal-sensitivity",
    "weighted-kl",
]


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


class Near(Model):
    """The metric of each system is ``within`` so much of its number, in the unit of the metric."""

    metric: QuantityField
    numbers: dict[Name, float] = Field(min_length=1)
    within: float = Field(gt=0)


class Beyond(Model):
    """The metric of each system lies beyond its number in this direction."""

    metric: QuantityField
    numbers: dict[Name, float] = Field(min_length=1)
    direction: Direction


class Shape(Model):
    """How a curve of a system runs over training, or while the weight of the regulariser rises."""

    system: Name
    curve: CurveName
    shape: Literal[
        "grows", "rises then falls", "falls", "does not fall", "falls at the end", "does not fall at the end"
    ]
    during: Literal["training", "annealing"] = "training"


PREDICATES = ("differences", "trend", "sensitivity", "interaction", "near", "beyond", "shapes")


class Claim(Model):
    """A sentence of a paper in our own words, and the one predicate over measurements that tests it."""

    where: str
    statement: str
    corpora: tuple[Name, ...] | None = Field(None, description="null: those of the paper")
    differences: Differences | None = None
    trend: Trend | None = None
    sensitivity: Sensitivity | None = None
    interaction: Interaction | None = None
    near: Near | None = None
    beyond: Beyond | None = None
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
        for numbers in (self.near, self.beyond):
            yield from numbers.numbers if numbers else ()
        yield from (shape.system for shape in self.shapes)


class Claims(RootModel[dict[Name, Claim]]):
    """The content of a ``claims.yaml``."""
