"""The shape of a curve: whether it rises or falls, from seed to seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from bench.analysis.curves import CURVES
from bench.analysis.findings import FACTOR, Finding, decide
from bench.analysis.pairs import Pairing
from bench.analysis.statistics import Difference, Values, difference
from bench.catalog.claims import Shape
from bench.store.records import RunRecord

TOLERANCE = 0.05  # a curve that changes by less, in natural logarithms, neither rises nor falls
SEEDS = 3  # fewer decide nothing

# From where to where a curve changes, whether upwards, and beyond which change, in natural logarithms.
Change = tuple[Callable[[Values], float], str, bool, float]


def _from_start(values: Values) -> float:
    return float(np.log(values[-1] / values[0]))


def _to_highest(values: Values) -> float:
    return float(np.log(values.max() / values[0]))


def _from_highest(values: Values) -> float:
    return float(np.log(values[-1] / values.max()))


GROWS: Change = (_from_start, "from start to end", True, TOLERANCE)
FALLS: Change = (_from_start, "from start to end", False, -TOLERANCE)
LASTS: Change = (_from_start, "from start to end", True, -TOLERANCE)
CLIMBS: Change = (_to_highest, "from start to the highest point", True, TOLERANCE)
DESCENDS: Change = (_from_highest, "from the highest point to the end", False, -TOLERANCE)
STAYS: Change = (_from_highest, "from the highest point to the end", True, -TOLERANCE)
SHAPES: dict[str, tuple[Change, ...]] = {
    "grows": (GROWS, STAYS),
    "rises then falls": (CLIMBS, DESCENDS),
    "falls": (FALLS,),
    "does not fall": (LASTS,),
    "falls at the end": (DESCENDS,),
    "does not fall at the end": (STAYS,),
}


def shape_findings(asked: Shape, pairing: Pairing) -> Iterator[Finding]:
    """How far the curve rises or falls, by seed: differences of logarithms, shown as factors."""
    runs = {run.seed: run for run in pairing.runs.get(asked.system, ())}
    curves = {seed: values for seed, run in runs.items() if (values := curve(run, asked)) is not None}
    drawn = CURVES[asked.curve]
    name = f"{pairing.title(asked.system)}: {drawn.name}"
    for change, where, above, threshold in SHAPES[asked.shape]:
        during = ", while the weight rises" if asked.during == "annealing" else ""
        what = f"{name}, {where}{during}"
        if not curves:
            reason = "no such curve was recorded" if runs else pairing.why_not(asked.system)
            yield Finding(pairing.corpus, what, "not run", reason, (asked.system,))
            continue
        logs = difference(np.array([change(values) for values in curves.values()]), None)
        yield Finding(
            pairing.corpus,
            what,
            **vars(decide(logs, above, threshold, SEEDS)),
            systems=(asked.system,),
            difference=_factors(logs),
            unit=FACTOR,
            estimator=drawn.table.removesuffix(".parquet"),
            files=tuple(runs[seed].folder / drawn.table for seed in curves),
        )


def curve(run: RunRecord, asked: Shape) -> Values | None:
    """The curve's positive values, smoothed by a running median of three; None with fewer than three."""
    drawn = CURVES[asked.curve]
    steps, values = drawn.points(run)
    if asked.during == "annealing":
        table = run.tables.get(drawn.table)
        if table is None or "kl_weight" not in table:
            return None
        weight = table["kl_weight"].to_numpy(dtype=np.float64)
        rising = table["step"].to_numpy()[(weight > 0) & (np.arange(len(weight)) <= weight.argmax())]
        values = [value for step, value in zip(steps, values, strict=True) if step in rising]
    found = np.asarray([value for value in values if value > 0], dtype=np.float64)
    if len(found) < 3:
        return None
    ends = np.concatenate([found[:1], found, found[-1:]])
    smooth: Values = np.median(np.stack([ends[:-2], ends[1:-1], ends[2:]]), axis=0)
    return smooth


def _factors(logs: Difference) -> Difference:
    """Differences of logarithms as factors."""
    low, high = (None if end is None else float(np.exp(end)) for end in (logs.low, logs.high))
    return Difference(tuple(np.exp(logs.by_seed).tolist()), low, high, None)
