"""The plan: one pure function from what is asked for to the runs, read by the workflow, the cost and the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from bench.corpora.rules import TextRules
from bench.declarations import Catalog, Tier
from bench.errors import BenchError, unknown
from bench.parts import CHOICES, NONE
from bench.settings import Model, RunSettings
from bench.validation import validated


class Request(Model):
    """What a user asks for; an absent list means everything that the tier and the papers name."""

    tier: str = "demo"
    papers: tuple[str, ...] = ("coupled-vae",)
    corpora: tuple[str, ...] | None = None
    tables: tuple[str, ...] | None = None
    systems: tuple[str, ...] | None = None
    seeds: tuple[int, ...] = Field((0,), min_length=1)
    settings: dict[str, Any] = Field(default_factory=dict, description="overrides of settings, for every run")

    @field_validator("papers", "corpora", "tables", "systems", "seeds", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        """A single name or number stands for a list of one; ``a,b`` for two."""
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(","))
        return (value,) if isinstance(value, int) else value


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
    """``base`` with ``change`` laid over it: mappings merge, anything else replaces.

    A part may be given as its kind alone; changing the kind drops the options of the old kind.
    """
    merged = dict(base)
    for key, value in change.items():
        old = merged.get(key)
        if key in CHOICES:
            merged[key] = _merge_part(old, value)
        elif isinstance(old, Mapping) and isinstance(value, Mapping):
            merged[key] = merge(old, value)
        else:
            merged[key] = value
    return merged


def _merge_part(old: Any, new: Any) -> Any:
    before = {"kind": old} if isinstance(old, str) else dict(old or {})
    after = {"kind": new} if isinstance(new, str) else dict(new)
    if after.get("kind", before.get("kind")) != before.get("kind"):
        return after
    return before | after


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

    Raises :class:`BenchError` for unknown names, unknown keys and wrong values.
    """
    declared, spent = catalog.paper(paper), catalog.tier(tier)
    catalog.corpus(corpus)
    values = merge(declared.protocol, declared.by_corpus.get(corpus, {}))
    for name in _ancestry(catalog, system):
        if reason := catalog.systems[name].missing:
            raise BenchError(f"system {system!r} cannot be built: {reason}", where=f"paper {paper}")
        values = merge(values, catalog.systems[name].parts())
        exceptions = declared.by_system.get(name, {})
        values = merge(values, {k: v for k, v in exceptions.items() if k != "by_corpus"})
        values = merge(values, exceptions.get("by_corpus", {}).get(corpus, {}))
    values = _scaled(values, catalog.tiers.scaled, spent)
    for layer in (spent.overrides, settings or {}):
        values = merge(values, _applicable(layer, values))
    names = {"tier": tier, "paper": paper, "corpus": corpus, "system": system, "seed": seed}
    return validated(RunSettings, values | names, f"run {tier}/{paper}/{corpus}/{system}")


def _ancestry(catalog: Catalog, system: str) -> list[str]:
    """The system and those it builds on, the oldest first."""
    names = [system]
    while parent := (catalog.system(names[-1]).couples or catalog.systems[names[-1]].extends):
        names.append(parent)
    return names[::-1]


def _scaled(values: dict[str, Any], paths: Sequence[str], tier: Tier) -> dict[str, Any]:
    """Multiply each of the numbers at ``paths`` by the tier's scale, at least 1 unless it was 0."""
    for path in paths:
        group, key = path.split(".")
        held = values.get(group)
        if isinstance(held, Mapping) and key in held:
            number = max(1, round(held[key] * tier.scale)) if held[key] else 0
            values[group] = {**held, key: number}
    return values


def _applicable(layer: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """``layer`` without options for a part that this system does without (a language model has no encoder)."""

    def moot(choice: str) -> bool:
        return _kind(values.get(choice)) == NONE and isinstance(layer[choice], Mapping) and "kind" not in layer[choice]

    return {key: value for key, value in layer.items() if not (key in CHOICES and moot(key))}


def _kind(part: Any) -> Any:
    return part.get("kind") if isinstance(part, Mapping) else part


def make_plan(catalog: Catalog, request: Request) -> Plan:
    """All runs of a request: for each paper, its corpora under the tier, its systems, the seeds."""
    runs = {run.name: run for paper in request.papers for run in _runs_of(catalog, request, paper)}
    return Plan(request, runs)


def _runs_of(catalog: Catalog, request: Request, paper: str) -> Iterator[RunSettings]:
    tables = request.tables or catalog.tier(request.tier).tables
    buildable = [n for n in systems_of(catalog, paper, tables) if not catalog.system(n).missing]
    names = request.systems or buildable
    for corpus in request.corpora or catalog.tier(request.tier).corpora or catalog.paper(paper).corpora:
        for system in names:
            for seed in request.seeds:
                yield resolve(catalog, request.tier, paper, corpus, system, seed, request.settings)


def systems_of(catalog: Catalog, paper: str, tables: Sequence[str] | None = None) -> list[str]:
    """The systems of a paper's tables (all, or those named), each once, in the order of first appearance."""
    known = {table.id: table for table in catalog.paper(paper).tables}
    for name in tables or ():
        if name not in known:
            raise unknown("table", name, known, where=f"paper {paper}")
    chosen = [known[name] for name in tables or known]
    return list(dict.fromkeys(row.system for table in chosen for row in table.rows))


def text_rules(
    catalog: Catalog, paper: str, corpus: str, settings: Mapping[str, Any] | None = None
) -> TextRules:
    """How a paper's protocol treats the texts of a corpus: the same for all of its systems and tiers."""
    catalog.corpus(corpus)
    declared = catalog.paper(paper)
    values = merge({"text": {}}, {k: v for k, v in declared.protocol.items() if k == "text"})
    for layer in (declared.by_corpus.get(corpus, {}), settings or {}):
        values = merge(values, {k: v for k, v in layer.items() if k == "text"})
    return validated(TextRules, values["text"], f"paper {paper}, corpus {corpus}", "text")


def find_run(catalog: Catalog, name: str, settings: Mapping[str, Any] | None = None) -> RunSettings:
    """The settings of the run called ``tier/paper/corpus/system/seedN``."""
    parts = Path(name).parts
    if len(parts) != 5 or not parts[4].startswith("seed") or not parts[4][4:].isdigit():
        raise unknown("run", name, ["TIER/PAPER/CORPUS/SYSTEM/seedN"])
    tier, paper, corpus, system, seed = parts
    return resolve(catalog, tier, paper, corpus, system, int(seed[4:]), settings)
