"""What ``snakemake TARGET`` may ask for: the configured request, the demo, each paper, each part of it."""

from __future__ import annotations

from bench.catalog.catalog import Catalog
from bench.catalog.papers import Paper
from bench.catalog.tables import PrintedFigure, PrintedTexts
from bench.planning.plan import Request

ALL = "all"  # the target that stands for the configuration itself


def targets(catalog: Catalog, request: Request) -> dict[str, Request]:
    """All targets by name: ``all``, ``demo``, ``demo-full``, papers (``coupled-vae``), what they print
    (``coupled-vae_table1``, ``coupled-vae_figure2``), audits (``coupled-vae_audit-bleu-2``).

    All but the demos keep the tier, corpora, seeds and settings of ``request``. ``demo-full`` has every system of the
    demo's tables once, ``demo`` those that the tier names.
    """
    everything = {"tables": None, "systems": None}
    demo = request.model_copy(update={**everything, "tier": "demo", "corpora": None})
    found = {ALL: request, "demo": demo, "demo-full": demo.model_copy(update={"every_system": True})}
    for name, paper in catalog.papers.items():
        whole = found[name] = request.model_copy(update={**everything, "papers": (name,)})
        shown: tuple[PrintedTexts | PrintedFigure, ...] = (*paper.texts, *paper.figures)
        for one in shown:
            found[f"{name}_{one.id}"] = _of_systems(catalog, whole, one.systems, one.corpora)
        for table in paper.tables:
            corpora = _corpora(catalog, whole, table.corpora)
            found[f"{name}_{table.id}"] = whole.model_copy(update={"tables": (table.id,), "corpora": corpora})
        for key, audit in paper.audits.items():
            printed = _printed(paper, audit.systems)
            found[audit_target(name, key)] = _of_systems(catalog, whole, audit.systems, printed)
    return found


def _printed(paper: Paper, systems: tuple[str, ...]) -> tuple[str, ...]:
    """The corpora of the tables that show any of these systems, or all of the paper where none does."""
    shown = {
        corpus
        for table in paper.tables
        if not {row.system for row in table.rows}.isdisjoint(systems)
        for corpus in table.corpora
    }
    return tuple(corpus for corpus in paper.corpora if corpus in shown) or paper.corpora


def audit_target(paper: str, audit: str) -> str:
    """The target that runs what an audit asks for."""
    return f"{paper}_audit-{audit}"


def _corpora(catalog: Catalog, request: Request, printed: tuple[str, ...]) -> tuple[str, ...]:
    (paper,) = request.papers
    return request.corpora or catalog.budget(request.tier, paper).corpora or printed


def _of_systems(
    catalog: Catalog, request: Request, systems: tuple[str, ...], printed: tuple[str, ...]
) -> Request:
    """The request for those of ``systems`` that can be built; for all, and hence its message, if none can."""
    (paper,) = request.papers
    buildable = tuple(system for system in systems if not catalog.missing(paper, system))
    return request.model_copy(
        update={"systems": buildable or systems, "corpora": _corpora(catalog, request, printed)}
    )
