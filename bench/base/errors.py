"""The one exception that a user is meant to read: what happened, to what, what is allowed, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


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
    """The error for a name that is not registered, with the nearest one that is."""
    names = sorted(known)
    near = nearest(name, names)
    remedy = f"did you mean {near!r}?" if near else f"choose one of the {len(names)} listed"
    return BenchError(f"unknown {noun} {name!r}", where=where, allowed=names, remedy=remedy)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The one of the ``known`` names that is most like ``name``, if any is like it."""
    found = difflib.get_close_matches(name, list(known), n=1)
    return found[0] if found else None
