"""Runs that share a training history: one training, seen several times, is one witness.

Systems that differ in what comes into play late, such as the ceiling of a KL weight, draw the same batches and noise
under one seed and are one training until they diverge. Their logs tell: the same reconstruction loss, to the last bit,
interval after interval. Names tell nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

from bench.store.records import RunRecord

TRAINING = "training.parquet"
LOGGED = "reconstruction"  # the loss that every system logs, and that no weight scales
SHARED = 0.1  # of the logged training: less is a common start, as any two runs of one seed may have


def shared(first: RunRecord, second: RunRecord) -> float:
    """The share of the shorter log, from its start, in which two runs of one seed are the same training."""
    if first.seed != second.seed:
        return 0.0
    logs = [run.tables.get(TRAINING) for run in (first, second)]
    one, other = (log[LOGGED].to_numpy() if log is not None and LOGGED in log else () for log in logs)
    length = min(len(one), len(other))
    same = next((i for i in range(length) if one[i] != other[i]), length)  # NaN is like nothing
    return same / length if length else 0.0


def histories(runs: Mapping[str, Sequence[RunRecord]]) -> dict[str, str]:
    """For each system the first one with which it shares a training history, by any of its seeds; else itself."""
    first = {system: system for system in runs}
    for one, other in combinations(runs, 2):
        if first[one] != first[other] and _share(runs[one], runs[other]):
            joined = first[other]
            first |= {system: first[one] for system, of in first.items() if of == joined}
    return first


def _share(some: Sequence[RunRecord], others: Sequence[RunRecord]) -> bool:
    return any(shared(one, other) >= SHARED for one in some for other in others)
