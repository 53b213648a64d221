"""The systems of the catalog that can be built, each under the papers that show it."""

from __future__ import annotations

import itertools

from bench.catalog.declarations import load_catalog
from bench.planning.plan import systems_of

CATALOG = load_catalog()
BUILT = [name for name, system in CATALOG.systems.items() if not system.missing]


def of_papers() -> dict[str, list[str]]:
    """The buildable systems that each paper's tables, texts, figures and audits name; the first has the rest too."""
    named: dict[str, set[str]] = {}
    for name, paper in CATALOG.papers.items():
        shown = [one.systems for one in paper.texts] + [one.systems for one in paper.audits.values()]
        shown += [one.systems + one.beside for one in paper.figures]
        named[name] = {*systems_of(CATALOG, name), *itertools.chain(*shown)}
    named[next(iter(named))] |= set(BUILT).difference(*named.values())
    return {name: [system for system in BUILT if system in systems] for name, systems in named.items()}


OF_PAPERS = of_papers()
RUNS = [(paper, system) for paper, systems in OF_PAPERS.items() for system in systems]
