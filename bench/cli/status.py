"""``bench status``: what trains and what is measured now, what failed, and what is left of what was asked for."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.base.errors import BenchError
from bench.base.files import read_json
from bench.base.times import span
from bench.catalog.catalog import Catalog
from bench.planning.remembered import remembered
from bench.planning.resolve import find_run
from bench.planning.summary import recorded_summary
from bench.store.freshness import goes_on
from bench.store.seal import is_sealed

SILENT = 300  # seconds without news after which a training is presumed dead; it reports every few seconds
SILENT_MEASURE = 3600  # an evaluation reports before each measure, of which one may take long


def progress(results: Path, catalog: Catalog, settings: Mapping[str, Any]) -> Iterator[list[str]]:
    """Runs that are not finished: name, state, how far they are.

    The catalog and the overrides of ``settings`` say what the same command would train now.
    """
    of_evaluations = (results / "runs").glob("*/*/*/*/seed*/status.json")  # in progress, or failed
    for path in (*sorted((results / "state").glob("*/status.json")), *sorted(of_evaluations)):
        try:
            status = read_json(path)
            quiet = time.time() - path.stat().st_mtime
            if status["state"] == "evaluating":
                yield [status["name"], *_measured(status, quiet)]
                continue
            failed = status["state"] == "failed"
            now = "" if failed else _next(catalog, settings, results, path.parent, status)
            yield [status["name"], *_stand(status, quiet, now)]
        except FileNotFoundError:  # it has finished since it was listed
            continue
        except (BenchError, KeyError, TypeError) as error:
            if path.exists():
                yield [str(path), "damaged", getattr(error, "what", repr(error))]


def _next(
    catalog: Catalog, settings: Mapping[str, Any], results: Path, folder: Path, status: dict[str, Any]
) -> str:
    """What becomes of an unfinished training when its command is given again."""
    try:
        run = find_run(catalog, str(status["name"]), settings)
    except BenchError as error:
        return error.what
    if goes_on(run, results, folder, status):
        return "the same command goes on from there"
    return f"of other settings, data or code: the same command begins with the first step ({folder} can be deleted)"


def _stand(status: dict[str, Any], quiet: float, now: str) -> tuple[str, str]:
    """(state, how far) of one ``status.json`` that was written ``quiet`` seconds ago; what is to come ``now``."""
    if status["state"] == "failed":
        return "failed", str(status["reason"])
    step, steps = status["step"], status["steps"]
    done = f"step {step:,} of {steps:,} ({step / steps:.0%})"
    if status["state"] == "stopped":
        return "stopped", f"{done}; {now}"
    if quiet > SILENT:
        return "silent", f"{done}, nothing heard for {span(quiet)}; {now}"
    return "running", f"{done}, {_left(step, steps, status['seconds'], quiet)}"


def _left(step: int, steps: int, seconds: float, quiet: float) -> str:
    """The speed and the time left, once a step was made."""
    if step == 0 or seconds <= 0:
        return f"preparing since {span(quiet)}"
    left = max((steps - step) * seconds / step - quiet, 0.0)
    return f"{step / seconds:.2g} steps/s, about {span(left)} left"


def _measured(status: dict[str, Any], quiet: float) -> tuple[str, str]:
    """The same of an evaluation in progress, which says so before each measure."""
    far = f"{status['measure']} ({status['done'] + 1} of {status['of']} measures)"
    if quiet > SILENT_MEASURE:
        return "silent", f"measuring {far}, nothing heard for {span(quiet)}; the same command measures again"
    return "measuring", f"{far}, since {span(time.time() - status['began'])}"


def counts(results: Path) -> str:
    """How many runs are finished, in a sentence."""
    folders = {path.parent for path in (results / "runs").glob("*/*/*/*/seed*/run.json")}
    records = [folder / "measurements.json" for folder in folders if (folder / "measurements.json").exists()]
    waiting, unsealed = len(folders) - len(records), sum(map(_unsealed, records))
    return (
        f"{len(records)} trained and measured"
        + (f" ({unsealed} unsealed: their records carry no digest)" if unsealed else "")
        + (f", {waiting} trained but not measured" if waiting else "")
    )


def _unsealed(path: Path) -> bool:
    try:
        return not is_sealed(read_json(path))
    except (BenchError, TypeError):
        return False  # damaged, which the report tells


def left(results: Path, catalog: Catalog) -> str:
    """What is left of what the workflow was asked for last, in a sentence; empty where that is not known."""
    if (asked := remembered(results, catalog)) is None:
        return ""
    return f"Asked for last: {recorded_summary(catalog, asked.plan, results, asked.device)}"
