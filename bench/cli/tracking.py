"""``bench track``: curves and measurements of runs as the files of a tracker, TensorBoard's."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas

from bench.base.errors import BenchError
from bench.base.outputs import TRACKED, renewing
from bench.base.run_names import run_names
from bench.cli.results import find_run
from bench.store.records import RunRecord

CURVES = ("training", "validation")
Scalar = tuple[str, int, float]  # name, step, value


def track(results: Path, names: Sequence[str], out: Path) -> list[str]:
    """Write a folder of event files for each run, all measured ones without ``names``; the names of those written.

    They replace what an earlier call wrote there. Raises :class:`BenchError` where TensorBoard is not installed,
    for a run that is not measured, and for a folder that is not ours.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        remedy = "python -m pip install tensorboard, in the environment of this project"
        raise BenchError("TensorBoard is not installed", remedy=remedy) from error
    runs = [find_run(results, name) for name in names or _measured(results)]
    if not runs:
        raise BenchError(
            "no run has been measured", where=results, remedy="first: bench train, bench evaluate"
        )
    with renewing(out, TRACKED) as folder:
        for run in runs:
            with SummaryWriter(str(folder / run.name)) as writer:
                for name, step, value in scalars(run):
                    writer.add_scalar(name, value, step)
    return [run.name for run in runs]


def _measured(results: Path) -> list[str]:
    root = results / "runs"
    return [name for name in run_names(root) if (root / name / "measurements.json").exists()]


def scalars(run: RunRecord) -> Iterator[Scalar]:
    """What was logged at each step, and at the last step what was measured, with the estimator in its name."""
    for curves in CURVES:
        table = run.tables.get(f"{curves}.parquet")
        for row in [] if table is None else _rows(table):
            step = int(row.pop("step"))
            yield from ((f"{curves}/{name}", step, float(v)) for name, v in row.items() if _is_number(v))
    last = int(run.run.get("steps") or 0)
    for one in run.measurements:
        if one.value is not None:
            yield f"{one.split}/{one.name} ({one.estimator})", last, one.value


def _rows(table: pandas.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
