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
class DataColumn:
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
    "origin": DataColumn(
        TEXT,
        "own: a run of the user; published: a measurement kept in the repository; external: made by other code",
    ),
    "tier": DataColumn(TEXT, "how much was spent: demo, quick or paper"),
    "paper": DataColumn(TEXT, "whose protocol the run follows"),
    "corpus": DataColumn(TEXT, "on which texts"),
    "system": DataColumn(TEXT, "which model, by its name in the catalog"),
}
MEASURED: dict[str, DataColumn] = {
    **_RUN,
    "seed": DataColumn(WHOLE, "seed of the run"),
    "metric": DataColumn(TEXT, "what was measured"),
    "part": DataColumn(
        TEXT, "of which of several things, as one of several attributes; null where there is one thing"
    ),
    "estimator": DataColumn(TEXT, "by which estimator"),
    "value": DataColumn(REAL, "the measured value, not rounded; null where it was not finite"),
    "unit": DataColumn(TEXT, "unit of value, standard_error, low, high and noise"),
    "validity": DataColumn(
        TEXT, "what the estimator is worth: exact, consistent, upper bound, lower bound, not a bound"
    ),
    "bias": DataColumn(TEXT, "in which direction the estimator errs, and when"),
    "better": DataColumn(TEXT, "lower or higher, null where neither is better"),
    "split": DataColumn(TEXT, "split of the corpus that was measured"),
    "texts": DataColumn(WHOLE, "number of texts over which it was measured"),
    "samples": DataColumn(WHOLE, "number of samples per text, null where none were drawn"),
    "standard_error": DataColumn(REAL, "standard error over texts"),
    "low": DataColumn(REAL, "lower end of the 95 % interval over texts"),
    "high": DataColumn(REAL, "upper end of the 95 % interval over texts"),
    "noise": DataColumn(REAL, "the largest difference between repeated runs, null where none was"),
    "main": DataColumn(TRUTH, "whether this estimator stands for the metric by default"),
    "definition": DataColumn(TEXT, "what the number is, in words"),
    "identity": DataColumn(TEXT, "hash of all settings of the run"),
    "data_hash": DataColumn(TEXT, "hash of the prepared corpus"),
    "code_version": DataColumn(TEXT, "commit of the code that measured it"),
    "trained_by": DataColumn(TEXT, "commit of the code that trained it"),
    "measure": DataColumn(TEXT, "name of the measure"),
    "version": DataColumn(WHOLE, "version of the measure"),
    "older": DataColumn(TEXT, "of which parts and measures it has an older version; null where of none"),
    "device": DataColumn(TEXT, "device that trained it"),
    "torch": DataColumn(TEXT, "version of torch that trained it"),
    "steps": DataColumn(WHOLE, "training steps"),
    "parameters": DataColumn(WHOLE, "number of parameters"),
    "seconds": DataColumn(REAL, "seconds of training, validation included"),
    "peak_memory_mb": DataColumn(REAL, "peak memory of the training in MiB"),
    "file": DataColumn(TEXT, "the file that holds it, below the results folder"),
}
COMPARED: dict[str, DataColumn] = {
    "paper": DataColumn(TEXT, "whose table it is"),
    "table": DataColumn(TEXT, "name of the printed table"),
    "row": DataColumn(WHOLE, "its row, from 0, in the order of the print"),
    "label": DataColumn(TEXT, "the row's label as printed"),
    "setting": DataColumn(TEXT, "the row's setting as printed"),
    "system": _RUN["system"],
    "corpus": _RUN["corpus"],
    "metric": DataColumn(TEXT, "the column as printed"),
    "origin": _RUN["origin"],
    "tier": DataColumn(TEXT, "how much was spent; empty where there is no run"),
    "measured": DataColumn(
        REAL, "mean over seeds, in the unit of the print; null where nothing was measured"
    ),
    "low": DataColumn(REAL, "lower end of the 95 % interval"),
    "high": DataColumn(REAL, "upper end of the 95 % interval"),
    "interval": DataColumn(TEXT, "what the interval is: over seeds or over texts, and where it was cut"),
    "reported": DataColumn(REAL, "the printed number; null where none was"),
    "difference": DataColumn(REAL, "measured minus reported"),
    "verdict": DataColumn(TEXT, "the verdict"),
    "reason": DataColumn(TEXT, "why this verdict"),
    "unit": DataColumn(TEXT, "unit of measured, reported and the interval"),
    "decimals": DataColumn(WHOLE, "decimals of the print"),
    "estimator": DataColumn(TEXT, "by which estimator it was measured"),
    "validity": MEASURED["validity"],
    "bias": MEASURED["bias"],
    "definition": MEASURED["definition"],
    "split": MEASURED["split"],
    "texts": MEASURED["texts"],
    "samples": MEASURED["samples"],
    "seeds": DataColumn(_lists(WHOLE), "seeds that gave a number"),
    "values": DataColumn(_lists(REAL), "the number of each of these seeds"),
    "failed_seeds": DataColumn(_lists(WHOLE), "seeds whose run failed"),
    "planned": DataColumn(WHOLE, "number of seeds planned"),
    "files": DataColumn(_lists(TEXT), "the files that hold the numbers, below the results folder"),
    "note": DataColumn(TEXT, "what is to be said of the printed number"),
    "bold": DataColumn(TRUTH, "whether the paper set it in bold; null where the source lost the type"),
    "spread": DataColumn(REAL, "what the paper printed after ±"),
    "n": DataColumn(WHOLE, "the number of runs that the paper names"),
    "marks": DataColumn(_lists(TEXT), "what the paper marks it with: previously-reported, exact, tie"),
    "better": MEASURED["better"],
    "noise": DataColumn(REAL, "difference of repeated runs in the unit of the print; null where none was"),
    "noise_from": DataColumn(TEXT, "how many repetitions it rests on, and on which devices"),
    "margin": DataColumn(
        REAL, "how far a number may lie from the printed one and be the same; null where unknown"
    ),
    "margin_from": DataColumn(TEXT, "where the margin comes from"),
    "seeds_needed": DataColumn(
        WHOLE, "how many more seeds would decide; null where decided or where none would"
    ),
    "older": DataColumn(TEXT, "which seeds have older versions of parts or measures; empty where none"),
    "rounding": DataColumn(
        REAL, "how far rounding can have moved the printed number; null: half a unit of its last decimal"
    ),
    "valid": DataColumn(
        REAL, "where the estimator is no bound: the same by a valid one, mean over seeds; null elsewhere"
    ),
    "valid_low": DataColumn(REAL, "lower end of its 95 % interval over texts, of one seed"),
    "valid_high": DataColumn(REAL, "upper end of that interval"),
    "valid_by": DataColumn(TEXT, "by which estimator; empty where there is none"),
    "counted": DataColumn(
        TEXT, "what the texts are that it was counted over; empty where nothing was measured"
    ),
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


def _write(rows: list[dict[str, Any]], columns: Mapping[str, DataColumn], path: Path) -> None:
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
