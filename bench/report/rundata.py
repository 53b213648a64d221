"""What the compare page reads of a run: a script of its own, so that a page from disk may load any two.

Numbers keep what a plot or a table of differences shows: curves 200 points and five digits, values per text two
decimals; what was measured keeps more digits than the page's three decimals need. The rest is in the run's own files.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas

from bench.analysis.curves import TRAINING, VALIDATION, points
from bench.analysis.numbers import metric_name
from bench.analysis.pairs import SENTENCES
from bench.analysis.statistics import Values, resampled_sums
from bench.base.text_rules import TEXT
from bench.corpora.names import text_file
from bench.metrics.measures import definitions
from bench.store.records import CorpusRecord, RunRecord

POINTS, DECIMALS, SIGNIFICANT, MEASURED = 200, 2, 5, 10
CURVES = (
    ("NLL, validation", VALIDATION, "nll"),
    ("KL, validation", VALIDATION, "kl"),
    ("reconstruction, validation", VALIDATION, "reconstruction"),
    ("reconstruction, training", TRAINING, "reconstruction"),
    ("KL, training", TRAINING, "kl"),
)


def run_data(run: RunRecord, title: str) -> dict[str, Any]:
    """A run's curves by name as (steps, values), and its values for each test text in hundredths of a nat."""
    return {
        "title": title,
        "name": f"{run.name}, published" if run.origin == "published" else run.name,
        "data": str(run.run.get("data_hash") or "")[:12],
        "curves": dict(_curves(run)),
        "texts": dict(_values(run.tables.get(SENTENCES))),
        "resampled": dict(_resampled(run.tables.get(SENTENCES))),
        "words": _words(run.tables.get(SENTENCES)),
        "measured": {
            f"{metric_name(m.name)} ({m.estimator})": float(f"{m.value:.{MEASURED}g}")
            for m in run.measurements
            if m.main and m.value is not None and m.unit == "nats per text"
        },
    }


def _curves(run: RunRecord) -> Iterator[tuple[str, list[list[float]]]]:
    for name, table, column in CURVES:
        steps, values = points(run, table, column)
        if len(steps):
            kept = thinned(len(steps))
            yield (
                name,
                [[steps[i] for i in kept], [float(f"{values[i]:.{SIGNIFICANT}g}") for i in kept]],
            )


def thinned(count: int, most: int = POINTS) -> list[int]:
    """At most so many indices out of ``count``, evenly spread, the first and the last among them."""
    return [int(i) for i in np.unique(np.linspace(0, count - 1, min(count, most)).round())]


def _values(table: pandas.DataFrame | None) -> Iterator[tuple[str, list[int | None]]]:
    for name, values in _columns(table):
        hundredths = np.round(values * 10**DECIMALS)
        yield name, [int(v) if np.isfinite(v) else None for v in hundredths]


def _columns(table: pandas.DataFrame | None) -> Iterator[tuple[str, Values]]:
    """The values per text by which runs are compared, by name."""
    named = {d.over.columns[0]: d.compared for d in definitions().values() if d.compared and d.over}
    for column, name in named.items() if table is not None else ():
        if table is not None and column in table:
            yield name, table.sort_values("index")[column].to_numpy(dtype=float)


def _resampled(table: pandas.DataFrame | None) -> Iterator[tuple[str, str]]:
    """Means over the resamples of the texts that all intervals of differences rest on, as 32-bit numbers."""
    for name, values in _columns(table):
        if len(values) and np.isfinite(values).all():
            means = resampled_sums(values[:, None])[:, 0] / len(values)
            yield name, b64encode(means.astype("<f4").tobytes()).decode()


def _words(table: pandas.DataFrame | None) -> list[int]:
    known = table is not None and "words" in table
    return table.sort_values("index")["words"].astype(int).tolist() if known and table is not None else []


def shown_texts(corpus: CorpusRecord) -> list[str] | None:
    """The test texts of a generated corpus; those of other corpora are not ours to hand on with a report."""
    path = corpus.folder / text_file("test", corpus.summary.get("decodes", TEXT))
    if corpus.fault or corpus.summary.get("exact") is None or not path.is_file():
        return None
    return path.read_text(encoding="utf-8").split("\n")[:-1]


def script(function: str, *arguments: Any) -> str:
    """A call of ``function`` as a script; texts in it are data whatever they hold."""
    plain = (json.dumps(a, ensure_ascii=True, allow_nan=False, separators=(",", ":")) for a in arguments)
    return f"{function}({','.join(plain)});\n"


def choices(runs: Sequence[RunRecord]) -> list[RunRecord]:
    """The runs that left something to compare."""
    return [run for run in runs if run.tables and run.state == "finished"]
