"""The audits of a paper: questions about its procedure, with what is run and shown to answer each."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, RootModel, model_validator

from bench.base.errors import unknown
from bench.base.settings import Model, Name
from bench.catalog.quantities import QuantityField


class Comparison(Model):
    """The other system minus the baseline; null corpora are all."""

    label: str
    baseline: Name
    other: Name
    metrics: tuple[QuantityField, ...] = Field(min_length=1)
    corpora: tuple[Name, ...] | None = None


class DeclaredContrast(Model):
    """The effect of one comparison minus that of another, both named by their labels."""

    label: str
    first: str
    second: str


CheckName = Literal[
    "information-above-kl", "triangle-inequality", "bold-cells", "clipped-steps", "deviation-gradients"
]


class Audit(Model):
    """A question about a paper's procedure: what is run to answer it, and what of it is shown."""

    title: str
    question: str
    method: str
    surer: str
    systems: tuple[Name, ...] = Field(min_length=1)
    values: tuple[QuantityField, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    contrasts: tuple[DeclaredContrast, ...] = ()
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
