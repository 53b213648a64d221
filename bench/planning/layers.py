"""Layers of settings: one laid over another, parts merged by their kind, schedules scaled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.base.errors import unknown
from bench.base.parts import OBJECTIVE, RECONSTRUCTION, merged, option_names
from bench.base.registry import NONE, SINGLE, registry

Layer = Mapping[str, Any]


def merge(base: Layer, change: Layer) -> dict[str, Any]:
    """``base`` with ``change`` laid over it, both with their parts in full: mappings merge, the rest replaces.

    Where the kind of a part changes, it keeps the options that both kinds have.
    """
    found = dict(base)
    for key, value in change.items():
        old = found.get(key)
        if key in SINGLE:
            found[key] = merged(key, old, value)
        elif key == OBJECTIVE and isinstance(old, Mapping) and isinstance(value, Mapping):
            found[key] = {**old} | {
                name: merged("term", old.get(name), term, name) for name, term in value.items()
            }
        elif isinstance(old, Mapping) and isinstance(value, Mapping):
            found[key] = merge(old, value)
        else:
            found[key] = value
    return found


def scaled(values: dict[str, Any], paths: Sequence[str], scale: float) -> dict[str, Any]:
    """Multiply each of the numbers at ``paths`` by ``scale``, at least 1 unless it was 0.

    A path names keys as a declaration does, without ``options``; ``*`` stands for every key.
    """
    for path in paths:
        values = _scaled_at(values, path.split("."), scale)
    return values


def _scaled_at(values: Layer, keys: Sequence[str], scale: float) -> dict[str, Any]:
    found, (first, *rest) = dict(values), keys
    if first not in found and isinstance(found.get("options"), Mapping):
        return {**found, "options": _scaled_at(found["options"], keys, scale)}
    for key in found if first == "*" else [first] if first in found else []:
        held = found[key]
        if rest and isinstance(held, Mapping):
            found[key] = _scaled_at(held, rest, scale)
        elif (
            not rest and isinstance(held, int | float) and held > 0
        ):  # anything else is named when it is checked
            found[key] = max(1, round(held * scale))
    return found


def fitting(layer: Layer, values: Layer, where: str) -> dict[str, Any]:
    """``layer`` without options that the system's parts do not take: a tier speaks to all systems at once.

    Raises :class:`BenchError` for an option that no part of that choice takes.
    """
    found = dict(layer)
    for choice in set(SINGLE) & set(layer):
        found[choice] = _fitting_part(layer[choice], values.get(choice), choice, where)
    if isinstance(layer.get(OBJECTIVE), Mapping):
        terms = values.get(OBJECTIVE) or {}
        found[OBJECTIVE] = {
            name: _fitting_term(name, term, terms.get(name), where) for name, term in layer[OBJECTIVE].items()
        }
    return found


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
    known = {option for one in registry()[choice] for option in option_names(choice, one)}
    for option in part["options"]:
        if option not in known:
            raise unknown("option", option, known, where=f"{where}: {choice}")
    taken = option_names(choice, _kind(own) or kind)
    return {**part, "options": {option: v for option, v in part["options"].items() if option in taken}}


def applicable(layer: Layer, values: Layer, terms: Iterable[str]) -> dict[str, Any]:
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
