"""Texts that are shown of a run: one type for samples, reconstructions and whatever else a measure shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

# What a column holds: numbers or names that tell the rows apart; sentences of the corpus, which are not ours to
# publish; texts that the model decoded.
Role = Literal["key", "corpus", "decoded"]
Cell = str | int | float | None  # a sentence of the corpus that is not published is None


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)


class ShownColumn(_Strict):
    """A column of shown texts."""

    name: str
    role: Role


class Shown(_Strict):
    """Shown texts of one kind: a table of sentences of the corpus and of texts that the model decoded."""

    kind: str
    columns: list[ShownColumn]
    rows: list[list[Cell]]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for number, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise ValueError(f"rows.{number} has {len(row)} cells for {len(self.columns)} columns")
            for column, cell in zip(self.columns, row, strict=True):
                withheld = cell is None and column.role == "corpus"
                if column.role != "key" and not isinstance(cell, str) and not withheld:
                    raise ValueError(f"rows.{number}: {column.name} is no text")
        return self

    def names(self, role: Role) -> list[str]:
        """The names of the columns of a role."""
        return [column.name for column in self.columns if column.role == role]

    def cells(self, row: Sequence[Cell], role: Role) -> list[Cell]:
        """The cells of a row in the columns of a role."""
        return [cell for column, cell in zip(self.columns, row, strict=True) if column.role == role]

    def without_corpus(self) -> Shown:
        """The same texts without the sentences of the corpus."""
        kept = [
            [
                None if column.role == "corpus" else cell
                for column, cell in zip(self.columns, row, strict=True)
            ]
            for row in self.rows
        ]
        return self.model_copy(update={"rows": kept})


_ALL = TypeAdapter(list[Shown])


def read_shown(value: Any) -> list[Shown]:
    """The content of a ``texts.json``, of any version. Raises pydantic's ValidationError for a damaged one."""
    return (
        _upgraded(_Former.model_validate(value)) if isinstance(value, dict) else _ALL.validate_python(value)
    )


class _Reconstruction(_Strict):
    index: int
    input: str | None
    center: str
    outputs: list[str]


class _Path(_Strict):
    start: str | None = Field(alias="from")
    to: str | None
    steps: list[str]


class _Traversal(_Strict):
    start: str | None = Field(alias="from")
    dimension: int
    step: float
    shifts: list[float]
    steps: list[str]


class _Former(_Strict):
    """``texts.json`` as it was: an object with a list for each of four kinds."""

    samples: list[str]
    reconstructions: list[_Reconstruction]
    interpolations: list[_Path]
    traversals: list[_Traversal] = []  # the oldest runs have none


def _upgraded(former: _Former) -> list[Shown]:
    found = [
        _shown("samples", (), (), ["text"], [[text] for text in former.samples]),
        *_reconstructions(former.reconstructions),
        *_interpolations(former.interpolations),
        *_traversals(former.traversals),
    ]
    return [one for one in found if one.rows]


def _reconstructions(found: list[_Reconstruction]) -> list[Shown]:
    samples = min((len(one.outputs) for one in found), default=0)
    rows = [[one.index, one.input, one.center, *one.outputs[:samples]] for one in found]
    decoded = ["centre", *(f"sample {i + 1}" for i in range(samples))]
    return [_shown("reconstructions", ["index"], ["input"], decoded, rows)]


def _interpolations(found: list[_Path]) -> list[Shown]:
    steps = min((len(one.steps) for one in found), default=0)
    shares = [f"{step / max(steps - 1, 1):.2f}" for step in range(steps)]
    rows = [[one.start, one.to, *one.steps[:steps]] for one in found]
    return [_shown("interpolations", (), ["from", "to"], shares, rows)]


def _traversals(found: list[_Traversal]) -> list[Shown]:
    if not found:
        return []
    shifts = [f"{shift:.0f}" for shift in found[0].shifts]
    rows: list[list[Any]] = [[one.start, one.dimension, one.step, *one.steps[: len(shifts)]] for one in found]
    columns = [
        ShownColumn(name="from", role="corpus"),
        *(ShownColumn(name=name, role="key") for name in ("dimension", "step")),
        *(ShownColumn(name=name, role="decoded") for name in shifts),
    ]
    return [Shown(kind="traversals", columns=columns, rows=rows)]


def _shown(
    kind: str, keys: Sequence[str], corpus: Sequence[str], decoded: Sequence[str], rows: list[list[Any]]
) -> Shown:
    roles: list[tuple[Role, Sequence[str]]] = [("key", keys), ("corpus", corpus), ("decoded", decoded)]
    columns = [ShownColumn(name=name, role=role) for role, names in roles for name in names]
    return Shown(kind=kind, columns=columns, rows=rows)
