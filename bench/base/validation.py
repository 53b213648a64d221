"""Checking configuration when it is read: file, key, value found, values allowed, in one message."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, RootModel, ValidationError

from bench.base.errors import BenchError, unknown

M = TypeVar("M", bound=BaseModel)


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file that holds a mapping. Raises :class:`BenchError` naming the file and the fault."""
    text = ""
    try:
        text = path.read_text(encoding="utf-8")
        value = yaml.load(text, Loader=_Loader)  # a safe loader
    except yaml.MarkedYAMLError as error:
        raise _unreadable(path, text, error) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BenchError(f"cannot read this file: {error}", where=path) from error
    if not isinstance(value, dict):
        found = "nothing" if value is None else type(value).__name__
        raise BenchError(f"expected a mapping, found {found}", where=path)
    return value


def _unreadable(path: Path, text: str, error: yaml.MarkedYAMLError) -> BenchError:
    """The error for YAML that is none, with its line; a tab is the usual reason, which YAML itself does not name."""
    mark = error.problem_mark or error.context_mark
    number = mark.line + 1 if mark else 1
    line = "".join(text.splitlines()[number - 1 : number])
    indented = line[: len(line) - len(line.lstrip())]
    remedy = "indent with blanks: YAML takes no tabs" if "\t" in indented else None
    problem = ", ".join(filter(None, (error.context, error.problem)))
    return BenchError(f"cannot read this file: {problem} (line {number})", where=path, remedy=remedy)


def read_scalar(text: str) -> Any:
    """``text`` as a scalar in a YAML file: a number, true, false, null, else the text itself."""
    node = yaml.ScalarNode(_Loader("").resolve(yaml.ScalarNode, text, (True, False)), text)
    return _Loader("").construct_object(node)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """A safe loader that refuses a key written twice, and reads scalars as YAML 1.2 does.

    ``1e4`` is a number; ``no``, ``1:5``, ``010`` and ``2024-01-15`` are not a boolean, 65, 8 and a date.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping; raises on a repeated key, which plain YAML readers overwrite in silence."""
        seen = set()
        for key, _ in node.value:
            if str(key.value) in seen:
                problem = f"key {key.value!r} twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)  # type: ignore[no-any-return]


_Loader.yaml_implicit_resolvers = {"<": yaml.SafeLoader.yaml_implicit_resolvers["<"]}  # merging stays
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+."),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), list(_first))
_Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(loader.construct_scalar(node)))


EXPECTED = {
    "bool": "true or false",
    "dict": "a mapping",
    "float": "a number",
    "int": "an integer",
    "list": "a list",
    "model": "a mapping",
    "string": "a text",
    "tuple": "a list",
}

PATTERNS = {
    r"^[a-z0-9][a-z0-9.-]*$": "small letters, digits, dots and hyphens, as in my-vae",
    r"^[a-z][a-z0-9_]*$": "small letters, digits and underscores, with a letter first",
    r"^[^{}<>]+$": "a text without braces and angle brackets",
    r"^[a-z0-9][a-z0-9-]*$": "small letters, digits and hyphens, as in my-corpus",
    r"^([a-z0-9][a-z0-9.-]*/)?[a-z0-9][a-z0-9.-]*$": "the name of a system, as vae or coupled-vae/wae",
    r"^https?://": "an address that begins with http:// or https://",
    r"^[0-9a-f]{64}$": "64 hexadecimal digits",
    r"^[0-9a-f]{40}$": "40 hexadecimal digits",
    r"^[^:]+:[0-9a-f]{40}$": "a name, a colon and 40 hexadecimal digits",
}
KEY = "[key]"  # what pydantic adds to the place of a key that is the fault itself


def validated(model: type[M], value: Any, where: object, prefix: str = "") -> M:
    """``model.model_validate(value)``; the first fault becomes a :class:`BenchError` with key and value."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        faults = error.errors()
        # A misspelt key explains the missing one that it should have been.
        fault = next((f for f in faults if f["type"] == "extra_forbidden"), faults[0])
        loc = tuple(step for step in fault["loc"] if step != KEY)
        key = ".".join([*([prefix] if prefix else []), *map(str, loc)])
        place = f"{where}: {key}" if key else str(where)
        if fault["type"] == "extra_forbidden":
            raise unknown("key", str(loc[-1]), _keys(model, loc), where=place) from None
        if fault["type"] == "value_error":
            raise _own_fault(fault["ctx"]["error"], place) from None
        found = "missing" if fault["type"] == "missing" else repr(fault["input"])[:200]
        if KEY in fault["loc"]:
            found, key = "not allowed", f"the name {found}"
        raise BenchError(f"{key or 'the value'} is {found}", where=place, allowed=_allowed(fault)) from None


def _own_fault(error: ValueError, place: str) -> BenchError:
    """The error of one of our own validators, which may wrap a :class:`BenchError`."""
    inner = error.args[0] if error.args else ""
    if not isinstance(inner, BenchError):
        return BenchError(str(error), where=place)
    place = place if inner.where is None else f"{place}: {inner.where}"
    return BenchError(inner.what, where=place, allowed=inner.allowed, remedy=inner.remedy)


def _allowed(fault: Mapping[str, Any]) -> list[str] | None:
    """What would have been accepted instead of the faulty value, in words; None for one that is missing."""
    kind, expected = fault["type"], (fault.get("ctx") or {}).get("expected")
    if kind == "missing":
        return None
    if expected:
        return re.findall(r"'([^']*)'", str(expected))
    if kind == "string_pattern_mismatch" and fault["ctx"]["pattern"] in PATTERNS:
        return [PATTERNS[fault["ctx"]["pattern"]]]
    stem = kind.partition("_")[0]
    if kind.endswith(("_type", "_parsing", "_from_float")) and stem in EXPECTED:
        return [EXPECTED[stem]]
    return [fault["msg"].removeprefix("Input should be ")]


def _keys(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """The fields allowed where the unknown key ``loc`` stands."""
    if issubclass(model, RootModel):
        model = _model_in(model.model_fields["root"].annotation) or model
    for step in loc[:-1]:  # a step that is no field is a place in a list or a mapping of models
        if step in model.model_fields:
            inner = _model_in(model.model_fields[str(step)].annotation)
            if inner is None:
                return []
            model = inner
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model in ``Model``, ``Model | None``, ``tuple[Model, ...]``, ``dict[str, Model]`` and the like."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((m for inner in get_args(annotation) if (m := _model_in(inner)) is not None), None)
