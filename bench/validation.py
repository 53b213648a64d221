"""Checking configuration when it is read: file, key, value found, values allowed, in one message."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from bench.errors import BenchError, unknown

M = TypeVar("M", bound=BaseModel)


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file that holds a mapping. Raises :class:`BenchError` naming the file and the fault."""
    try:
        value = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 (a safe loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BenchError(f"cannot read this file: {error}", where=path) from error
    if not isinstance(value, dict):
        raise BenchError(f"expected a mapping, found {type(value).__name__}", where=path)
    return value


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """A safe loader that refuses a key written twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping; raises on a repeated key, which plain YAML readers overwrite in silence."""
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} twice", node.start_mark)
        return super().construct_mapping(node, deep)  # type: ignore[no-any-return]


def validated(model: type[M], value: Any, where: object, prefix: str = "") -> M:
    """``model.model_validate(value)``; the first fault becomes a :class:`BenchError` with key and value."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        faults = error.errors()
        # A misspelt key explains the missing one that it should have been.
        fault = next((f for f in faults if f["type"] == "extra_forbidden"), faults[0])
        loc = fault["loc"]
        key = ".".join([*([prefix] if prefix else []), *map(str, loc)])
        place = f"{where}: {key}" if key else str(where)
        if fault["type"] == "extra_forbidden":
            raise unknown("key", str(loc[-1]), _keys(model, loc), where=place) from None
        if fault["type"] == "value_error":
            raise BenchError(fault["msg"].removeprefix("Value error, "), where=place) from None
        expected = (fault.get("ctx") or {}).get("expected")
        allowed = re.findall(r"'([^']*)'", str(expected)) if expected else [fault["msg"]]
        found = "missing" if fault["type"] == "missing" else repr(fault["input"])[:200]
        raise BenchError(f"{key or 'the value'} is {found}", where=place, allowed=allowed) from None


def _keys(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """The fields allowed where the unknown key ``loc`` stands."""
    for step in loc[:-1]:
        annotation = model.model_fields[step].annotation if step in model.model_fields else None
        nested = [a for a in (annotation, *getattr(annotation, "__args__", ())) if isinstance(a, type)]
        found = [a for a in nested if issubclass(a, BaseModel)]
        if not found:
            return []
        model = found[0]
    return list(model.model_fields)
