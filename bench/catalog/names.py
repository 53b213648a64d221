"""Whether each name in a paper's files is known: corpora, systems, columns, tables, estimators, tiers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from bench.base.errors import unknown
from bench.catalog.papers import FILE, TABLES, Paper
from bench.catalog.quantities import estimators
from bench.catalog.tables import PrintedFigure, PrintedTable, PrintedTexts
from bench.catalog.tiers import Tiers
from bench.metrics.measures import kinds, measures

Named = Iterator[tuple[str, Iterable[str]]]  # (file and key, the names there)


def check_names(
    paper: Paper, folder: Path, systems: Iterable[str], corpora: Iterable[str], tiers: Tiers
) -> None:
    """Raise :class:`BenchError` for a name that is not known, with the nearest one that is."""
    _check("corpus", _corpora_of_catalog(paper, folder), corpora)
    _check("corpus", _corpora_of_paper(paper, folder), paper.corpora)
    _check("system", _systems(paper, folder), systems)
    _check("tier", iter([(str(folder / "tiers.yaml"), paper.tiers)]), tiers.tiers)
    _check("table", _tables(paper, folder), [table.id for table in paper.tables])
    _check(
        "kind of texts", ((f"{folder / TABLES}: {texts.id}", [texts.shows]) for texts in paper.texts), kinds()
    )
    for key in ("measures", "also"):
        chosen = (paper.protocol.get("evaluation") or {}).get(key) or ()
        _check("measure", iter([(f"{folder / FILE}: protocol: evaluation: {key}", chosen)]), measures())
    for table in paper.tables:
        _check_table(paper, table, f"{folder / TABLES}: {table.id}")


def _check(noun: str, named: Named, known: Iterable[str]) -> None:
    known = list(known)
    for where, names in named:
        for name in names:
            if name not in known:
                raise unknown(noun, name, known, where=where)


def _corpora_of_catalog(paper: Paper, folder: Path) -> Named:
    """Corpora that any catalog folder may declare."""
    yield f"{folder / FILE}: corpora", paper.corpora
    yield f"{folder / FILE}: by_corpus", paper.by_corpus
    yield f"{folder / FILE}: stand_ins", paper.stand_ins
    for name, tier in paper.tiers.items():
        yield f"{folder / 'tiers.yaml'}: {name}", tier.corpora or ()


def _corpora_of_paper(paper: Paper, folder: Path) -> Named:
    """Corpora that must be among those of the paper."""
    for corpus, stand_in in paper.stand_ins.items():
        yield f"{folder / FILE}: stand_ins: {corpus}", [stand_in.of]
    shown: tuple[PrintedTable | PrintedTexts | PrintedFigure, ...]
    shown = (*paper.tables, *paper.texts, *paper.figures)
    for one in shown:
        yield f"{folder / TABLES}: {one.id}", one.corpora
    for key, audit in paper.audits.items():
        for comparison in audit.comparisons:
            yield f"{folder / 'audits.yaml'}: {key}", comparison.corpora or ()
    for key, claim in paper.claims.items():
        yield f"{folder / 'claims.yaml'}: {key}", claim.corpora or ()


def _systems(paper: Paper, folder: Path) -> Named:
    yield f"{folder / FILE}: by_system", paper.by_system
    tables = folder / TABLES
    yield f"{tables}: reference", [paper.reference] if paper.reference else []
    yield f"{tables}: pairs", [system for pair in paper.pairs or () for system in pair]
    quantities = (paper.quantities, *(table.quantities for table in paper.tables))
    over = [one.relative_to for declared in quantities for one in declared.values()]
    yield f"{tables}: relative_to", filter(None, over)
    for table in paper.tables:
        yield f"{tables}: {table.id}", [row.system for row in table.rows]
    for texts in paper.texts:
        yield f"{tables}: {texts.id}", texts.systems
    for figure in paper.figures:
        yield f"{tables}: {figure.id}", (*figure.systems, *figure.beside)
    for key, audit in paper.audits.items():
        yield f"{folder / 'audits.yaml'}: {key}", audit.systems
    for key, claim in paper.claims.items():
        yield f"{folder / 'claims.yaml'}: {key}", claim.named()
    for name, tier in paper.tiers.items():
        yield f"{folder / 'tiers.yaml'}: {name}: by_system", tier.by_system


def _tables(paper: Paper, folder: Path) -> Named:
    for key, claim in paper.claims.items():
        of_claim = claim.differences.table if claim.differences else None
        yield f"{folder / 'claims.yaml'}: {key}", [of_claim] if of_claim else []
    for name, tier in paper.tiers.items():
        yield f"{folder / 'tiers.yaml'}: {name}", tier.tables or ()


def _check_table(paper: Paper, table: PrintedTable, where: str) -> None:
    """Check the columns of a table, the estimators of its rows and the systems of its pairs."""
    known = {**paper.quantities, **table.quantities}
    _check("column", iter([(f"{where}: quantities", table.quantities)]), table.columns)
    _check("metric", iter([(where, table.columns)]), known)
    in_rows = [row.system for row in table.rows]
    _check("system", iter((f"{where}: pairs", pair) for pair in table.pairs or ()), in_rows)
    for row in table.rows:
        _check("column", iter([(f"{where}: {row.label}", (*row.estimators, *row.of_corpus))]), table.columns)
        for column, estimator in row.estimators.items():
            named = iter([(f"{where}: {row.label}", [estimator])])
            _check("estimator", named, estimators(known[column].metric))
