"""What the commands that look around print: tables on a terminal, lines with tabs in a pipe."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.base.errors import BenchError
from bench.base.files import read_json
from bench.base.registry import Registered, registry
from bench.base.run_names import parse_name
from bench.catalog.catalog import Catalog
from bench.catalog.systems import SHARED, System
from bench.cli.console import span
from bench.planning.plan import Plan, with_starts
from bench.planning.resolve import find_run
from bench.store.costs import Cost, Records, recorded_cost
from bench.store.freshness import goes_on, standing

SILENT = 300  # seconds without news after which a training is presumed dead; it reports each minute


def declared(catalog: Catalog, what: str) -> Iterator[tuple[str, str, str]]:
    """(name, title, what it is) of everything declared of one kind."""
    if what == "systems":
        yield from _systems(catalog)
    elif what == "corpora":
        yield from ((name, c.title, c.about) for name, c in sorted(catalog.corpora.items()))
    elif what == "papers":
        yield from ((name, f"{p.short} ({p.venue} {p.year})", p.title) for name, p in catalog.papers.items())
    elif what == "tiers":
        yield from ((name, "", t.about) for name, t in catalog.tiers.tiers.items())
    else:
        for choice, kinds in registry().items():
            yield from ((f"{choice} {kind}", _options(part), part.about) for kind, part in kinds.items())


def _systems(catalog: Catalog) -> Iterator[tuple[str, str, str]]:
    """The shared systems by their names, those of a paper after its name."""
    for (scope, name), system in catalog.systems.declared.items():
        yield name if scope == SHARED else f"{scope}/{name}", system.title, _about(system)


def _about(system: System) -> str:
    if system.missing:
        return f"Cannot be built yet: {system.missing}."
    if system.about:
        return system.about
    changes = "; ".join(f"{choice} {_setting(part)}" for choice, part in system.parts().items())
    return f"As {system.parent}, but {changes}."


def _setting(part: Any) -> str:
    return ", ".join(f"{k} {_setting(v)}" for k, v in part.items()) if isinstance(part, dict) else str(part)


def _options(part: Registered) -> str:
    fields = part.options.model_fields.items()
    return ", ".join(name if field.is_required() else f"{name}={field.default}" for name, field in fields)


def plan_rows(costs: Sequence[Cost], plan: Plan) -> Iterator[list[str]]:
    """One row per system on a corpus: name, seeds, steps, time by stage, time left, where the times come from.

    A star where sizes are assumed.
    """
    groups: dict[tuple[str, ...], list[Cost]] = {}
    for cost in costs:
        _, paper, corpus, system, _ = parse_name(cost.name)
        groups.setdefault((paper, corpus, system), []).append(cost)
    for key, group in groups.items():
        stages = ("training", "validation", "evaluation", "left")
        times = (span(sum(getattr(cost, stage) for cost in group)) for stage in stages)
        star = "*" if group[0].assumed else ""
        yield ["/".join(key) + star, str(len(group)), f"{group[0].steps:,}", *times, group[0].basis]


def plan_summary(costs: Sequence[Cost], plan: Plan, download: tuple[int, int]) -> Iterator[str]:
    """What all of it comes to, and what of it is left, in sentences."""
    corpora = len({corpus for _, corpus in plan.corpora})
    jobs = corpora + len(plan.corpora) + len(costs) + len(plan.runs) + 1
    size, unknown = download
    yield (
        f"Tier {plan.request.tier}: {len(costs)} run{'s' * (len(costs) != 1)}, {jobs} jobs, "
        f"{sum(cost.steps for cost in costs):,} steps; "
        f"{span(sum(cost.seconds for cost in costs))} of one process on this device, "
        f"{sum(cost.disk for cost in costs) / 1e6:,.0f} MB on disk, {size / 1e6:,.1f} MB to download"
        + (f" and {unknown} file{'s' * (unknown != 1)} of unknown size." if unknown else ".")
    )
    yield f"Left: {_left([_wanted(cost, plan) for cost in costs])}."
    if any(cost.assumed for cost in costs):
        yield "* The corpus is not prepared yet: timed on random words of assumed sizes."
    if extra := [cost.name for cost in costs if cost.name not in plan.runs]:
        yield f"Other runs begin with these, which are trained and not measured: {', '.join(extra)}."


def _wanted(cost: Cost, plan: Plan) -> Cost:
    """The cost of a run that is only begun with is over once it is trained."""
    return cost if cost.name in plan.runs else replace(cost, measured=cost.trained == 1)


def _left(costs: Sequence[Cost]) -> str:
    waiting = [cost for cost in costs if not cost.measured]
    return f"{len(waiting)} of {len(costs)} runs, {span(sum(cost.left for cost in waiting))} of one process"


def recorded_summary(catalog: Catalog, plan: Plan, results: Path, device: str) -> str:
    """What the plan costs and what of it is left by what is recorded of like runs, without timing anything.

    ``device`` is what the configuration says: records of that kind of device count, for ``auto`` those of any.
    """
    records = Records(results, "" if device == "auto" else device.partition(":")[0])
    found, costs, places = 0, [], set()
    for run in with_starts(catalog, plan).runs.values():
        record = records.like(run)
        cost = Cost(run.name, run.training.steps, 0.0, 0.0, 0.0, 0)
        if record is not None:
            cost = recorded_cost(run, record)
            whole = record.evaluation is not None or run.name not in plan.runs
            found += whole
            places.add(record.device)
        stands = standing(run, results)
        costs.append(_wanted(replace(cost, trained=stands.trained, measured=stands.measured), plan))
    steps = f"{len(costs)} runs, {sum(cost.steps for cost in costs):,} steps"
    if not places:
        waiting = sum(not cost.measured for cost in costs)
        return f"{steps}; left: {waiting} runs. No like run is recorded: `bench plan` times a few steps."
    known = f"{span(sum(cost.seconds for cost in costs))} of one process, {sum(c.disk for c in costs) / 1e6:,.0f} MB"
    rest = len(costs) - found
    note = (
        f" Of {rest} of them not all is recorded, and counted here: `bench plan` times the rest."
        if rest
        else ""
    )
    return f"{steps}, {known}, as recorded on {'; '.join(sorted(places))}; left: {_left(costs)}.{note}"


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


def check_results(results: Path) -> None:
    """Raise :class:`BenchError` when there is no results folder."""
    if not results.is_dir():
        raise BenchError(
            "results folder not found", where=results, remedy="run something first, or name another"
        )
