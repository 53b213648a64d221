"""Which settings differ between two runs, by flat keys, and which versions between a record and today."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.base.identity import Versions, training_versions
from bench.base.settings import RunSettings
from bench.store.freshness import begun_as_now

NAMES = ("tier", "paper", "corpus", "system", "seed")
DERIVED = "starts_from.identity"  # follows from other settings
ABSENT = "absent"
TOLD = 4  # changed settings that a reason names


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


def listed(differences: Sequence[tuple[str, Any, Any]]) -> str:
    """The first few differences with their values, in brackets."""
    found = [f"{key} {was}, now {now}" for key, was, now in differences]
    more = f" and {len(found) - TOLD} more" if len(found) > TOLD else ""
    return f" ({'; '.join(found[:TOLD])}{more})" if found else ""


def why_stale(run: Mapping[str, Any], trained: RunSettings | None, planned: RunSettings, runs: Path) -> str:
    """In what a recorded training differs from the one that is planned.

    ``run`` is its ``run.json`` and ``trained`` the settings in it, None where they cannot be read.
    """
    if not begun_as_now(run.get("begun_with"), runs):
        return f"{planned.start}, with which the run begins, has other weights now"
    versions = changed_versions(run.get("versions") or {}, training_versions(planned))
    differ = [] if trained is None else changed(trained, planned)
    if versions and not differ:
        return f"the run was trained by other versions{listed(versions)}"
    return f"the run was trained under another configuration{listed(differ)}"
