"""The units of measured and printed numbers, and which can be converted into which."""

from __future__ import annotations

from bench.base.errors import unknown
from bench.metrics.definitions import NATS
from bench.metrics.measures import definitions

ALIASES = {"nats": NATS, "fraction": "ratio"}  # as papers write them
PRINTED = ("hours",)  # in which papers print what is not measured here
SCALES = {"percent": 0.01, "ratio": 1.0}  # shares of one whole


def canonical(unit: str, where: object) -> str:
    """The name under which a printed unit is known: one in which something is measured here, or of ``PRINTED``.

    Raises :class:`BenchError` for any other: a number of an unknown unit would be compared as it stands.
    """
    known = {definition.unit for definition in definitions().values()} | SCALES.keys() | set(PRINTED)
    if (name := ALIASES.get(unit, unit)) not in known:
        raise unknown("unit", unit, known | ALIASES.keys(), where=where)
    return name


def factor(measured: str, printed: str) -> float | None:
    """What a number in the unit ``measured`` is multiplied by to stand in ``printed``; None if it cannot."""
    if measured == printed:
        return 1.0
    if measured in SCALES and printed in SCALES:
        return SCALES[measured] / SCALES[printed]
    return None
