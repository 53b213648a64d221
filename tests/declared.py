"""The systems of the catalog that can be built, each under the papers that show it."""

from __future__ import annotations

import itertools
from typing import Any

from bench.base.files import stable_hash
from bench.base.settings import RunSettings
from bench.catalog.catalog import load_catalog
from bench.planning.plan import systems_of
from bench.planning.resolve import resolve

CATALOG = load_catalog()


def of_papers() -> dict[str, list[str]]:
    """The buildable systems of each paper: its own, and the shared ones that its files name."""
    found: dict[str, list[str]] = {}
    for name, paper in CATALOG.papers.items():
        shown = [one.systems for one in paper.texts] + [one.systems for one in paper.audits.values()]
        shown += [one.systems + one.beside for one in paper.figures]
        named = {*systems_of(CATALOG, name), *itertools.chain(*shown)}
        known = CATALOG.systems.known(name).items()
        own = [system for system, (scope, _) in known if scope == name or system in named]
        found[name] = [system for system in own if not CATALOG.missing(name, system)]
    return found


OF_PAPERS = of_papers()
RUNS = [(paper, system) for paper, systems in OF_PAPERS.items() for system in systems]


def unlike(runs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The first of those systems that differ in nothing but the size of numbers: all of them take the same steps."""
    found: dict[str, tuple[str, str]] = {}
    for paper, system in runs:
        settings = resolve(CATALOG, "demo", paper, "generated-tiny", system, 0)
        found.setdefault(stable_hash(_kind(settings.model_dump(mode="json", exclude=NAMES))), (paper, system))
    return list(found.values())


def _kind(value: Any) -> Any:
    """Settings of which a number says only whether it is 0."""
    if isinstance(value, dict):
        return {key: _kind(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_kind(inner) for inner in value]
    return value != 0 if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def corpus_of(settings: RunSettings) -> str:
    """The tiny generated corpus that has the fields which a system is given."""
    return "generated-pairs-tiny" if settings.conditions else "generated-tiny"


NAMES = {"paper", "system", "evaluation"}
UNLIKE = unlike(RUNS)
