"""What an audit finds in the logs of the trainings: gradients at their limit, deviations and what moves them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate, repeat

import pandas

from bench.analysis.curves import TRAINING
from bench.analysis.grids import Grid, GridCell
from bench.analysis.numbers import fixed, significant
from bench.analysis.pairs import Pairing
from bench.catalog.audits import Audit

DEVIATION, GRADIENT = (
    "deviation",
    "_gradient",
)  # a logged term, and the end of the name of those with respect to it


def clipped_steps(audit: Audit, pairing: Pairing) -> Iterator[Grid]:
    """How often elements of the gradient may have been cut off: no element is larger than the norm of all."""
    rows, said = [], []
    for system in audit.systems:
        limits, norms = [], []
        for run in pairing.runs.get(system, ()):
            table, settings = run.tables.get(TRAINING), run.settings
            if table is not None and settings is not None and settings.optimiser.clip_by == "value":
                limits.append(settings.optimiser.clip)
                norms.append(table["gradient_norm"] / settings.optimiser.clip)
        if not norms:
            continue
        relative = pandas.concat(norms)
        below = float((relative <= 1).mean())
        numbers = (limits[0], limits[0] * float(relative.median()), limits[0] * float(relative.max()), below)
        rows.append(
            (pairing.title(system), tuple(GridCell(significant(value, 3), value) for value in numbers))
        )
        said.append(f"{pairing.title(system)} in {fixed(100 * below, 0)} %")
    if rows:
        head = ("limit of an element", "median norm", "largest norm", "share within the limit")
        summary = (
            "Where the norm of the whole gradient, averaged over a window of steps, is within the limit of an element, "
            f"hardly an element is cut off. So it is of {', '.join(said)} of the windows."
        )
        yield Grid("Norms of gradients before clipping, and the limit", head, tuple(rows), summary)


def deviation_gradients(audit: Audit, pairing: Pairing) -> Iterator[Grid]:
    """Deviations over training, the gradient of each logged loss with respect to them, and its ratio to them."""
    for system in audit.systems:
        logs = [run.tables[TRAINING] for run in pairing.runs.get(system, ()) if TRAINING in run.tables]
        logs = [log for log in logs if DEVIATION in log]
        if not logs:
            continue
        names = [name for name in map(str, logs[0]) if name.endswith(GRADIENT)]
        mean = pandas.concat(logs).groupby("step")[[DEVIATION, *names]].mean()
        ratios = mean[names].div(mean[DEVIATION], axis=0)
        rows = []
        for place in _places(len(mean)):
            values = [float(mean[DEVIATION].iloc[place])]
            for name in names:
                values += [float(mean[name].iloc[place]), float(ratios[name].iloc[place])]
            cells = tuple(GridCell(significant(value, 3), value) for value in values)
            rows.append((f"step {mean.index[place]}", cells))
        head = ["\u03c3"]
        for loss in (name.removesuffix(GRADIENT) for name in names):
            head += [f"\u2202{loss}/\u2202\u03c3", f"\u2202{loss}/\u2202\u03c3 over \u03c3"]
        title = pairing.title(system)
        yield Grid(f"Deviations of {title}", tuple(head), tuple(rows), _said(title, mean[DEVIATION], ratios))


def _places(count: int) -> list[int]:
    """The first of so many rows, then each some twice as far on, and the last."""
    doubled = accumulate(repeat(None, count), lambda place, _: 2 * place + 1, initial=0)
    return sorted({*(place for place in doubled if place < count), count - 1})


def _said(title: str, deviation: pandas.Series[float], ratios: pandas.DataFrame) -> str:
    first, last = (significant(float(deviation.iloc[place]), 3) for place in (0, -1))
    found = [
        f"of {str(name).removesuffix(GRADIENT)} from {significant(float(values.min()), 3)} to "
        f"{significant(float(values.max()), 3)}, above 0 in {fixed(100 * float((values > 0).mean()), 0)} % of them"
        for name, values in ratios.items()
    ]
    return (
        f"In {title} \u03c3 goes from {first} to {last}. The gradient over \u03c3, by the theorem a constant above 0, "
        f"goes over the logged windows {'; '.join(found)}."
    )
