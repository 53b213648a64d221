"""Systems: named models, each a composition of registered parts. Declared in ``systems.yaml`` files."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import Field, RootModel, model_validator

from bench.base.errors import BenchError, unknown
from bench.base.registry import SINGLE
from bench.base.settings import Model, Name, RunSettings
from bench.base.validation import read_yaml, validated

FILE = "systems.yaml"
SHARED = "shared"  # the scope of systems that belong to no paper
SHOWN = {"title", "about", "couples", "missing"}  # fields that change what the report says, and no number
Key = tuple[str, str]  # scope (a paper, or SHARED) and name
REFERENCE = r"^([a-z0-9][a-z0-9.-]*/)?[a-z0-9][a-z0-9.-]*$"


class System(Model):
    """A named model: the parts of which it is composed. A declaration, not a class.

    ``couples`` and ``extends`` name a system of the same paper, else a shared one; ``paper/system`` names one of
    another paper, ``shared/system`` a shared one.
    """

    title: str
    about: str = ""
    couples: str | None = Field(
        None, pattern=REFERENCE, description="the baseline of which this is the coupled twin"
    )
    extends: str | None = Field(
        None, pattern=REFERENCE, description="the system whose declaration this one changes"
    )
    missing: str | None = Field(None, description="why this version cannot build the system")
    encoder: Any = None
    reads: str | None = Field(
        None, description="the field that the encoder reads, of another text than is written"
    )
    condition: Any = None
    posterior: Any = None
    prior: Any = None
    signal: Any = None
    decoder: Any = None
    coupling: Any = None
    objective: dict[str, Any] | None = None
    procedure: Any = None
    groups: dict[str, Any] | None = Field(None, description="groups of parameters that are trained otherwise")
    starts_from: dict[str, Any] | None = Field(
        None, description="the system whose trained modules this one begins with, and which"
    )

    @model_validator(mode="after")
    def _one_parent(self) -> Self:
        if self.couples and self.extends:
            raise ValueError("couples already extends the baseline: name one of couples, extends")
        return self

    @property
    def parent(self) -> str | None:
        """The system that this one extends, as it is written."""
        return self.couples or self.extends

    def parts(self) -> dict[str, Any]:
        """The choices that this declaration makes itself."""
        names = (*SINGLE, "reads", "objective", "groups", "starts_from")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


class _File(RootModel[dict[Name, System]]):
    """The content of a ``systems.yaml``."""


@dataclass(frozen=True, eq=False)
class Systems:
    """All declared systems by scope and name, and the file of each."""

    declared: Mapping[Key, System]
    files: Mapping[Key, Path]

    def known(self, scope: str) -> Mapping[str, Key]:
        """The systems that a paper can name without a prefix: its own, and the shared ones it does not replace."""
        return _known(self, scope)

    def find(self, scope: str, reference: str, where: object | None = None) -> Key:
        """The system that ``reference`` names in a scope. Raises :class:`BenchError` with the nearest name."""
        paper, slash, name = reference.rpartition("/")
        if slash:
            if (paper, name) not in self.declared:
                raise unknown("system", reference, [f"{of}/{one}" for of, one in self.declared], where=where)
            return paper, name
        known = self.known(scope)
        if name not in known:
            elsewhere = [f"{of}/{one}" for of, one in self.declared if one == name]
            if elsewhere:
                remedy = f"to name that of another paper, write {' or '.join(elsewhere)}"
                raise BenchError(
                    f"unknown system {name!r}", where=where, allowed=sorted(known), remedy=remedy
                )
            raise unknown("system", name, known, where=where)
        return known[name]

    def parent(self, key: Key) -> Key | None:
        """The system that one extends or couples. Raises :class:`BenchError` for an unknown one."""
        parent = self.declared[key].parent
        return None if parent is None else self.find(key[0], parent, f"{self.files[key]}: {key[1]}")

    def ancestry(self, key: Key) -> Sequence[Key]:
        """The system and those it builds on, the oldest first. Raises :class:`BenchError` for a circle."""
        return _ancestry(self, key)

    def baseline(self, key: Key) -> Key | None:
        """The system whose coupled twin ``key`` is, if it is one (also through ``extends``)."""
        for one in reversed(self.ancestry(key)):
            if self.declared[one].couples:
                return self.parent(one)
        return None


@functools.lru_cache(maxsize=1024)
def _known(systems: Systems, scope: str) -> Mapping[str, Key]:
    found = {name: (of, name) for of, name in systems.declared if of == SHARED}
    return found | {name: (of, name) for of, name in systems.declared if of == scope}


@functools.lru_cache(maxsize=1024)
def _ancestry(systems: Systems, key: Key) -> Sequence[Key]:
    keys = [key]
    while (parent := systems.parent(keys[-1])) is not None:
        if parent in keys:
            circle = " -> ".join(name for _, name in (*keys, parent))
            where = f"{systems.files[keys[-1]]}: {keys[-1][1]}"
            raise BenchError(f"systems extend each other in a circle: {circle}", where=where)
        keys.append(parent)
    return keys[::-1]


def read_systems(files: Iterable[tuple[str, Path]]) -> Systems:
    """Read the systems of ``files`` (scope and path), leaving out files that do not exist, and resolve their parents.

    Raises :class:`BenchError` for a name declared twice, an unknown parent or a circle.
    """
    declared: dict[Key, System] = {}
    found_in: dict[Key, Path] = {}
    for scope, path in files:
        for name, system in (_read(path) if path.exists() else {}).items():
            if (key := (scope, name)) in declared:
                where = f"{found_in[key]} and {path}"
                raise BenchError(f"two systems are named {name!r}", where=where, remedy="rename one of them")
            declared[key], found_in[key] = system, path
    systems = Systems(declared, found_in)
    for key in declared:
        systems.ancestry(key)
    return systems


def _read(path: Path) -> dict[str, System]:
    content = read_yaml(path)
    for name, declared in content.items():
        numbers = RunSettings.model_fields.keys() - System.model_fields.keys()
        for key in declared if isinstance(declared, dict) else ():
            if key in numbers:
                raise BenchError(
                    f"{key!r} is no part of a system: a paper's protocol sets it for all its systems alike",
                    where=f"{path}: {name}",
                    remedy=f"leave it out, and change it for your runs: --settings '{{\"{key}\": ...}}'",
                )
    return validated(_File, content, path).root
