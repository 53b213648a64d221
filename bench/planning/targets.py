"""What ``snakemake TARGET`` may ask for: the configured request, the demo, each paper, each part of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from bench.base.errors import unknown
from bench.base.validation import validated
from bench.catalog.catalog import Catalog
from bench.catalog.tables import PrintedFigure, PrintedTexts
from bench.planning.plan import Request

ALL = "all"  # the target that stands for the configuration itself


def typed(value: Any) -> Any:
    """``value`` with its texts read as YAML scalars: ``--config 'seeds=[0,1]'`` arrives as texts."""
    if isinstance(value, Mapping):
        return {key: typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [typed(item) for item in value]
    if not isinstance(value, str):
        return value
    try:
        scalar = yaml.safe_load(value)
    except yaml.YAMLError:
        return value
    return value if isinstance(scalar, (dict, list)) else scalar


def check_keys(config: Mapping[str, Any], known: Iterable[str], where: object) -> None:
    """Raise :class:`BenchError` with the nearest key for one that the workflow does not know."""
    names = list(known)
    for key in config:
        if key not in names:
            raise unknown("configuration key", str(key), names, where=where)


def request_of(config: Mapping[str, Any], catalog: Catalog, where: object) -> Request:
    """The request that the workflow's configuration makes; ``papers: null`` means all.

    Raises :class:`BenchError` naming ``where`` and the key.
    """
    values = {key: config[key] for key in Request.model_fields if config.get(key) is not None}
    return validated(Request, {"papers": tuple(catalog.papers), **values}, where)


def targets(catalog: Catalog, request: Request) -> dict[str, Request]:
    """All targets by name: ``all``, ``demo``, papers (``coupled-vae``), what they print (``coupled-vae_table1``,
    ``coupled-vae_figure2``), audits (``coupled-vae_audit-bleu-2``).

    All but ``demo`` keep the tier, corpora, seeds and settings of ``request``.
    """
    everything = {"tables": None, "systems": None}
    found = {ALL: request, "demo": request.model_copy(update={**everything, "tier": "demo", "corpora": None})}
    for name, paper in catalog.papers.items():
        whole = found[name] = request.model_copy(update={**everything, "papers": (name,)})
        shown: tuple[PrintedTexts | PrintedFigure, ...] = (*paper.texts, *paper.figures)
        for one in shown:
            found[f"{name}_{one.id}"] = _of_systems(catalog, whole, one.systems, one.corpora)
        for table in paper.tables:
            corpora = _corpora(catalog, whole, table.corpora)
            found[f"{name}_{table.id}"] = whole.model_copy(update={"tables": (table.id,), "corpora": corpora})
        for key, audit in paper.audits.items():
            found[audit_target(name, key)] = _of_systems(catalog, whole, audit.systems, paper.corpora)
    return found


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
