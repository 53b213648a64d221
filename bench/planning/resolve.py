"""The settings of one run, resolved from what the catalog declares and what a user overrides.

The layers, each over those before it: the paper's protocol, its differences for the corpus, the system after those
that it extends (each with the paper's exceptions for it), the schedules scaled by the tier, the overrides of the
tier, the user's own.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bench.base.errors import BenchError, unknown
from bench.base.parts import OBJECTIVE, in_full
from bench.base.registry import NONE, SINGLE, registry
from bench.base.run_names import parse_name
from bench.base.settings import RunSettings
from bench.base.text_rules import TextRules
from bench.base.validation import validated
from bench.catalog.catalog import Catalog
from bench.catalog.systems import Key
from bench.planning.layers import Layer, applicable, fitting, merge, scaled

NAMES = ("tier", "paper", "corpus", "system", "seed")  # what names a run cannot be overridden
SHOWN = 4  # values of relatives that a message names


@dataclass(frozen=True)
class Target:
    """What is resolved: a system of a paper on a corpus, in a tier."""

    catalog: Catalog
    tier: str
    paper: str
    corpus: str
    system: str

    def __str__(self) -> str:
        return f"run {self.tier}/{self.paper}/{self.corpus}/{self.system}"


def resolve(
    catalog: Catalog,
    tier: str,
    paper: str,
    corpus: str,
    system: str,
    seed: int,
    settings: Mapping[str, Any] | None = None,
) -> RunSettings:
    """The settings of one run. Raises :class:`BenchError` for unknown names and keys, and for wrong values."""
    target = Target(catalog, tier, paper, corpus, system)
    if reason := catalog.missing(paper, system):
        raise BenchError(f"system {system!r} cannot be built: {reason}", where=f"paper {paper}")
    if reason := catalog.corpus(corpus).missing:
        raise BenchError(f"corpus {corpus!r} cannot be had: {reason}", where=f"paper {paper}")
    values = layered(target, settings or {})
    if start := values.get("starts_from"):
        first = resolve(catalog, tier, paper, corpus, str(start.get("system")), seed, settings)
        values |= {"starts_from": {**start, "identity": first.training_identity}}
    _require_options(target, values)
    names = dict(zip(NAMES, (tier, paper, corpus, system, seed), strict=True))
    return validated(RunSettings, values | names, str(target))


def layered(target: Target, settings: Layer) -> dict[str, Any]:
    """All layers of a target laid over one another, not yet validated."""
    catalog = target.catalog
    declared, budget = catalog.paper(target.paper), catalog.budget(target.tier, target.paper)
    catalog.corpus(target.corpus)
    values: dict[str, Any] = in_full({"condition": NONE})  # what a protocol does not speak of
    for layer in (*_of_corpus(target), *_of_system(target)):
        values = merge(values, in_full(layer))
    stand_in = declared.stand_ins.get(target.corpus)
    values = scaled(values, catalog.tiers.scaled, budget.scale * (stand_in.scale if stand_in else 1.0))
    known = _terms(catalog, values)
    for layer in _of_tier(target):
        change = fitting(in_full(layer), values, f"tier {target.tier}")
        values = merge(values, applicable(change, values, known))
    for key in (key for key in NAMES if key in settings):
        what = f"{key} is not a setting: it is part of the run's name"
        raise BenchError(what, where=f"settings: {key}")
    return merge(values, applicable(in_full(settings), values, known))


def _terms(catalog: Catalog, values: Layer) -> frozenset[str]:
    """The names of all terms: those of the settings, those of systems, and the kinds of registered terms."""
    return _declared_terms(catalog).union(registry()["term"], values.get(OBJECTIVE) or {})


@functools.lru_cache(maxsize=8)
def _declared_terms(catalog: Catalog) -> frozenset[str]:
    return frozenset[str]().union(*(system.objective or {} for system in catalog.systems.declared.values()))


def _of_corpus(target: Target) -> Iterator[Layer]:
    """The protocol and its differences for the corpus, after those for the corpus that it stands in for."""
    declared = target.catalog.papers[target.paper]
    yield declared.protocol
    evaluators = {name: part.model_dump(mode="json") for name, part in declared.evaluators.items()}
    if evaluators:
        yield {"evaluation": {"evaluators": evaluators}}
    for corpus in declared.differences(target.corpus):
        yield declared.by_corpus.get(corpus, {})


def _of_system(target: Target) -> Iterator[Layer]:
    """The parts of each system of the ancestry, and what the paper excepts for it."""
    declared = target.catalog.papers[target.paper]
    exceptions = _by_key(target, declared.by_system)
    for key in target.catalog.ancestry(target.paper, target.system):
        yield target.catalog.systems.declared[key].parts()
        exception = exceptions.get(key, {})
        yield {name: value for name, value in exception.items() if name != "by_corpus"}
        for corpus in declared.differences(target.corpus):
            yield exception.get("by_corpus", {}).get(corpus, {})


def _of_tier(target: Target) -> Iterator[Layer]:
    """What the tier overrides for all systems, and for those of the ancestry."""
    budget = target.catalog.budget(target.tier, target.paper)
    yield from budget.overrides
    by_system = _by_key(target, budget.by_system)
    for key in target.catalog.ancestry(target.paper, target.system):
        yield by_system.get(key, {})


def _by_key(target: Target, by_system: Mapping[str, Layer]) -> dict[Key, Layer]:
    known = target.catalog.systems.known(target.paper)
    return {known[name]: layer for name, layer in by_system.items() if name in known}


Place = tuple[str, ...]  # keys: (decoder,), (objective, kl), (objective, kl, weight)


def _parts(values: Layer) -> Iterator[tuple[Place, str, Any]]:
    """Where each part stands, of which choice it is, and the part in full."""
    for choice in SINGLE:
        yield (choice,), choice, values.get(choice)
    for name, term in (values.get(OBJECTIVE) or {}).items():
        if isinstance(term, Mapping):
            yield (OBJECTIVE, name), "term", {"kind": name, **term}
            yield (OBJECTIVE, name, "weight"), "weight", term.get("weight")


def _require_options(target: Target, values: Layer) -> None:
    """Raise :class:`BenchError` for an option that a part lacks, with the values that other systems have."""
    for place, choice, part in _parts(values):
        kind = part.get("kind") if isinstance(part, Mapping) else None
        entry = registry()[choice].get(kind) if isinstance(kind, str) else None
        for option, field in entry.options.model_fields.items() if entry else ():
            if field.is_required() and option not in part["options"]:
                key = ".".join(place)
                found = "; ".join(f"{name} has {value}" for name, value in _relatives(target, place, option))
                remedy = f"write {key}: {{kind: {kind}, {option}: ...}} in its declaration"
                raise BenchError(
                    f"{option} is missing",
                    where=f"{target}: {key}: {kind}",
                    remedy=f"{remedy} ({found})" if found else remedy,
                )


def _relatives(target: Target, place: Place, option: str) -> list[tuple[str, Any]]:
    """The values that an option has in systems of the same paper, those that it extends first; each value once."""
    known = target.catalog.systems.known(target.paper)
    ancestors = [key for key in target.catalog.ancestry(target.paper, target.system) if key in known.values()]
    found: dict[str, tuple[str, Any]] = {}
    for name in (*(name for _, name in reversed(ancestors)), *known):
        relative = Target(target.catalog, target.tier, target.paper, target.corpus, name)
        parts = {where: part for where, _, part in _parts(layered(relative, {}))}
        options = (parts.get(place) or {}).get("options") or {}
        if option in options:
            found.setdefault(repr(options[option]), (name, options[option]))
    return list(found.values())[:SHOWN]


def check_tiers(
    catalog: Catalog, paper: str, system: str, resolved: Collection[tuple[str, str]] = ()
) -> None:
    """Resolve a system in every tier, on the corpora of each: what is wrong in one is told in all.

    The pairs of tier and corpus that are ``resolved`` already, without settings from elsewhere, are left out.
    Raises :class:`BenchError` naming the tier.
    """
    if catalog.missing(paper, system):
        return
    for tier in catalog.tiers.tiers:
        for corpus in catalog.budget(tier, paper).corpora or catalog.readable(paper):
            if (tier, corpus) not in resolved:
                _check(catalog, tier, paper, corpus, system)


@functools.lru_cache(maxsize=8192)
def _check(catalog: Catalog, tier: str, paper: str, corpus: str, system: str) -> None:
    resolve(catalog, tier, paper, corpus, system, 0)


def find_run(catalog: Catalog, name: str, settings: Mapping[str, Any] | None = None) -> RunSettings:
    """The settings of the run called ``tier/paper/corpus/system/seedN``. Raises :class:`BenchError`."""
    tier, paper, corpus, system, seed = parse_name(name)
    found = resolve(catalog, tier, paper, corpus, system, seed, settings)
    check_tiers(catalog, paper, system)
    return found


def text_rules(
    catalog: Catalog, paper: str, corpus: str, settings: Mapping[str, Any] | None = None
) -> TextRules:
    """How a paper's protocol treats the texts of a corpus: the same for all of its systems and tiers."""
    catalog.corpus(corpus)
    declared = catalog.paper(paper)
    for key in settings or {}:
        if key not in RunSettings.model_fields:
            raise unknown("key", key, RunSettings.model_fields, where="settings")
    values: dict[str, Any] = {"text": {}}
    by_corpus = [declared.by_corpus.get(place, {}) for place in declared.differences(corpus)]
    for layer in (declared.protocol, *by_corpus, settings or {}):
        values = merge(values, {key: value for key, value in layer.items() if key == "text"})
    return validated(TextRules, values["text"], f"paper {paper}, corpus {corpus}", "text")
