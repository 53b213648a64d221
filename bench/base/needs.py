"""What the parts of a system need of each other, as they declare it, and whether the system has it.

A need is a word: the name of a choice (``prior``), a kind of coupling (``twin``), a property that a part gives
(``density``) or the space of the codes (``sphere``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bench.base.errors import BenchError, unknown
from bench.base.registry import CHOICES, Registered, lookup, registry

# What every part of a choice needs, and what comes with a property, whichever part gives it.
ALWAYS = {
    "encoder": {"posterior": "codes are drawn from q(z|x)", "signal": "the decoder reads h, a map of z"},
    "posterior": {"encoder": "it reads the encoded text"},
    "signal": {"encoder": "there is no code without one"},
    "prior": {"posterior": "a language model has no codes"},
    "coupling": {"posterior": "the twin has codes of its own"},
    "density": {"prior": "the likelihood of a text is measured with both"},
}
USED = ("prior", "twin")  # what a system has only if some part needs it


@dataclass(frozen=True)
class Need:
    """That a part needs ``what``, and ``why``."""

    part: str
    what: str
    why: str


def check_needs(parts: Iterable[tuple[str, str]]) -> None:
    """Raise :class:`BenchError` unless these parts (choice, kind) give what each of them needs."""
    entries = [lookup(choice, kind) for choice, kind in parts]
    given = _given(entries)
    needs = [need for entry in entries for need in _needs(entry)]
    for need in needs:
        if need.what not in given:
            raise BenchError(f"{need.part} needs {_noun(need.what)}: {need.why}", allowed=_givers(need.what))
    _check_spaces(entries)
    for what in USED:
        if what in given and all(need.what != what for need in needs):
            users = [_name(one) for one in _all() if what in _own_needs(one)]
            raise BenchError(f"nothing would use the {what}: no part of this system needs it", allowed=users)


def check_names(
    parts: Iterable[tuple[str, str, Mapping[str, Any]]], known: Mapping[str, Collection[str]]
) -> None:
    """Raise :class:`BenchError` unless what options name exists.

    ``parts`` are (choice, kind, options); ``known`` has the names of all ``terms`` and ``groups``. An option that names
    some is marked so: ``Field(json_schema_extra={"names": "terms"})``.
    """
    for choice, kind, options in parts:
        for option, field in lookup(choice, kind).options.model_fields.items():
            mark = field.json_schema_extra
            what = str(mark["names"]) if isinstance(mark, dict) and "names" in mark else None
            if what is None:
                continue
            value = options[option]
            for name in (value,) if isinstance(value, str) else value:
                if name not in known[what]:
                    where = f"{choice} {kind}: {option}"
                    raise unknown(what.removesuffix("s"), name, known[what], where=where)


def given_by(parts: Iterable[tuple[str, str]]) -> set[str]:
    """What these parts (choice, kind) give."""
    return _given(lookup(choice, kind) for choice, kind in parts)


def _given(entries: Iterable[Registered]) -> set[str]:
    return {what for entry in entries for what in _gifts(entry)}


def _check_spaces(entries: list[Registered]) -> None:
    """Posterior and prior have their codes in the same space."""
    spaces = {entry.choice: entry for entry in entries if entry.choice in ("posterior", "prior")}
    if len({entry.space for entry in spaces.values()}) < 2:
        return
    posterior, prior = spaces["posterior"], spaces["prior"]
    raise BenchError(
        f"{_name(posterior)} has its codes in space {posterior.space!r}, {_name(prior)} in {prior.space!r}",
        allowed=[_name(one) for one in _all() if one.choice == "prior" and one.space == posterior.space],
    )


def _gifts(entry: Registered) -> tuple[str, ...]:
    """What a part gives to the others."""
    own = {"coupling": (entry.kind,), "posterior": (entry.choice, entry.space)}
    return (*own.get(entry.choice, (entry.choice,)), *entry.gives)


def _own_needs(entry: Registered) -> dict[str, str]:
    """What a part needs and why: what it declares, and what its choice and its properties ask for."""
    found = dict(ALWAYS.get(entry.choice, {}))
    for what in entry.gives:
        found |= ALWAYS.get(what, {})
    return found | dict(entry.needs)


def _needs(entry: Registered) -> Iterator[Need]:
    for what, why in _own_needs(entry).items():
        yield Need(_name(entry), what, why)


def _givers(what: str) -> list[str]:
    """The parts that give ``what``."""
    return [_name(entry) for entry in _all() if what in _gifts(entry)]


def _all() -> Iterator[Registered]:
    for kinds in registry().values():
        yield from kinds.values()


def _name(entry: Registered) -> str:
    return f"{entry.choice} {entry.kind!r}"


def _noun(what: str) -> str:
    """A choice with its article, a property as it is written in the mark."""
    if what not in CHOICES:
        return f"the property {what!r}"
    return f"{'an' if what[0] in 'aeiou' else 'a'} {what}"
