"""Numbers of runs over those of another system, as papers print times: only of runs under the same conditions."""

from __future__ import annotations

from collections.abc import Sequence

from bench.analysis.spread import usable
from bench.catalog.quantities import PrintedQuantity
from bench.store.records import Records, RunRecord
from bench.store.texts import Measurement

ALIKE = ("device", "threads", "precision", "torch")  # of the provenance of two trainings whose times compare

Found = list[tuple[RunRecord, Measurement]]


def measured(runs: Sequence[RunRecord], quantity: PrintedQuantity, records: Records) -> Found:
    """The measurement of each run that has one; of a quantity ``relative_to`` a system, over that of its run."""
    found = [(run, one) for run in runs if (one := usable(run, quantity))]
    if quantity.relative_to is None:
        return found
    others = {_place(run, run.parts[3]): run for run in records.runs}
    pairs = ((run, one, others.get(_place(run, quantity.relative_to))) for run, one in found)
    return [
        (run, ratio) for run, one, other in pairs if other and (ratio := _over(run, one, other, quantity))
    ]


def _place(run: RunRecord, system: str) -> tuple[str, ...]:
    """The run of ``system`` beside this one."""
    return (*run.group[:4], system, str(run.seed))


def _over(
    run: RunRecord, one: Measurement, other: RunRecord, quantity: PrintedQuantity
) -> Measurement | None:
    """The ratio; None where the other has no number, or one of another machine."""
    base = usable(other, quantity)
    where, there = (each.run.get("provenance") or {} for each in (run, other))
    if base is None or not base.value or any(where.get(key) != there.get(key) for key in ALIKE):
        return None
    said = f"{one.definition} Over that of {quantity.relative_to} with the same seed, device and number of threads."
    ratio = {"value": (one.value or 0.0) / base.value, "unit": "ratio", "low": None, "high": None}
    return one.model_copy(update={**ratio, "definition": said})
