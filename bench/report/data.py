"""The measurements and verdicts of a report as two Parquet files, and the dictionary that explains their columns.

Columns are declared once, here: the files are written from these declarations and the dictionary prints them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow
from pyarrow import parquet

from bench.analysis.age import told
from bench.base.files import write_json, write_text, write_with
from bench.report.export import relative, rows_of
from bench.store.records import RunRecord

if TYPE_CHECKING:
    from bench.report.context import Material

FOLDER = Path("data")
MEASUREMENTS, CELLS = FOLDER / "measurements.parquet", FOLDER / "cells.parquet"
DICTIONARY = FOLDER / "dictionary.json"
TEXT, REAL, WHOLE, TRUTH = pyarrow.string(), pyarrow.float64(), pyarrow.int64(), pyarrow.bool_()
NAMES = {TEXT: "text", REAL: "number", WHOLE: "whole number", TRUTH: "true or false"}


@dataclass(frozen=True)
class Column:
    """One column: its type, what it holds, in which unit. Null stands for what is not known."""

    kind: Any
    about: str

    @property
    def name_of_kind(self) -> str:
        """The type in words."""
        if pyarrow.types.is_list(self.kind):
            return f"list of {NAMES[self.kind.value_type]}s"
        return NAMES[self.kind]


def _lists(kind: Any) -> Any:
    return pyarrow.list_(kind)


_RUN = {
    "origin": Column(
        TEXT,
        "own: a run of the user; published: a measurement kept in the repository; external: made by other code",
    ),
    "tier": Column(TEXT, "how much was spent: demo, quick or paper"),
    "paper": Column(TEXT, "whose protocol the run follows"),
    "corpus": Column(TEXT, "on which texts"),
    "system": Column(TEXT, "which model, by its name in the catalog"),
}
MEASURED: dict[str, Column] = {
    **_RUN,
    "seed": Column(WHOLE, "seed of the run"),
    "metric": Column(TEXT, "what was measured"),
    "part": Column(
        TEXT, "of which of several things, as one of several attributes; null where there is one thing"
    ),
    "estimator": Column(TEXT, "by which estimator"),
    "value": Column(REAL, "the measured value, not rounded; null where it was not finite"),
    "unit": Column(TEXT, "unit of value, standard_error, low, high and noise"),
    "validity": Column(
        TEXT, "what the estimator is worth: exact, consistent, upper bound, lower bound, not a bound"
    ),
    "bias": Column(TEXT, "in which direction the estimator errs, and when"),
    "better": Column(TEXT, "lower or higher, null where neither is better"),
    "split": Column(TEXT, "split of the corpus that was measured"),
    "texts": Column(WHOLE, "number of texts over which it was measured"),
    "samples": Column(WHOLE, "number of samples per text, null where none were drawn"),
    "standard_error": Column(REAL, "standard error over texts"),
    "low": Column(REAL, "lower end of the 95 % interval over texts"),
    "high": Column(REAL, "upper end of the 95 % interval over texts"),
    "noise": Column(REAL, "the largest difference between repeated runs, null where none was"),
    "main": Column(TRUTH, "whether this estimator stands for the metric by default"),
    "definition": Column(TEXT, "what the number is, in words"),
    "identity": Column(TEXT, "hash of all settings of the run"),
    "data_hash": Column(TEXT, "hash of the prepared corpus"),
    "code_version": Column(TEXT, "commit of the code that measured it"),
    "trained_by": Column(TEXT, "commit of the code that trained it"),
    "measure": Column(TEXT, "name of the measure"),
    "version": Column(WHOLE, "version of the measure"),
    "older": Column(TEXT, "of which parts and measures it has an older version; null where of none"),
    "device": Column(TEXT, "device that trained it"),
    "torch": Column(TEXT, "version of torch that trained it"),
    "steps": Column(WHOLE, "training steps"),
    "parameters": Column(WHOLE, "number of parameters"),
    "seconds": Column(REAL, "seconds of training, validation included"),
    "peak_memory_mb": Column(REAL, "peak memory of the training in MiB"),
    "file": Column(TEXT, "the file that holds it, below the results folder"),
}
COMPARED: dict[str, Column] = {
    "paper": Column(TEXT, "whose table it is"),
    "table": Column(TEXT, "name of the printed table"),
    "row": Column(WHOLE, "its row, from 0, in the order of the print"),
    "label": Column(TEXT, "the row's label as printed"),
    "setting": Column(TEXT, "the row's setting as printed"),
    "system": _RUN["system"],
    "corpus": _RUN["corpus"],
    "metric": Column(TEXT, "the column as printed"),
    "origin": _RUN["origin"],
    "tier": Column(TEXT, "how much was spent; empty where there is no run"),
    "measured": Column(REAL, "mean over seeds, in the unit of the print; null where nothing was measured"),
    "low": Column(REAL, "lower end of the 95 % interval"),
    "high": Column(REAL, "upper end of the 95 % interval"),
    "interval": Column(TEXT, "what the interval is: over seeds or over texts, and where it was cut"),
    "reported": Column(REAL, "the printed number; null where none was"),
    "difference": Column(REAL, "measured minus reported"),
    "verdict": Column(TEXT, "the verdict"),
    "reason": Column(TEXT, "why this verdict"),
    "unit": Column(TEXT, "unit of measured, reported and the interval"),
    "decimals": Column(WHOLE, "decimals of the print"),
    "estimator": Column(TEXT, "by which estimator it was measured"),
    "validity": MEASURED["validity"],
    "bias": MEASURED["bias"],
    "definition": MEASURED["definition"],
    "split": MEASURED["split"],
    "texts": MEASURED["texts"],
    "samples": MEASURED["samples"],
    "seeds": Column(_lists(WHOLE), "seeds that gave a number"),
    "values": Column(_lists(REAL), "the number of each of these seeds"),
    "failed_seeds": Column(_lists(WHOLE), "seeds whose run failed"),
    "planned": Column(WHOLE, "number of seeds planned"),
    "files": Column(_lists(TEXT), "the files that hold the numbers, below the results folder"),
    "note": Column(TEXT, "what is to be said of the printed number"),
    "bold": Column(TRUTH, "whether the paper set it in bold; null where the source lost the type"),
    "spread": Column(REAL, "what the paper printed after ±"),
    "n": Column(WHOLE, "the number of runs that the paper names"),
    "marks": Column(_lists(TEXT), "what the paper marks it with: previously-reported, exact, tie"),
    "better": MEASURED["better"],
    "noise": Column(REAL, "difference of repeated runs in the unit of the print; null where none was"),
    "noise_from": Column(TEXT, "how many repetitions it rests on, and on which devices"),
    "margin": Column(
        REAL, "how far a number may lie from the printed one and be the same; null where unknown"
    ),
    "margin_from": Column(TEXT, "where the margin comes from"),
    "seeds_needed": Column(WHOLE, "how many more seeds would decide; null where decided or where none would"),
    "older": Column(TEXT, "which seeds have older versions of parts or measures; empty where none"),
    "rounding": Column(
        REAL, "how far rounding can have moved the printed number; null: half a unit of its last decimal"
    ),
    "valid": Column(
        REAL, "where the estimator is no bound: the same by a valid one, mean over seeds; null elsewhere"
    ),
    "valid_low": Column(REAL, "lower end of its 95 % interval over texts, of one seed"),
    "valid_high": Column(REAL, "upper end of that interval"),
    "valid_by": Column(TEXT, "by which estimator; empty where there is none"),
}


def write_data(material: Material, folder: Path) -> None:
    """Write both files and their dictionary below ``folder``."""
    _write(list(measured(material)), MEASURED, folder / MEASUREMENTS)
    _write(list(compared(material)), COMPARED, folder / CELLS)
    write_json(folder / DICTIONARY, dictionary())
    write_text((folder / DICTIONARY).with_suffix(".md"), readable(dictionary()))


def measured(material: Material) -> Iterator[dict[str, Any]]:
    """Every measurement of every run, one row each."""
    for run in material.records.runs:
        shared = _of_run(material, run)
        for m in run.measurements:
            floor = material.noise.of(run.parts[:3], m.name, m.estimator)
            row = {key: getattr(m, key) for key in MEASURED if hasattr(m, key)}
            yield shared | row | {"noise": floor.value if floor else None}


def _of_run(material: Material, run: RunRecord) -> dict[str, Any]:
    tier, paper, corpus, system, seed = run.parts
    where: Mapping[str, Any] = run.run.get("provenance") or {}
    by: Mapping[str, Any] = run.evaluation.get("provenance") or {}
    cost: Mapping[str, Any] = run.run.get("cost") or {}
    return {
        **{"origin": run.origin, "tier": tier, "paper": paper, "corpus": corpus, "system": system},
        "seed": seed,
        "identity": run.evaluation.get("identity"),
        "data_hash": run.run.get("data_hash"),
        "code_version": by.get("code_version"),
        "trained_by": where.get("code_version"),
        "older": told(run) or None,
        "device": where.get("device"),
        "torch": where.get("torch"),
        "steps": run.run.get("steps"),
        "parameters": (run.run.get("parameters") or {}).get("total"),
        "seconds": cost.get("seconds"),
        "peak_memory_mb": cost.get("peak_memory_mb"),
        "file": relative(run.folder / "measurements.json", material.results),
    }


def compared(material: Material) -> Iterator[dict[str, Any]]:
    """Every cell of every table, on the printed corpora and on others."""
    for paper, cells in material.all_cells:
        yield from ({"paper": paper} | row for row in rows_of(cells, material.results))


def _write(rows: list[dict[str, Any]], columns: Mapping[str, Column], path: Path) -> None:
    schema = pyarrow.schema([(name, column.kind) for name, column in columns.items()])
    table = pyarrow.Table.from_pylist([{name: row[name] for name in columns} for row in rows], schema=schema)
    write_with(path, lambda part: parquet.write_table(table, part))


def dictionary() -> dict[str, list[dict[str, str]]]:
    """The columns of both files, in their order."""
    files = {MEASUREMENTS.name: MEASURED, CELLS.name: COMPARED}
    return {
        file: [{"column": name, "type": c.name_of_kind, "about": c.about} for name, c in columns.items()]
        for file, columns in files.items()
    }


def readable(found: Mapping[str, list[dict[str, str]]]) -> str:
    """The dictionary as Markdown."""
    lines = [
        "# Data dictionary",
        "",
        "Null stands for what is not known or does not apply; nothing is rounded.",
    ]
    for file, columns in found.items():
        lines += ["", f"## {file}", "", "| column | type | what it holds |", "|---|---|---|"]
        lines += [f"| `{c['column']}` | {c['type']} | {c['about']} |" for c in columns]
    return "\n".join([*lines, ""])


def read_data(report: Path, file: Path) -> list[dict[str, Any]]:
    """The rows of one of the files of a report; nulls, and columns that an older report lacks, are None."""
    columns = MEASURED if file == MEASUREMENTS else COMPARED
    rows = parquet.read_table(report / file).to_pylist()
    return [{name: row.get(name) for name in columns} for row in rows]
