"""Which version to raise when golden values move: what the systems that moved have in common, and what it costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from bench.base.settings import RunSettings
from bench.metrics.definitions import base
from bench.metrics.measures import measures

Run = tuple[str, str]  # paper and system
MEASURED, COLUMN = "measured ", "column "
OF_MEASURING = (MEASURED, COLUMN)


def parts_of(run: RunSettings) -> frozenset[str]:
    """The parts of a run, as versions name them: ``prior mixture``."""
    return frozenset(f"{choice} {kind}" for choice, kind in run.used())


def candidates(moved: Collection[Run], parts: Mapping[Run, frozenset[str]]) -> list[str]:
    """The parts that all systems have that moved, and no system that did not."""
    if not moved:
        return []
    shared = frozenset.intersection(*(parts[run] for run in moved))
    return sorted(shared.difference(*(found for run, found in parts.items() if run not in moved)))


def advice(
    moved: Mapping[Run, Sequence[str]], parts: Mapping[Run, frozenset[str]], catalog: Iterable[RunSettings]
) -> str:
    """What to raise for the terms that ``moved``, by system, and how many runs of the ``catalog`` become stale.

    ``parts`` are those of every system that has golden values.
    """
    trained = {
        run for run, terms in moved.items() if not all(term.startswith(OF_MEASURING) for term in terms)
    }
    measured = {term for run, terms in moved.items() if run not in trained for term in terms}
    known = sorted(_measures(_names(measured)))
    lines = [f"measure {name}: measured again alone, nothing is trained" for name in known]
    columns = sorted(term.removeprefix(COLUMN) for term in measured if term.startswith(COLUMN))
    if columns and not known:
        lines.append(
            f"the measure that writes {', '.join(columns)}: measured again alone, nothing is trained"
        )
    runs = list(catalog)
    counts = Counter(part for run in runs for part in parts_of(run))
    lines += [f"{part}: {counts[part]} runs of the catalog" for part in candidates(trained, parts)]
    if trained and not candidates(trained, parts):
        each = sorted(frozenset().union(*(parts[run] for run in trained)))
        lines.append(
            f"the stage train: {len(runs)} runs of the catalog; no part is in these systems alone, so else"
        )
        lines += [f"  {part}: {counts[part]} runs of the catalog, if it was changed" for part in each]
    return "\n".join(
        ["If these numbers should have moved, raise the version of one of", *map("  {}".format, lines)]
    )


def unversioned(moved: Collection[str], before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What has to rise so that terms that ``moved`` are told from those of before: a part, or measures.

    ``before`` and ``after`` are the trained weights' identity and the measures' versions; empty if they tell it.
    """
    if before["training"] != after["training"]:
        return []
    if not all(term.startswith(OF_MEASURING) for term in moved):
        return ["a part of it, or of the stage train"]
    rose = {name for name, version in after["measures"].items() if version != before["measures"].get(name)}
    alone = all(term.startswith(COLUMN) for term in moved)
    same = _measures(_names(moved)) - rose
    return [f"the measure {name}" for name in sorted(same)] or (
        ["a measure of it"] if alone and not rose else []
    )


def _names(moved: Iterable[str]) -> list[list[str]]:
    """Metric and estimator of each measured term."""
    return [term.removeprefix(MEASURED).split(" ") for term in moved if term.startswith(MEASURED)]


def _measures(names: Iterable[Sequence[str]]) -> set[str]:
    moved = {(name[0].partition(":")[0], base(name[1])) for name in names}
    return {
        one.name
        for one in measures().values()
        if moved & {(given.metric, given.estimator) for given in one.gives}
    }
