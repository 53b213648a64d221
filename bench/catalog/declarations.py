"""The catalog as typed objects: systems, papers with their protocols, tables, audits and claims, tiers."""

from __future__ import annotations

import csv
import functools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import Field, RootModel, model_validator

from bench.base import environment
from bench.base.errors import BenchError, unknown
from bench.base.registry import SINGLE
from bench.base.settings import Model, Name
from bench.base.validation import read_yaml, validated
from bench.catalog.questions import Audit, Audits, Claim, Claims, CurveName, Pair
from bench.corpora.entry import CorpusEntry, load_corpora
from bench.metrics.definitions import DEFINITIONS
from bench.metrics.units import canonical

CATALOG = Path(__file__).parent
T = TypeVar("T")


SYSTEM_SAID = {"title", "about", "couples", "missing"}  # of a system, what the report says of it


class System(Model):
    """A named model: which parts it is composed of. A declaration, not a class."""

    title: str
    about: str = ""
    couples: Name | None = Field(None, description="the baseline of which this is the coupled twin")
    extends: Name | None = Field(None, description="the system whose declaration this one changes")
    missing: str | None = Field(None, description="why this version cannot build the system")
    encoder: Any = None
    posterior: Any = None
    prior: Any = None
    signal: Any = None
    decoder: Any = None
    coupling: Any = None
    objective: dict[str, Any] | None = None
    procedure: Any = None
    starts_from: dict[str, Any] | None = Field(
        None, description="the system whose trained modules this one begins with, and which"
    )

    @model_validator(mode="after")
    def _one_parent(self) -> Self:
        if self.couples and self.extends:
            raise ValueError("couples already extends the baseline: name one of couples, extends")
        return self

    def parts(self) -> dict[str, Any]:
        """The choices that this declaration makes itself."""
        names = (*SINGLE, "objective", "starts_from")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


class Systems(RootModel[dict[Name, System]]):
    """The content of a ``systems.yaml``."""


class Measure(Model):
    """Which measurement repeats a printed quantity; ``estimator`` null takes the system's only one."""

    metric: Name | str
    estimator: str | None
    decimals: int = Field(ge=0)
    better: Literal["lower", "higher"] | None = None


class Row(Model):
    """One row of a printed table; ``estimators`` repeat the procedure of this row where it is not the paper's."""

    label: str
    system: Name
    setting: str = ""
    estimators: dict[str, str] = Field(default_factory=dict)


class Table(Model):
    """One printed table: rows in the paper's order, columns = corpus x metric."""

    id: Name
    printed: str
    title: str
    corpora: tuple[Name, ...]
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


class Texts(Model):
    """A printed table of texts instead of numbers: what these systems decode, side by side."""

    id: Name
    printed: str
    title: str
    corpora: tuple[Name, ...]
    systems: tuple[Name, ...]
    shows: Literal["samples", "interpolations"]


class Figure(Model):
    """A printed figure of curves over training; ``beside`` are systems drawn too that the print lacks."""

    id: Name
    printed: str
    title: str
    corpora: tuple[Name, ...]
    systems: tuple[Name, ...]
    beside: tuple[Name, ...] = ()
    panels: tuple[CurveName, ...]


class Reported(Model):
    """One number that a paper printed."""

    table: str
    corpus: Name
    label: str
    setting: str
    metric: str
    value: float
    unit: str
    bold: bool | None
    note: str


class StandIn(Model):
    """A corpus in place of another: it has the differences of that one, and ``scale`` times its schedules."""

    of: Name
    scale: float = Field(gt=0, le=1)


class Paper(Model):
    """A paper: its protocol, what it prints, the numbers in its tables, our audits of it and its claims."""

    title: str
    short: str
    authors: str
    year: int
    venue: str
    citation: dict[str, str] = Field(
        default_factory=dict, description="more fields of its BibTeX entry, and the entry's type"
    )
    corpora: tuple[Name, ...]
    protocol: dict[str, Any]
    by_corpus: dict[Name, dict[str, Any]] = Field(default_factory=dict)
    by_system: dict[Name, dict[str, Any]] = Field(default_factory=dict)
    stand_ins: dict[Name, StandIn] = Field(default_factory=dict)
    measures: dict[str, Measure]
    tables: tuple[Table, ...]
    texts: tuple[Texts, ...] = ()
    figures: tuple[Figure, ...] = ()
    audits: dict[Name, Audit] = Field(default_factory=dict)
    claims: dict[Name, Claim] = Field(default_factory=dict)
    reported: tuple[Reported, ...] = ()

    def differences(self, corpus: str) -> tuple[str, ...]:
        """The corpora whose differences hold for ``corpus``, itself last."""
        stand_in = self.stand_ins.get(corpus)
        return (stand_in.of, corpus) if stand_in else (corpus,)


class Tier(Model):
    """How much is spent."""

    about: str
    corpora: tuple[Name, ...] | None = Field(None, description="null: the corpora of the paper")
    tables: tuple[Name, ...] | None = Field(
        None, description="of a paper that has any of them; else all of its tables"
    )
    scale: float = Field(gt=0, le=1)
    overrides: dict[str, Any] = Field(default_factory=dict)
    by_system: dict[Name, dict[str, Any]] = Field(
        default_factory=dict, description="overrides for a system and those that build on it"
    )


class Tiers(Model):
    """All tiers, and the settings that their scale multiplies."""

    scaled: tuple[str, ...]
    tiers: dict[Name, Tier]


class Catalog(Model):
    """Everything that is declared."""

    systems: dict[Name, System]
    papers: dict[Name, Paper]
    corpora: dict[Name, CorpusEntry]
    tiers: Tiers

    def system(self, name: str) -> System:
        """The system of that name. Raises :class:`BenchError`."""
        return _get(self.systems, "system", name)

    def paper(self, name: str) -> Paper:
        """The paper of that name. Raises :class:`BenchError`."""
        return _get(self.papers, "paper", name)

    def corpus(self, name: str) -> CorpusEntry:
        """The corpus of that name. Raises :class:`BenchError`."""
        return _get(self.corpora, "corpus", name)

    def tier(self, name: str) -> Tier:
        """The tier of that name. Raises :class:`BenchError`."""
        return _get(self.tiers.tiers, "tier", name)

    def baseline(self, name: str) -> str | None:
        """The system whose coupled twin ``name`` is, if it is one (also through ``extends``)."""
        system = self.system(name)
        return system.couples or (self.baseline(system.extends) if system.extends else None)

    def pairs(self, table: Table) -> list[Pair]:
        """(baseline, twin) of each baseline that has exactly one twin in the table."""
        systems = dict.fromkeys(row.system for row in table.rows)
        twins = [(name, system) for system in systems if (name := self.baseline(system)) in systems]
        baselines = [name for name, _ in twins]
        return [(name, system) for name, system in twins if name and baselines.count(name) == 1]


def _get(known: Mapping[str, T], noun: str, name: str) -> T:
    if name not in known:
        raise unknown(noun, name, known)
    return known[name]


def load_catalog(*extra: Path) -> Catalog:
    """The package's catalog, and that of each folder in ``extra`` and ``BENCH_CATALOG`` (``:`` between them).

    A folder may hold ``systems.yaml``, ``corpora/*.yaml`` and ``papers/*/paper.yaml`` with ``reported.csv`` beside
    it; a name that is declared twice is an error.
    """
    return _load((*extra, *environment.catalog_folders()))


@functools.cache
def _load(extra: tuple[Path, ...]) -> Catalog:
    for folder in extra:
        if not folder.is_dir():
            raise BenchError("catalog folder not found", where=folder, remedy="check BENCH_CATALOG")
    systems: dict[str, System] = {}
    found_in: dict[str, Path] = {}
    for path in (folder / "systems.yaml" for folder in (CATALOG, *extra)):
        for name, system in _read_systems(path).items():
            if name in systems:
                where = f"{found_in[name]} and {path}"
                raise BenchError(f"two systems are named {name!r}", where=where, remedy="rename one of them")
            systems[name], found_in[name] = system, path
    for name in systems:
        _check_parents(name, systems, found_in)
    corpora = load_corpora(*(f / "corpora" for f in extra if (f / "corpora").is_dir()))
    papers: dict[str, Paper] = {}
    for path in (path for f in (CATALOG, *extra) for path in sorted(f.glob("papers/*/paper.yaml"))):
        if (name := path.parent.name) in papers:
            raise BenchError(f"two papers are named {name!r}", where=path, remedy="rename one of them")
        papers[name] = _read_paper(path, systems, corpora)
    tiers = validated(Tiers, read_yaml(CATALOG / "tiers.yaml"), CATALOG / "tiers.yaml")
    for name, tier in tiers.tiers.items():
        for exception in tier.by_system:
            if exception not in systems:
                where = f"{CATALOG / 'tiers.yaml'}: {name}: by_system"
                raise unknown("system", exception, systems, where=where)
    return Catalog.model_construct(systems=systems, papers=papers, corpora=corpora, tiers=tiers)


def _read_systems(path: Path) -> dict[str, System]:
    if not path.exists():
        return {}
    return validated(Systems, read_yaml(path), path).root


def _check_parents(name: str, systems: dict[str, System], found_in: dict[str, Path]) -> None:
    seen = [name]
    while parent := (systems[seen[-1]].couples or systems[seen[-1]].extends):
        where = f"{found_in[seen[-1]]}: {seen[-1]}"
        if parent not in systems:
            raise unknown("system", parent, systems, where=where)
        if parent in seen:
            circle = " -> ".join([*seen, parent])
            raise BenchError(f"systems extend each other in a circle: {circle}", where=where)
        seen.append(parent)


def _read_paper(path: Path, systems: dict[str, System], corpora: dict[str, CorpusEntry]) -> Paper:
    paths = {"audits": path.with_name("audits.yaml"), "claims": path.with_name("claims.yaml")}
    models: dict[str, type[RootModel[Any]]] = {"audits": Audits, "claims": Claims}
    found = {key: _read_if_there(models[key], paths[key]) for key in paths}
    reported = _read_reported(path.with_name("reported.csv"))
    paper = validated(Paper, read_yaml(path) | {"reported": reported}, path).model_copy(update=found)
    for key in ("corpora", "by_corpus", "stand_ins"):
        for corpus in getattr(paper, key):
            if corpus not in corpora:
                raise unknown("corpus", corpus, corpora, where=f"{path}: {key}")
    for corpus, stand_in in paper.stand_ins.items():
        if stand_in.of not in paper.corpora:
            raise unknown("corpus", stand_in.of, paper.corpora, where=f"{path}: stand_ins: {corpus}")
    for place, names in _corpora_of(paper, path, paths):
        for corpus in names:
            if corpus not in paper.corpora:
                raise unknown("corpus", corpus, paper.corpora, where=place)
    for place, names in _systems_of(paper, path, paths):
        for system in names:
            if system not in systems:
                raise unknown("system", system, systems, where=place)
    for table in paper.tables:
        for column in table.columns:
            if column not in paper.measures:
                raise unknown("metric", column, paper.measures, where=f"{path}: {table.id}")
        for row in table.rows:
            for column, estimator in row.estimators.items():
                where = f"{path}: {table.id}: {row.label}"
                if column not in table.columns:
                    raise unknown("column", column, table.columns, where=where)
                metric = paper.measures[column].metric
                if (metric, estimator) not in DEFINITIONS:
                    raise unknown(
                        "estimator", estimator, [e for m, e in DEFINITIONS if m == metric], where=where
                    )
    tables = [table.id for table in paper.tables]
    for key, claim in paper.claims.items():
        if claim.differences and claim.differences.table not in (None, *tables):
            raise unknown("table", str(claim.differences.table), tables, where=f"{paths['claims']}: {key}")
    return paper


def _read_if_there(model: type[RootModel[Any]], path: Path) -> Any:
    return validated(model, read_yaml(path), path).root if path.exists() else {}


Named = Iterator[tuple[str, Iterable[str]]]  # (place, names)


def _corpora_of(paper: Paper, path: Path, paths: Mapping[str, Path]) -> Named:
    """The corpora that are named outside the paper's own list, by the place where they are named."""
    shown: tuple[Table | Texts | Figure, ...] = (*paper.tables, *paper.texts, *paper.figures)
    for one in shown:
        yield f"{path}: {one.id}", one.corpora
    for key, audit in paper.audits.items():
        for comparison in audit.comparisons:
            yield f"{paths['audits']}: {key}", comparison.corpora or ()
    for key, claim in paper.claims.items():
        yield f"{paths['claims']}: {key}", claim.corpora or ()


def _systems_of(paper: Paper, path: Path, paths: Mapping[str, Path]) -> Named:
    """The systems that a paper's files name, by the place where they are named."""
    yield f"{path}: by_system", paper.by_system
    for table in paper.tables:
        yield f"{path}: {table.id}", [row.system for row in table.rows]
    for texts in paper.texts:
        yield f"{path}: {texts.id}", texts.systems
    for figure in paper.figures:
        yield f"{path}: {figure.id}", (*figure.systems, *figure.beside)
    for key, audit in paper.audits.items():
        yield f"{paths['audits']}: {key}", audit.systems
    for key, claim in paper.claims.items():
        yield f"{paths['claims']}: {key}", claim.named()


def _read_reported(path: Path) -> list[dict[str, Any]]:
    columns = list(Reported.model_fields)
    if not path.exists():
        remedy = f"write it, if only with the line {','.join(columns)}"
        raise BenchError("a paper without its printed numbers", where=path, remedy=remedy)
    with path.open(encoding="utf-8", newline="") as handle:
        reader = csv.DictReader(handle)
        if reader.fieldnames != columns:
            raise BenchError(f"columns {reader.fieldnames}", where=path, allowed=columns)
        rows = [row | {"unit": canonical(row["unit"], f"{path}:{reader.line_num}")} for row in reader]
    return [row | {"bold": None if row["bold"] == "" else row["bold"] == "1"} for row in rows]
