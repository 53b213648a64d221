"""Numbers that other code made, beside ours: a ``measurements.json`` written by hand for each run.

It lies below ``<results>/external/CODE/PAPER/CORPUS/SYSTEM/seedK/``, where CODE is a name for the code that made the
numbers. They are shown as external: never judged against a paper, part of no claim and of no interval of ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from bench.base.errors import BenchError, unknown
from bench.base.files import read_json
from bench.base.run_names import EXTERNAL, external_files, run_names
from bench.base.settings import RunSettings
from bench.base.validation import validated
from bench.catalog.catalog import Catalog
from bench.metrics.definitions import Definition, base
from bench.metrics.measures import definitions
from bench.store.records import Records, RunRecord, load_records
from bench.store.texts import Measurement, outside

FILE = "measurements.json"
PLACE = f"{EXTERNAL}/CODE/PAPER/CORPUS/SYSTEM/seedK/{FILE}"


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class ExternalNumber(_Strict):
    """One number: unit and meaning are those of this project's metric and estimator of the same names."""

    metric: str
    estimator: str
    value: float
    part: str | None = None
    low: float | None = None
    high: float | None = None
    split: str = "test"
    texts: int | None = None
    samples: int | None = None


class ExternalFile(_Strict):
    """A ``measurements.json`` by hand. ``made_by``: the code with its version, for a reader to find."""

    made_by: str = Field(min_length=1)
    note: str = ""
    measurements: tuple[ExternalNumber, ...] = Field(min_length=1, strict=False)


def all_records(catalog: Catalog, results: Path, planned: Mapping[str, RunSettings]) -> Records:
    """What :func:`load_records` finds, and the external runs; a file that cannot be used is a fault."""
    records = load_records(results, planned)
    runs, faults = list(records.runs), list(records.faults)
    names = run_names(results / EXTERNAL)
    for path in external_files(results):
        place = path.relative_to(results / EXTERNAL)
        if place.name != FILE or place.parent.as_posix() not in names:
            faults.append(f"{EXTERNAL}/{place.as_posix()}: not read, it is no {PLACE}")
    for name in names:
        folder = results / EXTERNAL / name
        try:
            run = _external(catalog, folder, name)
        except BenchError as error:
            found = [_line(error)]
        else:
            found = outside(run.measurements)
            runs.append(run)
        faults += [f"{EXTERNAL}/{name}/{FILE}: {fault}" for fault in found]
    return replace(records, runs=runs, faults=faults)


def _line(error: BenchError) -> str:
    """An error in one line, without the file."""
    allowed = f"allowed: {', '.join(error.allowed)}" if error.allowed else None
    return "; ".join(filter(None, (error.what, allowed, error.remedy)))


def _external(catalog: Catalog, folder: Path, name: str) -> RunRecord:
    """One external run. Raises :class:`BenchError` for a file that cannot be used, and for unknown names."""
    run = RunRecord(name, "external", folder, None, state="finished")
    _, paper, corpus, system, _ = run.parts
    catalog.system(paper, system)
    catalog.corpus(corpus)
    written = validated(ExternalFile, read_json(folder / FILE), folder / FILE)
    run.measurements = _measurements(written.measurements)
    run.evaluation = {"made_by": written.made_by, "note": written.note}
    return run


def _measurements(numbers: Sequence[ExternalNumber]) -> list[Measurement]:
    """The numbers with what our definitions say of them; the first of a metric stands for it."""
    found: list[Measurement] = []
    for number in numbers:
        defined = _defined(number)
        names = {(m.metric, m.part) for m in found}
        found.append(
            Measurement(
                **number.model_dump(),
                unit=defined.unit,
                validity=defined.validity,
                bias=defined.bias,
                better=defined.better,
                definition=defined.definition,
                main=(number.metric, number.part) not in names,
            )
        )
    return found


def _defined(number: ExternalNumber) -> Definition:
    """Our definition of a number. Raises :class:`BenchError` with the nearest name where there is none."""
    known = definitions()
    metrics = sorted({metric for metric, _ in known})
    if number.metric not in metrics:
        raise unknown("metric", number.metric, metrics)
    estimator = base(number.estimator)
    if (number.metric, estimator) not in known:
        of_metric = [name for metric, name in known if metric == number.metric]
        raise unknown(f"estimator of {number.metric}", estimator, of_metric)
    return known[number.metric, estimator]
