"""Numbers and names as a reader wants them: a true minus sign, fixed decimals, the field's symbols."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

from bench.metrics.measures import metrics

MINUS, DASH, PRIME, GAP = "\u2212", "\u2013", "\u2032", "\u202f"
PRINTED = {"au": "AU", "acc": "accuracy", "recon": "reconstruction"}  # names that only papers use
UNITS = {"nats per text": "nats", "none": "", "ratio": "", "percent": "points"}  # of a difference


def metric_name(metric: str) -> str:
    """The symbol of a metric: ``NLL``, ``Dist-1``; its name in words where there is no symbol."""
    name, _, part = metric.partition(":")
    known = metrics().get(name)
    symbol = known.symbol if known else PRINTED.get(name, name.replace("_", " "))
    return f"{symbol}: {part.replace('_', ' ')}" if part else symbol


def fixed(value: float | None, decimals: int, *, signed: bool = False) -> str:
    """``value`` with so many decimals, a dash if there is none; ``signed`` writes the plus too."""
    if value is None or not math.isfinite(value):
        return DASH
    text = f"{value:+.{decimals}f}" if signed else f"{value:.{decimals}f}"
    zero = not text.strip("+-0.")
    return (text.lstrip("+-") if zero else text).replace("-", MINUS)


def decimals_of(values: Iterable[float | None], least: int, most: int = 8) -> int:
    """Decimals for numbers that stand together: at least so many, more until the largest shows two digits."""
    size = max((abs(value) for value in values if value is not None and math.isfinite(value)), default=0.0)
    return max(least, min(1 - math.floor(math.log10(size)), most)) if size else least


def visible(value: float | None, decimals: int) -> str:
    """:func:`fixed`, but two significant digits for a number that would otherwise look like zero."""
    text = fixed(value, decimals)
    return significant(value, 2) if value and not text.strip("0.") else text


def significant(value: float | None, digits: int = 4) -> str:
    """``value`` with so many significant digits, never in powers of ten between 0.0001 and a million."""
    if value is None or not math.isfinite(value):
        return DASH
    if float(value).is_integer() and abs(value) < 10**digits:
        return fixed(value, 0)
    if not 1e-4 <= abs(value) < 1e6:
        return f"{value:.{digits - 1}e}".replace("-", MINUS)
    return fixed(value, max(digits - 1 - math.floor(math.log10(abs(value))), 0))


def effect(mean: float, low: float | None = None, high: float | None = None, unit: str = "") -> str:
    """A signed difference with its interval and unit: two digits of the interval's half width, else three."""
    if low is None or high is None or not high > low:
        size = abs(mean)
        decimals = min(max(2 - math.floor(math.log10(size)), 0), 8) if size else 0
        text = fixed(mean, decimals, signed=True)
    else:
        decimals = min(max(1 - math.floor(math.log10((high - low) / 2)), 0), 8)
        ends = f"{fixed(low, decimals, signed=True)}, {fixed(high, decimals, signed=True)}"
        text = f"{fixed(mean, decimals, signed=True)} [{ends}]"
    return f"{text} {UNITS.get(unit, unit)}".rstrip()


def factor(mean: float, low: float | None = None, high: float | None = None) -> str:
    """By how much something multiplied, with its interval, in three significant digits."""
    interval = "" if low is None or high is None else f" [{significant(low, 3)}, {significant(high, 3)}]"
    return f"\u00d7 {significant(mean, 3)}{interval}"


def count(value: Any) -> str:
    """A whole number with narrow gaps between thousands."""
    return DASH if value is None else f"{int(value):,}".replace(",", GAP)


def setting(value: Any) -> str:
    """A value as a configuration file would hold it; a text without quotes."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def sentence(text: str) -> str:
    """A reason as a sentence: a capital at its beginning, a full stop at its end."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def duration(seconds: float | None) -> str:
    """Seconds as ``42 s``, ``3 min 5 s`` or ``2 h 10 min``."""
    if seconds is None:
        return DASH
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.3g} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
