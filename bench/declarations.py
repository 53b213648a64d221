"""The catalog as typed objects: systems, papers with their protocols and tables, tiers."""

from __future__ import annotations

import csv
import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import Field, RootModel, model_validator

from bench.corpora.entry import CorpusEntry, load_corpora
from bench.errors import BenchError, unknown
from bench.parts import CHOICES
from bench.settings import Model, Name
from bench.validation import read_yaml, validated

CATALOG = Path(__file__).parent / "catalog"
T = TypeVar("T")


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
    decoder: Any = None
    regulariser: Any = None
    schedule: Any = None
    coupling: Any = None
    procedure: Any = None

    @model_validator(mode="after")
    def _one_parent(self) -> Self:
        if self.couples and self.extends:
            raise ValueError("couples already extends the baseline: name one of couples, extends")
        return self

    def parts(self) -> dict[str, Any]:
        """The choices that this declaration makes itself."""
        return {choice: getattr(self, choice) for choice in CHOICES if getattr(self, choice) is not None}


class Systems(RootModel[dict[Name, System]]):
    """The content of a ``systems.yaml``."""


class Measure(Model):
    """Which measurement repeats a printed quantity; ``estimator`` null takes the system's only one."""

    metric: Name | str
    estimator: str | None
    decimals: int = Field(ge=0)
    better: Literal["lower", "higher"] | None = None


class Row(Model):
    """One row of a printed table."""

    label: str
    system: Name
    setting: str = ""


class Table(Model):
    """One printed table: rows in the paper's order, columns = corpus x metric."""

    id: Name
    printed: str
    title: str
    corpora: tuple[Name, ...]
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


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


class Paper(Model):
    """A paper: its protocol, the tables it prints and the numbers in them."""

    title: str
    short: str
    authors: str
    year: int
    venue: str
    corpora: tuple[Name, ...]
    protocol: dict[str, Any]
    by_corpus: dict[Name, dict[str, Any]] = Field(default_factory=dict)
    by_system: dict[Name, dict[str, Any]] = Field(default_factory=dict)
    measures: dict[str, Measure]
    tables: tuple[Table, ...]
    reported: tuple[Reported, ...] = ()


class Tier(Model):
    """How much is spent."""

    about: str
    corpora: tuple[Name, ...] | None = Field(None, description="null: the corpora of the paper")
    tables: tuple[Name, ...] | None = Field(None, description="null: the systems of all tables")
    scale: float = Field(gt=0, le=1)
    overrides: dict[str, Any] = Field(default_factory=dict)


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


def _get(known: Mapping[str, T], noun: str, name: str) -> T:
    if name not in known:
        raise unknown(noun, name, known)
    return known[name]


def load_catalog(*extra: Path) -> Catalog:
    """The package's catalog, and that of each folder in ``extra`` and ``BENCH_CATALOG`` (``:`` between them).

    A folder may hold ``systems.yaml`` and ``corpora/*.yaml``; a name that is declared twice is an error.
    """
    paths = os.environ.get("BENCH_CATALOG", "")
    return _load((*extra, *(Path(p) for p in paths.split(os.pathsep) if p)))


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
    paths = sorted(CATALOG.glob("papers/*/paper.yaml"))
    papers = {path.parent.name: _read_paper(path, systems, corpora) for path in paths}
    tiers = validated(Tiers, read_yaml(CATALOG / "tiers.yaml"), CATALOG / "tiers.yaml")
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
    paper = validated(
        Paper, read_yaml(path) | {"reported": _read_reported(path.with_name("reported.csv"))}, path
    )
    for corpus in paper.corpora:
        if corpus not in corpora:
            raise unknown("corpus", corpus, corpora, where=f"{path}: corpora")
    for corpus in (*paper.by_corpus, *(corpus for table in paper.tables for corpus in table.corpora)):
        if corpus not in paper.corpora:
            raise unknown("corpus", corpus, paper.corpora, where=path)
    for system in paper.by_system:
        if system not in systems:
            raise unknown("system", system, systems, where=f"{path}: by_system")
    for table in paper.tables:
        for row in table.rows:
            if row.system not in systems:
                raise unknown("system", row.system, systems, where=f"{path}: {table.id}")
        for column in table.columns:
            if column not in paper.measures:
                raise unknown("metric", column, paper.measures, where=f"{path}: {table.id}")
    return paper


def _read_reported(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    return [row | {"bold": None if row["bold"] == "" else row["bold"] == "1"} for row in rows]
