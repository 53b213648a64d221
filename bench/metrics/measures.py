"""The registry of measures: everything that is measured of a run.

A measure is a function in any file of this room, or in ``measures/`` of a user's own folder, with its definitions
beside it::

    @measure("length", needs=("density",), metrics=(Metric("length", "words a sample", least=0),), gives=(...,))
    def length(context: Context, record: Record) -> None: ...

It takes what it measures from the context, which computes only once what several measures share, and hands its
numbers, columns and texts to its record. The files of this room import torch and other heavy packages inside
functions: the catalog reads the definitions in every process.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from bench.base.errors import BenchError, unknown
from bench.base.own import file_of, import_all, own_files
from bench.metrics.definitions import Definition, Listed, Metric, TextKind, Validity, base

Function = Callable[..., object]  # of a Context and a Record, whose modules know this one


@dataclass(frozen=True)
class Measure:
    """A registered measure; ``version`` is raised when its numbers change, and ``changed`` says what did last.

    One that is made ``only_named`` is left out where ``evaluation.also`` or ``evaluation.measures`` does not name it.
    One that needs a ``library`` is left to another machine where that is not installed.
    """

    name: str
    function: Function
    version: int
    needs: tuple[str, ...]
    metrics: tuple[Metric, ...]
    gives: tuple[Definition, ...]
    shows: tuple[TextKind, ...]
    only_named: bool = False
    changed: str = ""
    library: str = ""

    @property
    def can_be_made(self) -> bool:
        """Whether its library is installed here."""
        return not self.library or importlib.util.find_spec(self.library) is not None

    @property
    def evaluators(self) -> tuple[str, ...]:
        """The names of the evaluators that it needs."""
        prefix = "evaluator "
        return tuple(need.removeprefix(prefix) for need in self.needs if need.startswith(prefix))


_MARKED: dict[str, Measure] = {}


def measure(
    name: str,
    *,
    version: int = 1,
    needs: Iterable[str] = (),
    metrics: Iterable[Metric] = (),
    gives: Iterable[Definition] = (),
    shows: Iterable[TextKind] = (),
    only_named: bool = False,
    changed: str = "",
    library: str = "",
) -> Callable[[Function], Function]:
    """Register a function as the measure ``name``.

    It is run for a system and a corpus that offer all of ``needs`` (see :mod:`bench.metrics.needs`); one that is
    ``only_named``, only where the protocol names it under ``evaluation.also``. Raises :class:`BenchError` where
    another measure has the name, one of the metrics or one of the definitions.
    """

    def mark(function: Function) -> Function:
        declared = tuple(needs), tuple(metrics), tuple(gives), tuple(shows)
        _register(Measure(name, function, version, *declared, only_named, changed, library))
        return function

    return mark


def _register(made: Measure) -> None:
    for other in _MARKED.values():
        if _place(other.function) != _place(made.function):  # a file that is imported again registers anew
            _check_names(made, other)
    _MARKED[made.name] = made
    _known.cache_clear()


def _place(function: Function) -> tuple[str, str]:
    return function.__module__, function.__qualname__


def _said(function: Function) -> str:
    """Where a user finds a function: of an own file the file, else the module."""
    module, name = _place(function)
    file = file_of(module)
    return f"{file}: {name}" if file is not None else f"{module}.{name}"


def _check_names(made: Measure, other: Measure) -> None:
    for what, names in (("name", _names), ("metric", _metrics), ("estimator", _estimators), ("kind", _kinds)):
        if both := names(made) & names(other):
            raise BenchError(
                f"two measures have the {what} {sorted(both)[0]!r}",
                where=f"{_said(other.function)} and {_said(made.function)}",
                remedy="rename one of them",
            )


def _names(one: Measure) -> set[str]:
    return {one.name}


def _metrics(one: Measure) -> set[str]:
    return {metric.name for metric in one.metrics}


def _estimators(one: Measure) -> set[str]:
    return {f"{given.metric}, {given.estimator}" for given in one.gives}


def _kinds(one: Measure) -> set[str]:
    return {kind.name for kind in one.shows}


def _import_room() -> None:
    """Import the files of this room that hold measures, and no others: these may import heavy packages."""
    for file in sorted(Path(__file__).parent.glob("*.py")):
        if "\n@measure(" in file.read_text(encoding="utf-8") and file != Path(__file__):
            importlib.import_module(f"bench.metrics.{file.stem}")


@dataclass(frozen=True)
class _Known:
    """All measures and what they declare, each in the order of its places."""

    measures: dict[str, Measure]
    metrics: dict[str, Metric]
    definitions: dict[tuple[str, str], Definition]
    kinds: dict[str, TextKind]


@functools.cache
def _known(own: tuple[Path, ...]) -> _Known:
    _import_room()
    import_all("measures")
    found = sorted(
        (metric for one in _MARKED.values() for metric in one.metrics), key=lambda metric: metric.place
    )
    order = {metric.name: place for place, metric in enumerate(found)}

    def place(one: Measure) -> tuple[float, bool, str]:
        return min((order[given.metric] for given in one.gives), default=math.inf), not one.metrics, one.name

    given = [given for one in _MARKED.values() for given in one.gives]
    for one in given:
        if one.metric not in order:
            raise unknown("metric", one.metric, order, where=f"the estimator {one.estimator}")
        if one.validity not in get_args(Validity):
            where = f"the estimator {one.estimator} of {one.metric}"
            raise unknown("validity", one.validity, get_args(Validity), where=where)
    given.sort(key=lambda one: order[one.metric])
    measures = {one.name: one for one in sorted(_MARKED.values(), key=place)}
    return _Known(
        measures,
        {metric.name: metric for metric in found},
        {(one.metric, one.estimator): one for one in given},
        {kind.name: kind for one in measures.values() for kind in one.shows},
    )


def measures() -> dict[str, Measure]:
    """All measures by name, in the order of the first of their metrics; those that only show texts come last."""
    return _known(tuple(own_files("measures"))).measures


def find_measure(name: str, where: object | None = None) -> Measure:
    """The measure of that name. Raises :class:`BenchError`."""
    known = measures()
    if name not in known:
        raise unknown("measure", name, known, where=where)
    return known[name]


def metrics() -> dict[str, Metric]:
    """All metrics by name, in the order of their places."""
    return _known(tuple(own_files("measures"))).metrics


def definitions() -> dict[tuple[str, str], Definition]:
    """All definitions by metric and estimator, in the order of their metrics."""
    return _known(tuple(own_files("measures"))).definitions


def counted_over(metric: str, estimator: str, split: str) -> str:
    """What the texts are that a number is counted over: ``texts of the test split``."""
    known = definitions().get((metric, base(estimator)))
    return known.counted if known and known.counted else f"texts of the {split} split"


def kinds() -> dict[str, TextKind]:
    """All kinds of shown texts by name."""
    return _known(tuple(own_files("measures"))).kinds


def on_list(name: Listed) -> tuple[str, ...]:
    """The metrics that are on a list of the report, in their order."""
    return tuple(metric.name for metric in metrics().values() if name in metric.lists)
