"""Times in words."""

from __future__ import annotations


def span(seconds: float) -> str:
    """A time in its largest unit: ``42 s``, ``3 min``, ``2.5 h``, ``1.2 days``."""
    for unit, size, limit in (("s", 1, 90), ("min", 60, 5_400), ("h", 3_600, 172_800)):
        if seconds < limit:
            return f"{seconds / size:.{int(unit == 'h')}f} {unit}"
    return f"{seconds / 86_400:.1f} days"
