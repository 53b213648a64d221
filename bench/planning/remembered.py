"""What the workflow was asked for last in a results folder, so that ``bench status`` can say what is left of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bench.base.errors import BenchError
from bench.base.files import read_json, write_json
from bench.base.validation import validated
from bench.catalog.catalog import Catalog
from bench.planning.plan import Plan, Request, make_plan

FILE = ".latent-text-bench-plan"  # a name of our own: a results folder may hold notes of its user


class Remembered(NamedTuple):
    """The runs that were asked for, and on which device."""

    plan: Plan
    device: str


def remember(results: Path, requests: Sequence[Request], device: str) -> None:
    """Leave what is asked for in the results folder, which is ours."""
    asked = [request.model_dump(mode="json", exclude_none=True) for request in requests]
    write_json(results / FILE, {"requests": asked, "device": device})


def remembered(results: Path, catalog: Catalog) -> Remembered | None:
    """What was asked for last; None where nothing was, or where it cannot be asked for today."""
    try:
        content = read_json(results / FILE)
        requests = [validated(Request, one, results / FILE) for one in content["requests"]]
        plans = [make_plan(catalog, request) for request in requests]
    except (BenchError, KeyError, TypeError):
        return None
    runs = {name: run for plan in plans for name, run in plan.runs.items()}
    return Remembered(Plan(requests[0], runs), str(content["device"])) if requests else None
