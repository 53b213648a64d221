"""The noise floor: how far two runs of the same thing lie apart, on one device and on two kinds of device.

A pair is one of the user's own runs and the published run of the same name, trained and measured under the same
settings, on the same data, by the same code. What still differs between them is no property of the system.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.store.records import Records, RunRecord

ONE, TWO = "one device", "two kinds of device"
Metric = tuple[str, str]  # metric and estimator
Place = tuple[str, str, str]  # tier, paper, corpus


@dataclass(frozen=True)
class Repeat:
    """Two runs of the same thing: their differences (published minus own) by metric and estimator."""

    name: str
    place: Place
    kind: str
    devices: tuple[str, str]
    differences: dict[Metric, float]
    values: dict[Metric, float]


@dataclass(frozen=True)
class Floor:
    """The largest difference between repeated runs of one quantity in one place."""

    metric: Metric
    place: Place
    value: float
    pairs: int
    kinds: tuple[str, ...]


class NoiseFloors:
    """The repeated runs, and the floors that follow from them."""

    def __init__(self, repeats: Sequence[Repeat] = (), unlike: Sequence[tuple[str, str]] = ()) -> None:
        """``unlike``: (run, why) of pairs of one name that are no repetition."""
        self.repeats, self.unlike = tuple(repeats), tuple(unlike)
        self.floors = {floor.place + floor.metric: floor for floor in _floors(self.repeats)}

    def of(self, place: Place, metric: str, estimator: str) -> Floor | None:
        """The floor of a quantity, None where no run was repeated."""
        return self.floors.get((*place, metric, estimator))


def _floors(repeats: Sequence[Repeat]) -> list[Floor]:
    keys = dict.fromkeys((r.place, metric) for r in repeats for metric in r.differences)
    floors = []
    for place, metric in keys:
        here = [r for r in repeats if r.place == place and metric in r.differences]
        largest = max(abs(r.differences[metric]) for r in here)
        floors.append(Floor(metric, place, largest, len(here), tuple(sorted({r.kind for r in here}))))
    return floors


def noise_of(records: Records) -> NoiseFloors:
    """All repetitions among the runs of a report."""
    finished = {(run.origin, run.name): run for run in records.runs if run.state == "finished"}
    repeats, unlike = [], []
    for (origin, name), published in finished.items():
        own = finished.get(("own", name))
        if origin != "published" or own is None:
            continue
        if reason := _difference(own, published):
            unlike.append((name, reason))
        else:
            repeats.append(_repeat(own, published))
    return NoiseFloors(repeats, unlike)


def _difference(own: RunRecord, other: RunRecord) -> str:
    """Why two runs of one name do not repeat each other, or nothing."""
    runs = (own, other)
    if len({_where(run).get("started") for run in runs}) == 1:
        return "the published run is a copy of yours"
    if len({run.settings.identity if run.settings else run.name + run.origin for run in runs}) > 1:
        return "they have different settings"
    if len({run.run.get("data_hash") for run in runs}) > 1:
        return "they have different data"
    if len({str(run.run.get("versions") or {}) for run in runs}) > 1:
        return "they were trained with different versions"
    if len({str(run.evaluation.get("versions") or {}) for run in runs}) > 1:
        return "they were measured with different versions"
    return ""


def _where(run: RunRecord) -> dict[str, Any]:
    return dict(run.run.get("provenance") or {})


def _repeat(own: RunRecord, other: RunRecord) -> Repeat:
    first = {(m.name, m.estimator): m.value for m in own.measurements if m.value is not None}
    second = {(m.name, m.estimator): m.value for m in other.measurements if m.value is not None}
    devices = (str(_where(own).get("device")), str(_where(other).get("device")))
    return Repeat(
        own.name,
        own.parts[:3],
        ONE if devices[0] == devices[1] else TWO,
        devices,
        {key: second[key] - value for key, value in first.items() if key in second},
        first,
    )
