"""How parts are written in a declaration: their short forms in full, and options that are not named.

In full, a part is ``{kind: gru, options: {hidden: 128}}`` and a term ``{kind: kl, options: {}, weight: part}``. The
short forms are ``gru``, ``{kind: gru, hidden: 128}`` and a number for a constant weight. A term that names no kind has
that of its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.base.errors import BenchError
from bench.base.registry import NONE, REQUIRED, SINGLE, lookup, registry
from bench.base.validation import validated

OBJECTIVE = "objective"
RECONSTRUCTION = "reconstruction"  # the term that a system has unless it says otherwise
RESERVED = ("total", "gradient_norm", "step", "epoch", "seconds", "learning_rate", "tokens_per_second")


def in_full(layer: Mapping[str, Any]) -> dict[str, Any]:
    """Settings, or some of them, with every part in full; one that names no kind stays without.

    What is no part at all stays as it is.
    """
    found = dict(layer)
    for choice in SINGLE:
        if choice in found:
            found[choice] = _part(found[choice])
    if isinstance(found.get(OBJECTIVE), Mapping):
        found[OBJECTIVE] = {name: _term(term) for name, term in found[OBJECTIVE].items()}
    return found


def _part(value: Any) -> Any:
    if isinstance(value, str):
        return {"kind": value, "options": {}}
    if not isinstance(value, Mapping) or isinstance(value.get("options"), Mapping):
        return value
    kind = {"kind": value["kind"]} if "kind" in value else {}
    return {**kind, "options": {key: inner for key, inner in value.items() if key != "kind"}}


def _term(value: Any) -> Any:
    value = {} if value is None else value
    if not isinstance(value, Mapping):
        return _part(value)
    found = _part({key: inner for key, inner in value.items() if key != "weight"})
    return {**found, "weight": _weight(value["weight"])} if "weight" in value else found


def _weight(value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return {"kind": "constant", "options": {"value": value}}
    return _part(value)


def full(choice: str, value: Any) -> Any:
    """One part in full, with the defaults of the options that it does not name. Raises :class:`BenchError`."""
    return _filled(choice, _part(value))


def merged(choice: str, old: Any, new: Any, kind: str | None = None) -> Any:
    """A part in full with another laid over it: options merge; of those of another kind, what both kinds have stays.

    A term keeps its weight when its kind changes, unless it is ``none``; ``kind`` is that of its name.
    """
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return new
    if NONE in (new.get("kind"), old.get("kind")) and "kind" in new:
        return new
    before, after = old.get("kind", kind), new.get("kind", old.get("kind", kind))
    kept = old["options"]
    if before != after:
        shared = option_names(choice, before) & option_names(choice, after)
        kept = {option: value for option, value in kept.items() if option in shared}
    found = {**old, **new, "options": {**kept, **new["options"]}}
    if "weight" in old and "weight" in new:
        found["weight"] = merged("weight", old["weight"], new["weight"])
    return found


def option_names(choice: str, kind: Any) -> set[str]:
    """The options that a kind of part has; none for an unknown kind."""
    entry = registry()[choice].get(kind) if isinstance(kind, str) else None
    return set(entry.options.model_fields) if entry else set()


def complete(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with every part in full, each with all options of its kind; terms that are ``none`` are left out.

    The terms are in an order of their own, in which they are computed: first the reconstruction, last those of the
    twin. Raises :class:`BenchError` for an unknown kind or option.
    """
    found = in_full(values)
    for choice in SINGLE:
        if choice in found:
            found[choice] = _filled(choice, found[choice])
    if isinstance(found.get(OBJECTIVE), Mapping):
        found[OBJECTIVE] = _objective(found[OBJECTIVE])
    return found


def _objective(terms: Mapping[str, Any]) -> dict[str, Any]:
    terms = {RECONSTRUCTION: {"options": {}}, **terms}
    found = {name: _full_term(name, term) for name, term in terms.items()}
    found = {name: term for name, term in found.items() if not _is(term, NONE)}
    return dict(sorted(found.items(), key=lambda item: _place(*item)))


def _place(name: str, term: Any) -> tuple[bool, bool, str]:
    kind = term.get("kind") if isinstance(term, Mapping) else None
    return name != RECONSTRUCTION, isinstance(kind, str) and "twin" in lookup("term", kind).needs, name


def _full_term(name: str, term: Any) -> Any:
    if not isinstance(term, Mapping) or isinstance(term.get("kind", name), Mapping):
        return term
    if name in RESERVED or name.endswith("_weight"):
        raise BenchError(f"a term cannot be named {name!r}: the log has such a column", where=OBJECTIVE)
    if _is(term, NONE):
        if term["options"] or "weight" in term:
            raise BenchError(f"term {name!r} is 'none' and takes neither options nor a weight, found {term}")
        return term
    weight = term.get("weight", _weight(1.0))
    full = _filled("term", {**term, "kind": term.get("kind", name)}, name)
    return {**full, "weight": _filled("weight", weight, f"{name}: weight")}


def _is(part: Any, kind: str) -> bool:
    return isinstance(part, Mapping) and part.get("kind") == kind


def _filled(choice: str, part: Any, where: str | None = None) -> Any:
    """A part in full with the defaults of the options that it does not name."""
    if not isinstance(part, Mapping) or not isinstance(part.get("kind"), str):
        return part
    kind, options = part["kind"], part.get("options")
    if kind == NONE and choice in SINGLE and choice not in REQUIRED:
        if options:
            raise BenchError(f"{choice} is 'none' and takes no options, found {options}")
        return part
    place = f"{choice} {kind}" if where is None else f"{where}: {choice} {kind}"
    entry = lookup(choice, kind, where=where)
    return {**part, "options": validated(entry.options, options, place).model_dump()}
