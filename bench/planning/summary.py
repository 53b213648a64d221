"""What a plan costs and what of it is left, in rows and sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from bench.base.run_names import parse_name
from bench.base.times import span
from bench.catalog.catalog import Catalog
from bench.metrics.needs import wanted
from bench.planning.plan import Plan, with_starts
from bench.store.costs import Cost, CostRecords, recorded_cost
from bench.store.freshness import standing


def plan_rows(costs: Iterable[Cost]) -> Iterator[list[str]]:
    """One row per system on a corpus: name, seeds, steps, time by stage, time left, where the times come from.

    A row is made as soon as its ``costs`` are there, seed after seed. A star where sizes are assumed.
    """
    for key, seeds in groupby(costs, lambda cost: parse_name(cost.name)[1:4]):
        group = list(seeds)
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
        f"Tier {plan.request.tier}: {_runs(len(costs))}, {jobs} jobs, "
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


def _runs(count: int) -> str:
    return f"{count} run{'s' * (count != 1)}"


def _left(costs: Sequence[Cost]) -> str:
    waiting = [cost for cost in costs if not cost.measured]
    return f"{len(waiting)} of {_runs(len(costs))}, {span(sum(cost.left for cost in waiting))} of one process"


def recorded_summary(catalog: Catalog, plan: Plan, results: Path, device: str) -> str:
    """What the plan costs and what of it is left by what is recorded or was timed of like runs; nothing is timed here.

    ``device`` is what the configuration says: records of that kind of device count, for ``auto`` those of any.
    """
    records = CostRecords(results, "" if device == "auto" else device.partition(":")[0])
    found, costs, places, bases = 0, [], set(), set()
    for run in with_starts(catalog, plan).runs.values():
        record = records.like(run)
        cost = Cost(run.name, run.training.steps, 0.0, 0.0, 0.0, 0)
        if record is not None:
            cost = recorded_cost(run, record)
            whole = record.evaluation is not None or run.name not in plan.runs
            found += whole
            places.add(record.device)
            bases.add(record.basis)
        stands = standing(run, results, wanted)
        costs.append(_wanted(replace(cost, trained=stands.trained, measured=stands.measured), plan))
    steps = f"{_runs(len(costs))}, {sum(cost.steps for cost in costs):,} steps"
    if not places:
        waiting = sum(not cost.measured for cost in costs)
        return f"{steps}; left: {_runs(waiting)}. No like run is recorded: `bench plan` times a few steps."
    how = " or ".join(sorted({word for basis in bases for word in basis.split(" and ")}))
    known = f"{span(sum(cost.seconds for cost in costs))} of one process, {sum(c.disk for c in costs) / 1e6:,.0f} MB"
    rest = len(costs) - found
    note = (
        f" Of {rest} of them only a part is recorded, and counted: `bench plan` times the rest."
        if rest
        else ""
    )
    assumed = sum(cost.assumed for cost in costs)
    note += f" Of {assumed} the corpus is not prepared: its sizes are assumed." if assumed else ""
    return f"{steps}, {known}, as {how} on {'; '.join(sorted(places))}; left: {_left(costs)}.{note}"
