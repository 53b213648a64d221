"""What a paper prints and compares: tables of numbers, tables of texts, figures of curves, pairs of systems."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from bench.base.settings import Model, Name
from bench.catalog.claims import CurveName
from bench.catalog.quantities import Pair, PrintedQuantity, QuantityField

# Of the test texts: the standard deviations of their posteriors, and where codes of two dimensions lie.
HistogramName = Literal["sigma", "plane"]


class PrintedRow(Model):
    """One row of a printed table; ``estimators`` repeat the procedure of this row where it is not the paper's.

    A row about the corpus itself says in ``of_corpus`` how its columns are measured, by every run of ``system``, and
    has no number in the others.
    """

    label: str
    system: Name
    setting: str = ""
    estimators: dict[str, str] = Field(default_factory=dict)
    of_corpus: dict[str, PrintedQuantity] = Field(default_factory=dict)

    def lacks(self, column: str) -> bool:
        """Whether the row cannot have a number in a column."""
        return bool(self.of_corpus) and column not in self.of_corpus


class PrintedTable(Model):
    """One printed table: rows in the paper's order, columns = corpus x metric.

    ``quantities`` replace those of the paper, ``pairs`` the pairs that it compares; null pairs are the paper's.
    """

    id: Name
    printed: str
    title: str
    corpora: tuple[Name, ...]
    columns: tuple[str, ...]
    rows: tuple[PrintedRow, ...]
    quantities: dict[str, PrintedQuantity] = Field(default_factory=dict)
    pairs: tuple[Pair, ...] | None = None


class PrintedTexts(Model):
    """A printed table of texts instead of numbers: what these systems decode, side by side."""

    id: Name
    printed: str
    title: str
    corpora: tuple[Name, ...]
    systems: tuple[Name, ...]
    shows: str = Field(description="a kind of texts that a measure shows")


class PrintedFigure(Model):
    """A printed figure: curves over training, a panel each, histograms of posteriors, one for each system, or bars.

    ``bars`` name the quantities that stand side by side for each system, by what they are called. ``beside`` are
    systems drawn too that the print lacks.
    """

    id: Name
    printed: str
    title: str
    corpora: tuple[Name, ...]
    systems: tuple[Name, ...]
    beside: tuple[Name, ...] = ()
    panels: tuple[CurveName, ...] = ()
    histograms: tuple[HistogramName, ...] = ()
    bars: dict[str, QuantityField] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _draws(self) -> Self:
        if not (self.panels or self.histograms or self.bars):
            raise ValueError("name one of panels, histograms, bars")
        return self


class Printed(Model):
    """The content of a ``tables.yaml``.

    ``quantities`` say how each column is measured here, ``reference`` is the system that others are held against
    (null: that of the first row), ``pairs`` are the pairs of baseline and other system that the paper compares
    (null: each system and its coupled twin).
    """

    quantities: dict[str, PrintedQuantity]
    reference: Name | None = None
    pairs: tuple[Pair, ...] | None = None
    tables: tuple[PrintedTable, ...] = Field(min_length=1)
    texts: tuple[PrintedTexts, ...] = ()
    figures: tuple[PrintedFigure, ...] = ()

    def quantity(self, table: PrintedTable, column: str) -> PrintedQuantity | None:
        """How a column of a table is measured here."""
        return table.quantities.get(column) or self.quantities.get(column)
