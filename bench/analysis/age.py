"""Which results an older version of the code made, and what has changed since.

A run keeps the hash of the code of each stage, and of each module behind it. Where that hash is not today's, the
number is what another program computed: it is shown, and the reader is told so.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.store.provenance import SHORT, changed_since, code_hash, module_hash, modules_that_count
from bench.store.records import RunRecord

STAGES = {"train": "trained", "evaluate": "measured"}
SHOWN = 4  # modules that a sentence names; of more it says how many


@dataclass(frozen=True)
class Age:
    """One stage of a run that older code made; ``modules`` is None where it is not known which changed."""

    stage: str
    version: str
    modules: tuple[str, ...] | None

    @property
    def done(self) -> str:
        """What the stage did to the run: ``trained`` or ``measured``."""
        return STAGES[self.stage]

    def __str__(self) -> str:
        """``trained by older code (0123456789ab); changed since: bench.models.flows``; of many, how many."""
        what = f"{self.done} by older code ({self.version[:12]})"
        if self.modules is None:
            return f"{what}; what changed since is not known"
        if not self.modules:
            return f"{what}; since then a module was removed, or a file beside one changed"
        if len(self.modules) > SHOWN:
            return f"{what}; {len(self.modules)} modules have changed since"
        return f"{what}; changed since: {', '.join(self.modules)}"


def ages(run: RunRecord) -> tuple[Age, ...]:
    """The stages of a run that another version of the code made than this one."""
    if run.settings is None:
        return ()
    found = []
    for stage, document in (("train", run.run), ("evaluate", run.evaluation)):
        where: Mapping[str, Any] = document.get("provenance") or {}
        made_by = where.get("code_hash")
        if made_by and made_by != code_hash(stage, run=run.settings):
            modules = tuple(modules_that_count(stage, run.settings))
            found.append(Age(stage, str(where.get("code_version")), _changed(where, modules)))
    return tuple(found)


def _changed(where: Mapping[str, Any], modules: tuple[str, ...]) -> tuple[str, ...] | None:
    kept = where.get("modules")
    if kept:
        now = {name: module_hash(name)[:SHORT] for name in modules}
        return tuple(name for name in sorted(now.keys() | kept) if now.get(name) != kept.get(name))
    return None if where.get("dirty") else _since(str(where.get("code_version")), modules)


@functools.cache
def _since(commit: str, modules: tuple[str, ...]) -> tuple[str, ...] | None:
    found = changed_since(commit, modules)
    return None if found is None else tuple(found)


def told(run: RunRecord) -> str:
    """All of it as a sentence without its full stop; nothing for a run that today's code made."""
    return "; ".join(map(str, ages(run)))
