"""Runs that exist in memory only, with values per text and curves that a test makes up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas
from numpy.typing import ArrayLike

from bench.analysis.findings import Finding, Word
from bench.analysis.pairs import SENTENCES, Pairing
from bench.catalog.catalog import Catalog
from bench.catalog.claims import Claim
from bench.store.records import Records, RunRecord
from bench.store.texts import Measurement

ESTIMATORS = {"nll": "importance-sampling-100", "kl": "monte-carlo", "mi": "leave-one-out"}
DATA = "d" * 64


def measured(metric: str, estimator: str, value: float, **fields: Any) -> Measurement:
    given = {"unit": "nats per text", "validity": "exact", "split": "test", "definition": "", "main": True}
    return Measurement(metric=metric, estimator=estimator, value=value, **(given | fields))


def claim(**predicate: Any) -> Claim:
    return Claim.model_validate({"where": "Section 1", "statement": "So it is."} | predicate)


def words(found: Iterable[Finding]) -> list[Word]:
    return [finding.word for finding in found]


def run(
    system: str,
    seed: int = 0,
    *,
    tier: str = "paper",
    corpus: str = "ptb",
    origin: Any = "own",
    per_text: Mapping[str, ArrayLike] | None = None,
    values: Mapping[str, float] | None = None,
    curves: Mapping[str, ArrayLike] | None = None,
    more: Sequence[Measurement] = (),
    data: str = DATA,
) -> RunRecord:
    """A finished run: metrics as means of ``per_text``, others as plain ``values``, validation ``curves``."""
    columns = {name: np.asarray(column, dtype=float) for name, column in (per_text or {}).items()}
    found = [
        measured(
            name, ESTIMATORS.get(name, "mean"), float(np.nanmean(column)), column=name, texts=len(column)
        )
        for name, column in columns.items()
    ]
    found += [
        measured(name, ESTIMATORS.get(name, "mean"), v, unit="ratio") for name, v in (values or {}).items()
    ]
    record = RunRecord(
        f"{tier}/coupled-vae/{corpus}/{system}/seed{seed}",
        origin,
        Path("runs") / system / str(seed),
        None,
        "finished",
        run={"data_hash": data, "steps": 1000},
        measurements=[*found, *more],
    )
    texts = len(next(iter(columns.values()))) if columns else 0
    record.tables[SENTENCES] = pandas.DataFrame(
        {"index": np.arange(texts), "words": np.full(texts, 9)} | columns
    )
    if curves:
        steps = 100 * np.arange(1, len(np.atleast_1d(next(iter(curves.values())))) + 1)
        weight = {"kl_weight": np.ones(len(steps))}
        record.tables["validation.parquet"] = pandas.DataFrame({"step": steps} | weight | dict(curves))
    return record


def pairing(catalog: Catalog, *runs: RunRecord) -> Pairing:
    """What runs of one setting measured."""
    return Pairing(catalog, Records(list(runs), [], [], []), runs[0].group[:4])
