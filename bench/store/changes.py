"""Which settings differ between two runs, by flat keys, and which versions between a record and today."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.base.identity import Versions
from bench.base.settings import RunSettings

NAMES = ("tier", "paper", "corpus", "system", "seed")
DERIVED = "starts_from.identity"  # follows from other settings
ABSENT = "absent"


def flat(settings: RunSettings) -> dict[str, Any]:
    """All settings by dotted key, the run's name left out."""
    found: dict[str, Any] = {}

    def visit(prefix: str, value: Any) -> None:
        if isinstance(value, Mapping) and value:
            for key, inner in value.items():
                visit(f"{prefix}.{key}" if prefix else str(key), inner)
        elif prefix not in NAMES:
            found[prefix] = value

    visit("", settings.model_dump(mode="json"))
    return found


def changed(before: RunSettings, after: RunSettings) -> list[tuple[str, Any, Any]]:
    """(key, value before, value after) of every setting that differs; :data:`ABSENT` where one has none."""
    old, new = flat(before), flat(after)
    keys = dict.fromkeys((*old, *new))
    pairs = ((key, old.get(key, ABSENT), new.get(key, ABSENT)) for key in keys)
    return [(key, was, now) for key, was, now in pairs if was != now and key != DERIVED]


def changed_versions(recorded: Versions, now: Versions) -> list[tuple[str, int, int]]:
    """(name, version then, version now) of every part or stage whose version differs; one that is not named is 1."""
    names = dict.fromkeys((*recorded, *now))
    pairs = ((name, recorded.get(name, 1), now.get(name, 1)) for name in names)
    return [(name, was, is_now) for name, was, is_now in pairs if was != is_now]
