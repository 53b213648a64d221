"""What the report reads of a run's files, as typed objects; a file of another form is damaged and named in the error.

Only what is read is declared. A key may be absent (older runs have fewer), but none may be of another kind, and no
number may be infinite or not a number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from bench.base.upgrade import upgraded_record
from bench.store.seal import seal_fault

ROUNDING = 1e-6  # relative: how far a value may lie beside an end of its interval for want of digits
TOLD = 3  # faults of one file that are named
FILLED: dict[str, tuple[str, ...]] = {
    "training.parquet": ("step",),
    "validation.parquet": ("step",),
    "sentences.parquet": ("index", "words"),
}


class Document(BaseModel):
    """A part of a file: strict about kinds, silent about keys that the report does not read."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)


class Measurement(BaseModel):
    """One number of ``measurements.json`` with all that is needed to judge it."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    measure: str = ""
    version: int = 1
    metric: str
    part: str | None = None
    estimator: str
    value: float | None
    unit: str
    validity: str
    bias: str | None = None
    better: Literal["lower", "higher"] | None = None
    split: str
    texts: int | None = None
    samples: int | None = None
    standard_error: float | None = None
    low: float | None = None
    high: float | None = None
    column: str | None = None
    definition: str
    main: bool

    @property
    def name(self) -> str:
        """The metric, with the part behind a colon where there is one."""
        return f"{self.metric}:{self.part}" if self.part else self.metric


def measurements_of(evaluation: Mapping[str, Any]) -> tuple[list[Measurement], str]:
    """The numbers of a ``measurements.json``; none, with the reason, where it is not what an evaluation wrote."""
    if fault := seal_fault(evaluation):
        return [], fault
    try:
        return [Measurement.model_validate(m) for m in upgraded_record(evaluation)["measurements"]], ""
    except ValidationError as error:
        return [], reasons(error)


def outside(measurements: Iterable[Measurement]) -> list[str]:
    """Values that lie outside their own intervals, each in words."""
    return [
        f"{one.name} ({one.estimator}) is {one.value:g}, outside its own interval [{one.low:g}, {one.high:g}]"
        for one in measurements
        if one.value is not None and one.low is not None and one.high is not None
        if not one.low - ROUNDING * abs(one.low) <= one.value <= one.high + ROUNDING * abs(one.high)
    ]


class _Accumulation(Document):
    parts: int
    reason: str
    from_step: int


class _Provenance(Document):
    code_version: str | None = None
    dirty: bool | None = None
    python: str | None = None
    torch: str | None = None
    packages: dict[str, str | None] | None = None
    device: str | None = None
    threads: int | None = None
    precision: str | None = None
    accumulation: _Accumulation | None = None
    started: str | None = None
    finished: str | None = None


class _Best(Document):
    step: int
    criterion: str
    value: float


class _Cost(Document):
    seconds: float | None = None
    validation_seconds: float | None = None
    processor_seconds: float | None = None
    peak_memory_mb: float | None = None
    tokens_per_second: float | None = None
    attempts: int | None = None


class RunDocument(Document):
    """``run.json``."""

    identity: str | None = None
    versions: dict[str, int] | None = None
    data_hash: str | None = None
    state: str | None = None
    reason: str | None = None
    steps: int | None = None
    best: _Best | None = None
    parameters: dict[str, int] | None = None
    cost: _Cost | None = None
    provenance: _Provenance | None = None
    files: dict[str, str] | None = None


class MeasurementsDocument(Document):
    """``measurements.json``."""

    identity: str | None = None
    versions: dict[str, int] | None = None
    measures: dict[str, Any] | None = None
    weights_sha256: str | None = None
    seconds: float | None = None
    provenance: _Provenance | None = None
    files: dict[str, str] | None = None
    measurements: list[dict[str, Any]]


class _Histogram(Document):
    edges: list[float]
    counts: list[int]
    above: int | None = None

    @model_validator(mode="after")
    def _one_more_edge(self) -> _Histogram:
        if len(self.edges) != len(self.counts) + 1:
            raise ValueError("one edge more than counts is needed")
        return self


class _Plane(Document):
    edges: list[float]
    counts: list[list[int]]
    centers: list[list[float]]
    deviations: list[list[float]]
    outside: float


class Histograms(Document):
    """``histograms.json``."""

    sigma: _Histogram | None = None
    plane: _Plane | None = None
    units: dict[str, list[float]] | None = None


CONTENTS: dict[str, type[Document]] = {
    "run.json": RunDocument,
    "measurements.json": MeasurementsDocument,
    "histograms.json": Histograms,
}


def document_fault(name: str, value: Mapping[str, Any]) -> str:
    """Why the content of a file is not what the report reads, or nothing."""
    try:
        if name in CONTENTS:
            CONTENTS[name].model_validate(value)
    except ValidationError as error:
        return reasons(error)
    return ""


def reasons(error: ValidationError) -> str:
    """The first faults of a content, each with its place."""
    found = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}".removeprefix(": ") for e in error.errors()]
    more = f" and {len(found) - TOLD} more" if len(found) > TOLD else ""
    return f"not as expected: {'; '.join(found[:TOLD])}{more}"


def table_fault(name: str, table: pandas.DataFrame, measurements: Sequence[Measurement] = ()) -> str:
    """Why a table is not what the report reads, or nothing: the columns that it needs, and numbers alone.

    A run that diverged before it was first validated has a table without rows and columns. Of
    ``sentences.parquet`` each column holds a number for each of the texts over which it was averaged.
    """
    return next(_table_faults(name, table, measurements), "")


def _table_faults(name: str, table: pandas.DataFrame, measurements: Sequence[Measurement]) -> Iterator[str]:
    if not len(table.columns) and name != "sentences.parquet":
        return
    for column in FILLED[name]:
        if column not in table:
            yield f"without the column {column}"
        elif not pandas.api.types.is_integer_dtype(table[column].dtype) or table[column].isna().any():
            yield f"the column {column} does not hold whole numbers alone"
    for name_of, values in table.items():
        if values.notna().any() and not pandas.api.types.is_numeric_dtype(values.dtype):
            yield f"the column {name_of} does not hold numbers"
    if name != "sentences.parquet":
        return
    if not table["index"].is_unique:
        yield "a text is there twice"
    for measured in measurements:
        if measured.column is None or measured.texts is None:
            continue
        if measured.column not in table:
            yield f"without the column {measured.column}, which {measured.name} is the mean of"
        elif (texts := int(np.isfinite(table[measured.column]).sum())) != measured.texts:
            yield f"{measured.column} of {texts} texts, but {measured.name} was measured on {measured.texts}"
