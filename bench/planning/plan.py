"""The plan: a pure function from what is asked for to the runs, for the workflow, the cost and the report."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field, field_validator

from bench.base.errors import BenchError, unknown
from bench.base.parts import OBJECTIVE, RECONSTRUCTION, in_full, merged
from bench.base.registry import NONE, SINGLE, registry
from bench.base.run_names import parse_name
from bench.base.settings import Model, RunSettings
from bench.base.text_rules import TextRules
from bench.base.validation import validated
from bench.catalog.declarations import Catalog


class Request(Model):
    """What a user asks for; an absent list means everything that the tier and the papers name."""

    tier: str = "demo"
    papers: tuple[str, ...] = Field(default=("coupled-vae",), min_length=1)
    corpora: tuple[str, ...] | None = Field(default=None, min_length=1)
    tables: tuple[str, ...] | None = Field(default=None, min_length=1)
    systems: tuple[str, ...] | None = Field(default=None, min_length=1)
    seeds: tuple[int, ...] = Field(default=(0,), min_length=1)
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
        if not isinstance(value, str | int | list | tuple):
            return value
        parts = [value] if isinstance(value, str | int) else value
        texts = [text.strip() for part in parts for text in str(part).split(",")]
        return tuple(dict.fromkeys(seed for text in texts for seed in _seeds(text)))


def _seeds(text: str) -> Iterator[int]:
    """The seeds of ``3`` or of ``0-4``."""
    found = re.fullmatch(r"([0-9]+)(?: *- *([0-9]+))?", text)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
    if last < first:
        allowed = ["a seed as 3", "several as 0,1,2", "a range as 0-4"]
        raise ValueError(BenchError(f"{text!r} is no seed", allowed=allowed))
    yield from range(first, last + 1)


@dataclass(frozen=True)
class Plan:
    """The runs that were asked for, by name, in the order of the papers' tables."""

    request: Request
    runs: Mapping[str, RunSettings]

    @property
    def corpora(self) -> list[tuple[str, str]]:
        """(paper, corpus) pairs that must be prepared, each once."""
        return list(dict.fromkeys((run.paper, run.corpus) for run in self.runs.values()))


def merge(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``change`` laid over it, both with their parts in full: mappings merge, the rest replaces.

    Where the kind of a part changes, the options of the old kind are dropped.
    """
    found = dict(base)
    for key, value in change.items():
        old = found.get(key)
        if key in SINGLE:
            found[key] = merged(old, value)
        elif key == OBJECTIVE and isinstance(old, Mapping) and isinstance(value, Mapping):
            found[key] = {**old} | {name: merged(old.get(name), term, name) for name, term in value.items()}
        elif isinstance(old, Mapping) and isinstance(value, Mapping):
            found[key] = merge(old, value)
        else:
            found[key] = value
    return found


def resolve(
    catalog: Catalog,
    tier: str,
    paper: str,
    corpus: str,
    system: str,
    seed: int,
    settings: Mapping[str, Any] | None = None,
) -> RunSettings:
    """The settings of one run: protocol, then corpus, system, the paper's exceptions, tier, the user's own.

    A corpus that stands in for another comes after that one.
    Raises :class:`BenchError` for unknown names, unknown keys and wrong values.
    """
    declared, spent = catalog.paper(paper), catalog.tier(tier)
    catalog.corpus(corpus)
    values: dict[str, Any] = {}
    for layer in _declarations(catalog, paper, corpus, system):
        values = merge(values, in_full(layer))
    scale = declared.stand_ins[corpus].scale if corpus in declared.stand_ins else 1.0
    values = _scaled(values, catalog.tiers.scaled, scale * spent.scale)
    names = {"tier": tier, "paper": paper, "corpus": corpus, "system": system, "seed": seed}
    spent_on = [spent.overrides, *(spent.by_system.get(name, {}) for name in _ancestry(catalog, system))]
    fitting = [_fitting(in_full(layer), values, f"tier {tier}") for layer in spent_on]
    for layer in (*fitting, in_full(settings or {})):
        _refuse_names(layer, names)
        values = merge(values, _applicable(layer, values, _terms(catalog, values)))
    if start := values.get("starts_from"):
        first = resolve(catalog, tier, paper, corpus, str(start.get("system")), seed, settings)
        values = values | {"starts_from": {**start, "identity": first.training_identity}}
    return validated(RunSettings, values | names, f"run {tier}/{paper}/{corpus}/{system}")


def _declarations(catalog: Catalog, paper: str, corpus: str, system: str) -> Iterator[Mapping[str, Any]]:
    """What the paper and the systems declare for a run, what is laid over it later."""
    declared = catalog.paper(paper)
    corpora = declared.differences(corpus)
    yield declared.protocol
    for place in corpora:
        yield declared.by_corpus.get(place, {})
    for name in _ancestry(catalog, system):
        if reason := catalog.systems[name].missing:
            raise BenchError(f"system {system!r} cannot be built: {reason}", where=f"paper {paper}")
        yield catalog.systems[name].parts()
        exceptions = declared.by_system.get(name, {})
        yield {key: value for key, value in exceptions.items() if key != "by_corpus"}
        for place in corpora:
            yield exceptions.get("by_corpus", {}).get(place, {})


def _refuse_names(layer: Mapping[str, Any], names: Mapping[str, Any]) -> None:
    """What names a run cannot be overridden: it would be ignored."""
    for key in names:
        if key in layer:
            raise BenchError(
                f"{key} is not a setting: it is part of the run's name", where=f"settings: {key}"
            )


def _ancestry(catalog: Catalog, system: str) -> list[str]:
    """The system and those it builds on, the oldest first."""
    names = [system]
    while parent := (catalog.system(names[-1]).couples or catalog.systems[names[-1]].extends):
        names.append(parent)
    return names[::-1]


def _scaled(values: dict[str, Any], paths: Sequence[str], scale: float) -> dict[str, Any]:
    """Multiply each of the numbers at ``paths`` by ``scale``, at least 1 unless it was 0.

    A path names keys as a declaration does, without ``options``; ``*`` stands for every key.
    """
    for path in paths:
        values = _scaled_at(values, path.split("."), scale)
    return values


def _scaled_at(values: Mapping[str, Any], keys: Sequence[str], scale: float) -> dict[str, Any]:
    found, (first, *rest) = dict(values), keys
    if first not in found and isinstance(found.get("options"), Mapping):
        return {**found, "options": _scaled_at(found["options"], keys, scale)}
    for key in found if first == "*" else [first] if first in found else []:
        held = found[key]
        if rest and isinstance(held, Mapping):
            found[key] = _scaled_at(held, rest, scale)
        elif (
            not rest and isinstance(held, int | float) and held > 0
        ):  # what is no number is named when it is checked
            found[key] = max(1, round(held * scale))
    return found


def _fitting(layer: Mapping[str, Any], values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """``layer`` without options that the system's parts do not take: a tier speaks to all systems at once.

    Raises :class:`BenchError` for an option that no part of that choice takes.
    """
    fitting = dict(layer)
    for choice in set(SINGLE) & set(layer):
        fitting[choice] = _fitting_part(layer[choice], values.get(choice), choice, where)
    if isinstance(layer.get(OBJECTIVE), Mapping):
        terms = values.get(OBJECTIVE) or {}
        fitting[OBJECTIVE] = {
            name: _fitting_term(name, term, terms.get(name), where) for name, term in layer[OBJECTIVE].items()
        }
    return fitting


def _fitting_term(name: str, term: Any, own: Any, where: str) -> Any:
    found = _fitting_part(term, own, "term", where, name)
    if isinstance(found, Mapping) and "weight" in found:
        weight = own.get("weight") if isinstance(own, Mapping) else None
        return {**found, "weight": _fitting_part(found["weight"], weight, "weight", where)}
    return found


def _fitting_part(part: Any, own: Any, choice: str, where: str, kind: str | None = None) -> Any:
    """``part`` without the options that the system's ``own`` part, of ``kind`` if it names none, does not take."""
    if not isinstance(part, Mapping) or "kind" in part:
        return part
    kinds = registry()[choice]
    known = {option for entry in kinds.values() for option in entry.options.model_fields}
    for option in part["options"]:
        if option not in known:
            raise unknown("option", option, known, where=f"{where}: {choice}")
    entry = kinds.get(_kind(own) or kind or "")
    taken = entry.options.model_fields if entry else {}
    return {**part, "options": {option: v for option, v in part["options"].items() if option in taken}}


def _applicable(layer: Mapping[str, Any], values: Mapping[str, Any], terms: Iterable[str]) -> dict[str, Any]:
    """``layer`` without what it changes of parts that this system does without (a language model has no encoder).

    Raises :class:`BenchError` for a term that names no kind and is none of the ``terms`` of any system.
    """
    found = {
        key: part for key, part in layer.items() if key not in SINGLE or not _moot(part, values.get(key))
    }
    if isinstance(found.get(OBJECTIVE), Mapping):
        own = {RECONSTRUCTION: {}, **(values.get(OBJECTIVE) or {})}
        changes = found[OBJECTIVE]
        for name, term in changes.items():
            if name not in terms and isinstance(term, Mapping) and "kind" not in term:
                raise unknown("term", name, terms, where=f"settings: {OBJECTIVE}")
        absent = {"kind": NONE}
        found[OBJECTIVE] = {n: term for n, term in changes.items() if not _moot(term, own.get(n, absent))}
    return found


def _moot(change: Any, own: Any) -> bool:
    """Whether a change of options is that of a part which the system does without."""
    return _kind(own) == NONE and isinstance(change, Mapping) and "kind" not in change


def _kind(part: Any) -> str | None:
    return part.get("kind") if isinstance(part, Mapping) else None


def _terms(catalog: Catalog, values: Mapping[str, Any]) -> set[str]:
    """The names of all terms: those of the settings, those of systems, and the kinds of registered terms."""
    declared = (system.objective or {} for system in catalog.systems.values())
    return set(registry()["term"]).union(values.get(OBJECTIVE) or {}, *declared)


def make_plan(catalog: Catalog, request: Request) -> Plan:
    """All runs of a request: for each paper, its corpora under the tier, its systems, the seeds.

    Where neither the request nor the tier names corpora, a table's systems run on the corpora that it prints.
    Raises :class:`BenchError` for unknown names and wrong settings.
    """
    runs = {run.name: run for paper in request.papers for run in _runs_of(catalog, request, paper)}
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


def _runs_of(catalog: Catalog, request: Request, paper: str) -> Iterator[RunSettings]:
    tier = catalog.tier(request.tier)
    own = {table.id for table in catalog.paper(paper).tables}
    tables = request.tables or tuple(name for name in tier.tables or () if name in own)
    corpora = request.corpora or tier.corpora
    for corpus in corpora or catalog.paper(paper).corpora:
        printed = systems_of(catalog, paper, tables, None if corpora else corpus)
        buildable = [n for n in printed if not any(catalog.system(a).missing for a in _ancestry(catalog, n))]
        for system in request.systems or buildable:
            for seed in request.seeds:
                yield resolve(catalog, request.tier, paper, corpus, system, seed, request.settings)


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


def text_rules(
    catalog: Catalog, paper: str, corpus: str, settings: Mapping[str, Any] | None = None
) -> TextRules:
    """How a paper's protocol treats the texts of a corpus: the same for all of its systems and tiers."""
    catalog.corpus(corpus)
    declared = catalog.paper(paper)
    values = merge({"text": {}}, {k: v for k, v in declared.protocol.items() if k == "text"})
    for key in settings or {}:
        if key not in RunSettings.model_fields:
            raise unknown("key", key, RunSettings.model_fields, where="settings")
    layers = [declared.by_corpus.get(place, {}) for place in declared.differences(corpus)]
    for layer in (*layers, settings or {}):
        values = merge(values, {k: v for k, v in layer.items() if k == "text"})
    return validated(TextRules, values["text"], f"paper {paper}, corpus {corpus}", "text")


def find_run(catalog: Catalog, name: str, settings: Mapping[str, Any] | None = None) -> RunSettings:
    """The settings of the run called ``tier/paper/corpus/system/seedN``. Raises :class:`BenchError`."""
    return resolve(catalog, *parse_name(name), settings)
