"""What runs recorded over training, as curves: steps and values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas

from bench.catalog.claims import CurveName
from bench.store.records import RunRecord

TRAINING, VALIDATION = "training.parquet", "validation.parquet"
Column = str | Callable[[pandas.DataFrame], "pandas.Series[float]"]


def weighted_kl(table: pandas.DataFrame) -> pandas.Series[float]:
    """The KL times the weight that it has in the objective at that step."""
    return table["kl"] * table["kl_weight"]


def reconstruction_gradient(table: pandas.DataFrame) -> pandas.Series[float]:
    """The gradient of all reconstruction losses together: with the twin's where there is a twin."""
    alone = table["grad_norm_rec_squared"]
    total = table.get("grad_norm_rec_total_squared", alone)
    return total.fillna(alone)


def points(record: RunRecord, name: str, column: Column) -> tuple[Sequence[float], Sequence[float]]:
    """Steps and values of a curve, unmeasured steps left out; empty where the run has no such column."""
    table = record.tables.get(name)
    if table is None:
        return (), ()
    try:
        values = table[column] if isinstance(column, str) else column(table)
    except KeyError:
        return (), ()
    known = values.notna().to_numpy() & np.isfinite(values.to_numpy(dtype=float))
    return table["step"].to_numpy()[known].tolist(), values.to_numpy(dtype=float)[known].tolist()


@dataclass(frozen=True)
class Curve:
    """A curve that papers draw and make claims about: recorded at each validation, or of the training batches."""

    name: str
    column: Column
    table: str = VALIDATION

    def points(self, run: RunRecord) -> tuple[Sequence[float], Sequence[float]]:
        """Steps and values of a run, for the figure and for the claims about it."""
        return points(run, self.table, self.column)


# The released code averages squared norms in training mode; so do these.
CURVES: dict[CurveName, Curve] = {
    "reconstruction-gradient": Curve("squared gradient norm of the reconstruction", reconstruction_gradient),
    "regulariser-gradient": Curve("squared gradient norm of the regulariser", "grad_norm_reg_squared"),
    "weighted-kl": Curve("KL times its weight", weighted_kl, TRAINING),
    "signal-sensitivity": Curve("squared ∂h/∂e over squared h", "signal_sensitivity_squared"),
    "kl": Curve("KL", "kl"),
    "kl-weight": Curve("weight of the KL", "kl_weight"),
    "reconstruction": Curve("reconstruction loss", "reconstruction"),
}
