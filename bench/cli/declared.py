"""``bench list``: what the catalog and the registry of parts declare."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.base.registry import Registered, registry
from bench.catalog.catalog import Catalog
from bench.catalog.systems import SHARED, System


def declared(catalog: Catalog, what: str) -> Iterator[tuple[str, str, str]]:
    """(name, title, what it is) of everything declared of one kind."""
    if what == "systems":
        yield from _systems(catalog)
    elif what == "corpora":
        yield from ((name, c.title, c.about) for name, c in sorted(catalog.corpora.items()))
    elif what == "papers":
        yield from ((name, f"{p.short} ({p.venue} {p.year})", p.title) for name, p in catalog.papers.items())
    elif what == "tiers":
        yield from ((name, "", t.about) for name, t in catalog.tiers.tiers.items())
    else:
        for choice, kinds in registry().items():
            yield from ((f"{choice} {kind}", _options(part), part.about) for kind, part in kinds.items())


def _systems(catalog: Catalog) -> Iterator[tuple[str, str, str]]:
    """The shared systems by their names, those of a paper after its name."""
    for (scope, name), system in catalog.systems.declared.items():
        yield name if scope == SHARED else f"{scope}/{name}", system.title, _about(system)


def _about(system: System) -> str:
    if system.missing:
        return f"Cannot be built yet: {system.missing}."
    if system.about:
        return system.about
    changes = "; ".join(f"{choice} {_setting(part)}" for choice, part in system.parts().items())
    return f"As {system.parent}, but {changes}."


def _setting(part: Any) -> str:
    return ", ".join(f"{k} {_setting(v)}" for k, v in part.items()) if isinstance(part, dict) else str(part)


def _options(part: Registered) -> str:
    fields = part.options.model_fields.items()
    return ", ".join(name if field.is_required() else f"{name}={field.default}" for name, field in fields)
