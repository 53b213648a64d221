"""The one exception that a user is meant to read: what happened, to what, what is allowed, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LIKE = 0.6  # as in difflib: below, two names are not like each other
SWAPPED = 0.9
MANY, SHOWN = 40, 8  # more names than MANY are a wall that nobody reads: so many of them are shown
LISTS = {"system": "`bench list systems`", "corpus": "`bench list corpora`", "target": "`snakemake --list`"}


class BenchError(Exception):
    """A mistake or a fault outside the code, told so that it can be mended.

    ``what`` says what happened, ``where`` names the file, key or run, ``allowed`` lists what would
    have been accepted, ``remedy`` says what to do. The command line prints it and exits with 2.
    """

    def __init__(
        self,
        what: str,
        *,
        where: object | None = None,
        allowed: Iterable[object] | None = None,
        remedy: str | None = None,
    ) -> None:
        self.what, self.where, self.remedy = what, where, remedy
        self.allowed = None if allowed is None else [str(a) for a in allowed]
        lines = [what]
        if where is not None:
            lines.append(f"  where:   {where}")
        if self.allowed is not None:
            lines.append(f"  allowed: {', '.join(self.allowed) or '(nothing)'}")
        if remedy is not None:
            lines.append(f"  remedy:  {remedy}")
        super().__init__("\n".join(lines))


def unknown(noun: str, name: str, known: Iterable[str], *, where: object | None = None) -> BenchError:
    """The error for a name that is not registered, with the nearest one that is.

    Of very many names it shows those that are most like it, and says what lists them all.
    """
    names = sorted(known)
    if not name.strip():
        allowed = names if len(names) <= MANY else None
        remedy = "nothing is named so: is there a comma too many?"
        return BenchError(f"unknown {noun} {name!r}", where=where, allowed=allowed, remedy=remedy)
    near = nearest(name, names)
    remedy = f"did you mean {near!r}?" if near else f"choose one of the {len(names)} listed"
    if len(names) <= MANY:
        return BenchError(f"unknown {noun} {name!r}", where=where, allowed=names, remedy=remedy)
    like = sorted(_by_likeness(name, names)[:SHOWN])
    shown = [*like, f"and {len(names) - len(like)} others"]
    listed = f"{LISTS[noun]} lists all" if noun in LISTS else None
    remedy = " ".join(filter(None, (near and remedy, listed)))
    return BenchError(f"unknown {noun} {name!r}", where=where, allowed=shown, remedy=remedy or None)


def nearest(name: str, known: Iterable[str], like: float = LIKE) -> str | None:
    """The one of the ``known`` names that is most like ``name``, if any is so ``like`` it."""
    found = _by_likeness(name, known)
    return found[0] if found and _likeness(name, found[0]) >= like else None


def _by_likeness(name: str, known: Iterable[str]) -> list[str]:
    return sorted(known, key=lambda one: -_likeness(name, one))


def _likeness(name: str, other: str) -> float:
    """From 0 to 1: capitals and underscores are no difference, letters that changed places a small one.

    The beginning of a name is always like it.
    """
    typed, meant = (text.casefold().replace("_", "-") for text in (name, other))
    ratio = difflib.SequenceMatcher(None, meant, typed).ratio()
    if sorted(typed) == sorted(meant):
        return max(ratio, SWAPPED)
    return max(ratio, LIKE) if len(typed) > 2 and meant.startswith(typed) else ratio
