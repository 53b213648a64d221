"""Questions that runs of several papers answer together: each is a page of the report, of differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, RootModel

from bench.base.errors import BenchError, unknown
from bench.base.settings import Model, Name
from bench.base.validation import read_yaml, validated
from bench.catalog.papers import Paper
from bench.catalog.quantities import Pair, QuantityField
from bench.catalog.systems import Systems

FILE = "questions.yaml"


def _alone(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class Compared(Model):
    """A column of differences: the second quantity, of the second system, minus the first of the first.

    ``printed`` is the column of the paper's tables that holds the first one, and the second where systems differ, or
    several, of which it is the sum. ``samples``: of how many samples the quantity is, where columns are the same
    quantity by ever fewer, so that their signs are compared: as many as were recorded with it, or one, which is what
    minus the ELBO is in expectation. ``of``: the systems whose pairs alone have these quantities (null: all).
    """

    label: str
    first: QuantityField
    second: QuantityField
    printed: Annotated[tuple[str, ...], BeforeValidator(_alone)] = ()
    samples: Literal["recorded", "one"] | None = None
    of: tuple[str, ...] | None = Field(None, min_length=1)


class Asked(Model):
    """What is asked of one paper: of which pairs, a system twice where two estimators of it are compared."""

    paper: Name
    pairs: tuple[Pair, ...] = Field(min_length=1)
    columns: tuple[Compared, ...] = Field(min_length=1)

    @property
    def systems(self) -> list[str]:
        """The systems that answer it, each once."""
        return list(dict.fromkeys(system for pair in self.pairs for system in pair))

    @property
    def compared(self) -> list[tuple[Pair, Compared]]:
        """Each pair with each column that its systems have."""
        every = ((pair, column) for pair in self.pairs for column in self.columns)
        return [(pair, column) for pair, column in every if column.of is None or set(pair) <= set(column.of)]


class Question(Model):
    """A question, how it is answered, and what a difference above or below zero says in its sentences."""

    title: str
    question: str
    method: str
    surer: str
    above: str
    below: str
    asked: tuple[Asked, ...] = Field(min_length=1)


class Questions(RootModel[dict[Name, Question]]):
    """The content of a ``questions.yaml``."""


def read_questions(
    folders: Sequence[Path], papers: Mapping[str, Paper], systems: Systems
) -> dict[str, Question]:
    """The questions of all catalog folders. Raises :class:`BenchError` for a name that is unknown or there twice."""
    found: dict[str, Question] = {}
    for path in (folder / FILE for folder in folders if (folder / FILE).exists()):
        for name, question in validated(Questions, read_yaml(path), path).root.items():
            if name in found:
                raise BenchError(f"two questions are named {name!r}", where=path, remedy="rename one of them")
            for asked in question.asked:
                _check(asked, f"{path}: {name}", papers, systems)
            found[name] = question
    return found


def _check(asked: Asked, where: str, papers: Mapping[str, Paper], systems: Systems) -> None:
    if asked.paper not in papers:
        raise unknown("paper", asked.paper, papers, where=where)
    known, printed = systems.known(asked.paper), {n.metric for n in papers[asked.paper].reported}
    for system in asked.systems:
        if system not in known:
            raise unknown("system", system, known, where=where)
    for column in asked.columns:
        for system in column.of or ():
            if system not in asked.systems:
                raise unknown("system of a column", system, asked.systems, where=where)
        if not any(column is one for _, one in asked.compared):
            raise BenchError(f"no pair has the column {column.label!r}", where=where, allowed=asked.systems)
        for name in column.printed:
            if name not in printed:
                raise unknown("printed column", name, sorted(printed), where=where)
