"""Measures that stand in a file of their own.

A measure is a function in any file of this room, or in ``measures/`` of a user's own folder, marked by the decorator.
It is called once for each system that has codes, and records what it finds in the sheet of the evaluation, under a
metric and an estimator that are declared in :mod:`bench.metrics.definitions`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.base.own import import_all

if TYPE_CHECKING:
    from bench.metrics.evaluate import Evaluation
    from bench.models.distributions import Latent

Measure = Callable[["Evaluation", "Latent"], None]
_MARKED: list[Measure] = []


def measure(function: Measure) -> Measure:
    """Mark a function of the evaluation and of the posteriors of the test texts, in corpus order."""
    _MARKED.append(function)
    return function


def measures() -> Sequence[Measure]:
    """All marked functions of this room and of a user's own folders, by the names of their files."""
    for module in sorted(found.name for found in pkgutil.iter_modules([str(Path(__file__).parent)])):
        importlib.import_module(f"bench.metrics.{module}")
    import_all("measures")
    return sorted(_MARKED, key=lambda function: (function.__module__, function.__qualname__))
