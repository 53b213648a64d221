"""``bench status``: runs in progress and failed, and how many are finished."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.base.errors import BenchError
from bench.base.files import read_json
from bench.base.times import span
from bench.catalog.catalog import Catalog
from bench.planning.resolve import find_run
from bench.store.freshness import goes_on

SILENT = 300  # seconds without news after which a training is presumed dead; it reports each minute


def progress(results: Path, catalog: Catalog, settings: Mapping[str, Any]) -> Iterator[list[str]]:
    """Runs that are not finished: name, state, how far they are.

    The catalog and the overrides of ``settings`` say what the same command would train now.
    """
    of_evaluations = (results / "runs").glob("*/*/*/*/seed*/status.json")  # left by those that failed
    for path in (*sorted((results / "state").glob("*/status.json")), *sorted(of_evaluations)):
        try:
            status = read_json(path)
            now = (
                "" if status["state"] == "failed" else _next(catalog, settings, results, path.parent, status)
            )
            yield [status["name"], *_stand(status, time.time() - path.stat().st_mtime, now)]
        except (BenchError, KeyError, TypeError) as error:
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
    return "running", f"{done}, about {span((steps - step) * status['seconds'] / max(step, 1))} left"


def counts(results: Path) -> str:
    """How many runs are finished, in a sentence."""
    folders = {path.parent for path in (results / "runs").glob("*/*/*/*/seed*/run.json")}
    measured = sum((folder / "measurements.json").exists() for folder in folders)
    waiting = len(folders) - measured
    return f"{measured} trained and measured" + (f", {waiting} trained but not measured" if waiting else "")
