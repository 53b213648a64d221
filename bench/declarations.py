"""The catalog as typed objects: systems, papers with their protocols, tables, audits and claims, tiers."""

from __future__ import annotations

import csv
import functools
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BeforeValidator, Field, RootModel, model_validator

from bench.corpora.entry import CorpusEntry, load_corpora
from bench.errors import BenchError, unknown
from bench.metrics.definitions import DEFINITIONS
from bench.parts import CHOICES
from bench.settings import Model, Name
from bench.validation import read_yaml, validated

CATALOG = Path(__file__).parent / "catalog"
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
    regulariser: Any = None
    aggregate: Any = None
    schedule: Any = None
    coupling: Any = None
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
        names = (*CHOICES, "starts_from")
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


class Texts(Model):
    """A printed table of texts instead of numbers: what these systems decode, side by side."""

    id: Name
    printed: str
    title: str
    corpora: tuple[Name, ...]
    systems: tuple[Name, ...]
    shows: Literal["samples", "interpolations"]


# What is measured at each validation: gradients of all reconstruction losses and of the regulariser with respect
# to the encoded text, and how much the decoding signal follows it.
CurveName = Literal["reconstruction-gradient", "regulariser-gradient", "signal-sensitivity"]


class Figure(Model):
    """A printed figure of curves over training; ``beside`` are systems drawn too that the print lacks."""

    id: Name
    printed: str
    title: str
    corpora: tuple[Name, ...]
    systems: tuple[Name, ...]
    beside: tuple[Name, ...] = ()
    panels: tuple[CurveName, ...]


def _metric_alone(value: Any) -> Any:
    return {"metric": value} if isinstance(value, str) else value


class Quantity(Model):
    """A metric and its estimator; with null the one that repeats the paper's, else the system's main one."""

    metric: str
    estimator: str | None = None

    @model_validator(mode="after")
    def _defined(self) -> Self:
        if self.metric not in {metric for metric, _ in DEFINITIONS}:
            raise ValueError(unknown("metric", self.metric, sorted({metric for metric, _ in DEFINITIONS})))
        if self.estimator is not None and (self.metric, self.estimator) not in DEFINITIONS:
            known = [estimator for metric, estimator in DEFINITIONS if metric == self.metric]
            raise ValueError(unknown(f"estimator of {self.metric}", self.estimator, known))
        return self


QuantityField = Annotated[Quantity, BeforeValidator(_metric_alone)]
Direction = Literal["higher", "lower"]
Pair = tuple[Name, Name]  # baseline and the other system


class Comparison(Model):
    """The other system minus the baseline; null corpora are all."""

    label: str
    baseline: Name
    other: Name
    metrics: tuple[QuantityField, ...] = Field(min_length=1)
    corpora: tuple[Name, ...] | None = None


class Contrast(Model):
    """The effect of one comparison minus that of another, both named by their labels."""

    label: str
    first: str
    second: str


CheckName = Literal["information-above-kl", "triangle-inequality", "bold-cells"]


class Audit(Model):
    """A question about a paper's procedure: what is run to answer it, and what of it is shown."""

    title: str
    question: str
    method: str
    surer: str
    systems: tuple[Name, ...] = Field(min_length=1)
    values: tuple[QuantityField, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    contrasts: tuple[Contrast, ...] = ()
    checks: tuple[CheckName, ...] = ()

    @model_validator(mode="after")
    def _names(self) -> Self:
        for comparison in self.comparisons:
            for system in (comparison.baseline, comparison.other):
                if system not in self.systems:
                    raise ValueError(unknown("system", system, self.systems, where=comparison.label))
        labels = [comparison.label for comparison in self.comparisons]
        for contrast in self.contrasts:
            for label in (contrast.first, contrast.second):
                if label not in labels:
                    raise ValueError(unknown("comparison", label, labels, where=contrast.label))
        return self


class Audits(RootModel[dict[Name, Audit]]):
    """The content of an ``audits.yaml``."""


class Differences(Model):
    """Each pair differs in this direction in each metric; ``against`` is the baseline's where it is another.

    ``table`` stands for all pairs of baseline and twin that the table prints.
    """

    pairs: tuple[Pair, ...] = ()
    table: Name | None = None
    metrics: tuple[QuantityField, ...] = Field(min_length=1)
    against: QuantityField | None = None
    direction: Direction

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if bool(self.pairs) == (self.table is not None):
            raise ValueError("name one of pairs, table")
        return self


class Trend(Model):
    """Each step along each chain of systems differs in this direction in each metric."""

    chains: tuple[Annotated[tuple[Name, ...], Field(min_length=2)], ...] = Field(min_length=1)
    metrics: tuple[QuantityField, ...] = Field(min_length=1)
    direction: Direction


class Sensitivity(Model):
    """The metric's range (largest minus smallest) over the systems ``more`` exceeds that over ``less``."""

    metric: QuantityField
    more: Annotated[tuple[Name, ...], Field(min_length=2)]
    less: Annotated[tuple[Name, ...], Field(min_length=2)]


class Interaction(Model):
    """The effect of ``first`` (other minus baseline) on the metric is another than that of each of ``others``."""

    metric: QuantityField
    first: Pair
    others: tuple[Pair, ...] = Field(min_length=1)


class Shape(Model):
    """How a curve of a system runs over training, or while the weight of the regulariser rises."""

    system: Name
    curve: CurveName
    shape: Literal[
        "grows", "rises then falls", "falls", "does not fall", "falls at the end", "does not fall at the end"
    ]
    during: Literal["training", "annealing"] = "training"


PREDICATES = ("differences", "trend", "sensitivity", "interaction", "shapes")


class Claim(Model):
    """A sentence of a paper in our own words, and the one predicate over measurements that tests it."""

    where: str
    statement: str
    corpora: tuple[Name, ...] | None = Field(None, description="null: those of the paper")
    differences: Differences | None = None
    trend: Trend | None = None
    sensitivity: Sensitivity | None = None
    interaction: Interaction | None = None
    shapes: tuple[Shape, ...] = ()

    @model_validator(mode="after")
    def _one_predicate(self) -> Self:
        if sum(bool(getattr(self, name)) for name in PREDICATES) != 1:
            raise ValueError(f"name one of {', '.join(PREDICATES)}")
        return self

    def named(self) -> Iterator[str]:
        """The systems that it names itself (not those of a table)."""
        if self.differences:
            yield from (system for pair in self.differences.pairs for system in pair)
        if self.trend:
            yield from (system for chain in self.trend.chains for system in chain)
        if self.sensitivity:
            yield from (*self.sensitivity.more, *self.sensitivity.less)
        if self.interaction:
            yield from (*self.interaction.first, *(s for pair in self.interaction.others for s in pair))
        yield from (shape.system for shape in self.shapes)


class Claims(RootModel[dict[Name, Claim]]):
    """The content of a ``claims.yaml``."""


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
    measures: dict[str, Measure]
    tables: tuple[Table, ...]
    texts: tuple[Texts, ...] = ()
    figures: tuple[Figure, ...] = ()
    audits: dict[Name, Audit] = Field(default_factory=dict)
    claims: dict[Name, Claim] = Field(default_factory=dict)
    reported: tuple[Reported, ...] = ()


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
    for key in ("corpora", "by_corpus"):  # a protocol may speak of a corpus that stands in for a printed one
        for corpus in getattr(paper, key):
            if corpus not in corpora:
                raise unknown("corpus", corpus, corpora, where=f"{path}: {key}")
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
        rows = list(reader)
    return [row | {"bold": None if row["bold"] == "" else row["bold"] == "1"} for row in rows]
