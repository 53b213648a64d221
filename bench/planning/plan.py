"""The plan: a pure function from what is asked for to the runs, for the workflow, the cost and the report."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field, field_validator

from bench.base.errors import BenchError, unknown
from bench.base.settings import Model, RunSettings
from bench.base.validation import validated
from bench.catalog.catalog import Catalog
from bench.corpora.readers import check_options
from bench.planning.resolve import check_tiers, find_run, resolve

MOST_SEEDS = 1000


class Request(Model):
    """What a user asks for; an absent list means what the tier and the papers name."""

    tier: str = "demo"
    papers: tuple[str, ...] = Field(default=("coupled-vae",), min_length=1)
    corpora: tuple[str, ...] | None = Field(default=None, min_length=1)
    tables: tuple[str, ...] | None = Field(default=None, min_length=1)
    systems: tuple[str, ...] | None = Field(default=None, min_length=1)
    seeds: tuple[int, ...] | None = Field(default=None, min_length=1)
    every_system: bool = Field(
        default=False, description="all systems of the tables, where a tier names some of them"
    )
    settings: dict[str, Any] = Field(default_factory=dict, description="overrides of settings, for every run")

    @field_validator("papers", "corpora", "tables", "systems", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        """A single name stands for a list of one; ``a,b`` for two."""
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value

    @field_validator("seeds", mode="before")
    @classmethod
    def _ranges(cls, value: Any) -> Any:
        """``3`` stands for a list of one; ``0-4,7``, or a list that holds it, for six. Each is 0 or more."""
        if not isinstance(value, str | int | float | list | tuple):
            return value
        parts = [value] if isinstance(value, str | int | float) else value
        texts = [text.strip() for part in parts for text in str(part).split(",")]
        return tuple(dict.fromkeys(seed for text in texts for seed in _seeds(text)))


def _seeds(text: str) -> Iterator[int]:
    """The seeds of ``3`` or of ``0-4``."""
    found = re.fullmatch(r"([0-9]+)(?: *- *([0-9]+))?", text)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
    if not first <= last < first + MOST_SEEDS:  # a longer range is a slip that would fill the memory
        allowed = ["a seed as 3", "several as 0,1,2", f"a range as 0-4 of at most {MOST_SEEDS}"]
        raise ValueError(BenchError(f"{text!r} is no seed", allowed=allowed))
    yield from range(first, last + 1)


def request_of(values: Mapping[str, Any], catalog: Catalog, where: str) -> Request:
    """The request that ``values`` make. Papers that they do not name are those that show what they name, or all.

    Raises :class:`BenchError` for what is no request, naming ``where`` it stands.
    """
    given = {key: value for key, value in values.items() if value is not None}
    request = validated(Request, {"papers": tuple(catalog.papers), **given}, where)
    if "papers" in given:
        return request
    showing = [name for name in request.papers if _shows(catalog, name, request)]
    return request.model_copy(update={"papers": tuple(showing) or request.papers})


def _shows(catalog: Catalog, paper: str, request: Request) -> bool:
    """Whether a paper shows any of the tables or systems that are asked for by name."""
    tables = {table.id for table in catalog.paper(paper).tables}
    if request.tables is not None:
        return not tables.isdisjoint(request.tables)
    return request.systems is None or not _shown(catalog, paper).isdisjoint(request.systems)


@dataclass(frozen=True)
class Plan:
    """The runs that were asked for, by name, in the order of the papers' tables."""

    request: Request
    runs: Mapping[str, RunSettings]

    @property
    def corpora(self) -> list[tuple[str, str]]:
        """(paper, corpus) pairs that must be prepared, each once."""
        return list(dict.fromkeys((run.paper, run.corpus) for run in self.runs.values()))


def make_plan(catalog: Catalog, request: Request) -> Plan:
    """All runs of a request: for each paper, its corpora under the tier, its systems, the seeds.

    Where neither the request nor the tier names corpora, a table's systems run on the corpora that it prints. Of
    several corpora, a system runs on those that have the fields which it is given, and no more.
    Raises :class:`BenchError` for unknown names and wrong settings.
    """
    made = [list(_runs_of(catalog, request, paper)) for paper in request.papers]
    runs = {run.name: run for some in made for run in _suited(catalog, some)}
    resolved: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    for run in itertools.chain(*made) if not request.settings else ():
        resolved[run.paper, run.system].add((run.tier, run.corpus))
    for key in dict.fromkeys((run.paper, run.system) for run in runs.values()):
        check_tiers(catalog, *key, resolved[key])
    return Plan(request, runs)


def with_starts(catalog: Catalog, plan: Plan) -> Plan:
    """The plan and the runs that its runs begin with, directly or not, where they were not asked for."""
    runs = dict(plan.runs)
    waiting = list(runs.values())
    while waiting:
        start = waiting.pop().start
        if start is not None and start not in runs:
            runs[start] = find_run(catalog, start, plan.request.settings)
            waiting.append(runs[start])
    return Plan(plan.request, runs)


def others(catalog: Catalog, plan: Plan, names: Iterable[str]) -> dict[str, RunSettings]:
    """What the catalog now asks of runs that the plan does not name, by ``names``; without those it does not know."""
    found = {}
    for name in names:
        if name not in plan.runs:
            with contextlib.suppress(BenchError):
                found[name] = find_run(catalog, name, plan.request.settings)
    return found


def _runs_of(catalog: Catalog, request: Request, paper: str) -> Iterator[RunSettings]:
    budget = catalog.budget(request.tier, paper)
    tables, systems = _of_paper(catalog, request, paper)
    if tables == () or systems == ():
        return
    corpora = request.corpora or budget.corpora
    whole = bool(tables or systems or request.every_system)  # what is named is not cut
    chosen, seeds = (None, (0,)) if whole else (budget.systems, budget.seeds)
    for corpus in corpora or catalog.readable(paper):
        printed = systems_of(catalog, paper, tables or budget.tables, None if corpora else corpus)
        if chosen is not None:
            printed = [name for name in chosen if name in printed]
        buildable = [name for name in printed if not catalog.missing(paper, name)]
        for system in systems or buildable:
            for seed in request.seeds or seeds:
                yield resolve(catalog, request.tier, paper, corpus, system, seed, request.settings)


def _suited(catalog: Catalog, runs: Sequence[RunSettings]) -> Iterator[RunSettings]:
    """The runs of each system on the corpora that suit it, or all of them if none does."""
    suits = [_suits(run, catalog) for run in runs]
    suited = {run.system for run, found in zip(runs, suits, strict=True) if found}
    return (run for run, found in zip(runs, suits, strict=True) if found or run.system not in suited)


def _suits(run: RunSettings, catalog: Catalog) -> bool:
    """Whether a corpus has the fields that the model is given, and no others unless the rules choose among them."""
    fields = check_options(catalog.corpus(run.corpus), run.corpus).fields()
    if run.conditions:
        return set(run.conditions) <= set(fields)
    return len(fields) == 1 or run.text.encodes is not None or run.text.decodes is not None


Names = tuple[str, ...] | None


def _of_paper(catalog: Catalog, request: Request, paper: str) -> tuple[Names, Names]:
    """Those of the requested tables and systems that a paper has; null where none are requested.

    A system is of the papers that show it, or if none does, of all that know it. Raises :class:`BenchError` for one
    that no requested paper has.
    """
    if request.tables is None and request.systems is None:
        return None, None
    tables = {name: [table.id for table in catalog.paper(name).tables] for name in request.papers}
    systems = {name: _shown(catalog, name) for name in request.papers}
    known = {name: list(catalog.systems.known(name)) for name in request.papers}
    where = f"paper{'s' * (len(request.papers) > 1)} {', '.join(request.papers)}"
    for noun, asked, names in (("table", request.tables, tables), ("system", request.systems, known)):
        everywhere = {one for of_paper in names.values() for one in of_paper}
        for name in asked or ():
            if name not in everywhere:
                raise unknown(noun, name, everywhere, where=where)
    unshown = set(known[paper]).difference(*systems.values())
    return _among(request.tables, tables[paper]), _among(request.systems, systems[paper] | unshown)


def _among(asked: Names, known: Collection[str]) -> Names:
    return None if asked is None else tuple(name for name in asked if name in known)


def _shown(catalog: Catalog, paper: str) -> set[str]:
    """The systems of the tables of a paper, and its own."""
    own = {name for name, (scope, _) in catalog.systems.known(paper).items() if scope == paper}
    return own.union(systems_of(catalog, paper))


def systems_of(
    catalog: Catalog, paper: str, tables: Sequence[str] | None = None, corpus: str | None = None
) -> list[str]:
    """The systems of a paper's tables (all, or those named; of these, those that print ``corpus``).

    Each once, in the order of first appearance. Raises :class:`BenchError` for an unknown table.
    """
    known = {table.id: table for table in catalog.paper(paper).tables}
    for name in tables or ():
        if name not in known:
            raise unknown("table", name, known, where=f"paper {paper}")
    chosen = [known[name] for name in tables or known if corpus is None or corpus in known[name].corpora]
    return list(dict.fromkeys(row.system for table in chosen for row in table.rows))
