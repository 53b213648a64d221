"""The systems of the catalog that can be built, each under the papers that show it."""

from __future__ import annotations

import itertools

from bench.catalog.catalog import load_catalog
from bench.planning.plan import systems_of

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
