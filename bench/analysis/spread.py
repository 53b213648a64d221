"""The spread of a measured number over seeds: of one system, and what is known of it from the others.

Few seeds say little of their own spread. The systems of one column (the same paper, corpus, tier and estimator) are
alike, so their variances are taken as draws from one distribution, and each system's own is moved towards what is
common (Smyth 2004, "Linear models and empirical Bayes methods"). A system with one run has the common variance alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from bench.catalog.quantities import PrintedQuantity
from bench.store.records import Records, RunRecord
from bench.store.texts import Measurement


@dataclass(frozen=True)
class Spread:
    """A variance over seeds with its degrees of freedom, and how many systems it was learned from.

    ``total``: the degrees of freedom of all these systems together, which no spread can have more of.
    """

    variance: float
    freedom: float
    systems: int
    total: float

    @property
    def deviation(self) -> float:
        """The standard deviation, in the unit of the number."""
        return math.sqrt(self.variance)


def own_spread(values: Sequence[float]) -> Spread | None:
    """The spread of one system's runs alone; None for fewer than two."""
    if len(values) < 2:
        return None
    freedom = len(values) - 1
    return Spread(float(np.var(values, ddof=1)), freedom, 1, freedom)


def common_spread(systems: Sequence[Sequence[float]]) -> Spread | None:
    """What the systems of a column have in common, from those with two runs or more; None if none has.

    ``freedom`` says how alike their variances are: at most the sum of their degrees of freedom. A system whose runs
    gave one and the same number (a BLEU of 0) says nothing of the spread of the others and is left out.
    """
    found = [spread for values in systems if (spread := own_spread(values)) and spread.variance > 0]
    if not found:
        return None
    total = sum(spread.freedom for spread in found)
    if len(found) == 1:
        return found[0]
    variance, freedom = _fitted(
        np.array([spread.variance for spread in found]), np.array([spread.freedom for spread in found])
    )
    return Spread(variance, min(freedom, total), len(found), total)


def moderated(own: Spread | None, common: Spread | None) -> Spread | None:
    """A system's own spread moved towards the common one, each weighted by its degrees of freedom.

    None where neither is known: runs that gave one and the same number do not tell how far others would lie apart.
    """
    if own is not None and own.variance == 0 and (common is None or common.systems < 2):
        own = None
    if own is None or common is None or common.systems < 2:
        return own or common
    weights = own.freedom + common.freedom
    variance = (own.freedom * own.variance + common.freedom * common.variance) / weights
    return Spread(variance, min(weights, common.total), common.systems, common.total)


class CommonSpreads:
    """The common spread of each column: one metric of all systems of one source, paper and corpus, formed once."""

    def __init__(self, records: Records) -> None:
        self._runs: dict[tuple[str, ...], list[RunRecord]] = {}
        for run in records.runs:
            self._runs.setdefault(run.group[:4], []).append(run)
        self._found: dict[tuple[str | None, ...], Spread | None] = {}

    def of(self, place: tuple[str, ...], quantity: PrintedQuantity) -> Spread | None:
        """At ``place`` (origin, tier, paper, corpus), in the unit measured."""
        key = (*place, quantity.metric, quantity.estimator, quantity.part)
        if key not in self._found:
            values: dict[str, list[float]] = {}
            for run in self._runs.get(place, ()):
                if (found := usable(run, quantity)) is not None and found.value is not None:
                    values.setdefault(run.parts[3], []).append(found.value)
            self._found[key] = common_spread(list(values.values()))
        return self._found[key]


def usable(run: RunRecord, quantity: PrintedQuantity) -> Measurement | None:
    """The measurement of a run by the estimator that repeats the paper's, if it gave a number."""
    if run.state != "finished":
        return None
    found = run.find(quantity.metric, quantity.estimator, quantity.part)
    return found if found and found.value is not None and math.isfinite(found.value) else None


def _fitted(variances: np.ndarray, freedom: np.ndarray) -> tuple[float, float]:
    """Variance and degrees of freedom of the scaled inverse chi-squared from which ``variances`` come.

    By the moments of their logarithms (Smyth 2004, section 6.2); infinitely many degrees where the logarithms
    differ no more than they would if all systems had one variance.
    """
    logs = np.log(variances) - special.digamma(freedom / 2) + np.log(freedom / 2)
    excess = float(np.var(logs, ddof=1) - special.polygamma(1, freedom / 2).mean())
    if excess <= 0:
        return float((freedom * variances).sum() / freedom.sum()), math.inf
    half = _trigamma_inverse(excess)
    return float(np.exp(logs.mean() + special.digamma(half) - math.log(half))), 2 * half


def _trigamma_inverse(value: float) -> float:
    """The x > 0 whose trigamma is ``value``."""
    logarithm = optimize.brentq(lambda x: float(special.polygamma(1, math.exp(x))) - value, -20.0, 40.0)
    return math.exp(float(logarithm))
