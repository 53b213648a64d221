"""The registry of parts: what a system may name for each of its choices (encoder, posterior, ...).

A part is one class in one file of the room it belongs to::

    @part("posterior", "gaussian", gives=("stochastic", "density"))
    class GaussianPosterior(nn.Module):
        def __init__(self, features: int, latent: int, *, batch_norm: bool = False) -> None: ...

Positional arguments are wiring: the composer passes what their names ask for (:data:`WIRING`). Keyword-only
arguments are the options that a declaration may set. Names, options and the arguments of the mark are read from the
source text, so that a configuration is checked, with its types and defaults, without importing torch.

A part says what it needs of the other parts of its system, with the reason, and what it gives them::

    @part("term", "kl", needs={"density": "it is an expectation of ln q(z|x)"})

Every part gives the name of its choice, and every kind of coupling its own name. A posterior and a prior name the
``space`` of their codes, which must be the same. See :mod:`bench.base.needs`.

An option of a procedure that says how often a step repeats something is marked for the count of resources by
``Field(json_schema_extra={"repeats": "updates"})``: at most so many updates, or ``"ascents"`` of each posterior; one
of a term by ``"codes"``, if it asks for several codes of each text. One that names terms of the objective or groups of
parameters is marked ``{"names": "terms"}`` or ``{"names": "groups"}``.
"""

from __future__ import annotations

import ast
import functools
import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeGuard, TypeVar

from pydantic import BaseModel, ConfigDict, Field, create_model

from bench.base.errors import BenchError, unknown
from bench.base.own import PREFIX, import_file, module_name, own_files

PACKAGE = Path(__file__).parents[1]
ROOMS = ("models", "objectives", "training", "metrics")
# Choices of which a system names one part each: these are fields of a run's settings.
SINGLE = ("encoder", "condition", "posterior", "prior", "signal", "decoder", "coupling", "procedure")
EVALUATOR = "evaluator"  # parts that no system has, but that measure systems or give them word vectors
# Terms and their weights are named in the objective of a system; the posterior names its space.
CHOICES = (*SINGLE, "term", "weight", "space", EVALUATOR)
NONE = "none"  # a choice that a system does without
REQUIRED = ("decoder", "procedure", "space", EVALUATOR)  # choices that no one does without
EUCLIDEAN = "euclidean"  # the space of codes that may be anywhere
# What a constructor may ask for by the names of its positional arguments: sizes (of the vocabulary, the embedding, the
# code, the features of e and of an encoded condition, the decoding signal, a batch, and the number of training steps),
# modules of the model, and what else a system has. A term may ask for the ``others`` of its objective by name, a
# procedure for the names of all ``terms`` and for the modules of the ``groups`` of parameters.
_SIZES = ("words", "embedding", "latent")
WIRING: Mapping[str, tuple[str, ...]] = {
    "encoder": _SIZES,
    "posterior": (*_SIZES, "features"),
    "condition": _SIZES,
    "prior": (*_SIZES, "features", "condition", "encoder", "posterior"),
    "signal": (*_SIZES, "features", "posterior"),
    "decoder": (*_SIZES, "signal"),
    "coupling": (),
    "procedure": (*_SIZES, "batch", "steps", "terms", "groups"),
    "term": (*_SIZES, "features", "batch", "steps", "others"),
    "weight": ("steps",),
    "space": (*_SIZES, "posterior"),
    EVALUATOR: ("embedding",),
}
# Bases that parts have from elsewhere and that take no options.
WITHOUT_OPTIONS = ("ABC", "Generic", "Module", "Protocol", "object")

_C = TypeVar("_C", bound=type)


class Options(BaseModel):
    """Base of the option models that are generated from constructors: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


@dataclass(frozen=True)
class Registered:
    """Where a part is defined, which options and which wiring its constructor takes, and what its mark says."""

    choice: str
    kind: str
    module: str
    name: str
    file: Path
    options: type[Options]
    about: str
    wiring: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    needs: Mapping[str, str] = field(default_factory=dict)
    gives: tuple[str, ...] = ()
    space: str = EUCLIDEAN
    version: int = 1


def part(
    choice: str,
    kind: str,
    *,
    needs: Mapping[str, str] | None = None,
    gives: tuple[str, ...] = (),
    space: str = EUCLIDEAN,
    version: int = 1,
) -> Callable[[_C], _C]:
    """Mark a class as the part ``kind`` of ``choice``; the registry reads the mark from the source."""
    if choice not in CHOICES:
        raise unknown("choice", choice, CHOICES)

    def mark(cls: _C) -> _C:
        return cls

    return mark


def registry() -> Mapping[str, Mapping[str, Registered]]:
    """All parts by choice and kind, those of the package and of a user's own folders.

    Raises :class:`BenchError` when two parts share a name.
    """
    return _registry(PACKAGE, tuple(own_files("parts")))


@functools.cache
def _registry(package: Path, own: tuple[Path, ...]) -> Mapping[str, Mapping[str, Registered]]:
    files = [
        (file, _module(file, package)) for room in ROOMS for file in sorted((package / room).rglob("*.py"))
    ]
    files += [(file, module_name(file)) for file in own]
    found: dict[str, dict[str, Registered]] = {choice: {} for choice in CHOICES}
    for entry in (entry for file, module in files for entry in _parts_in(file, module)):
        other = found[entry.choice].setdefault(entry.kind, entry)
        if other is not entry:
            raise BenchError(
                f"two parts are named {entry.choice} {entry.kind!r}",
                where=f"{other.file} and {entry.file}",
                remedy="rename one of them",
            )
    return found


def _module(file: Path, package: Path) -> str:
    return ".".join(file.relative_to(package.parent).with_suffix("").parts)


def lookup(choice: str, kind: str, *, where: object | None = None) -> Registered:
    """The registered part of that name; raises :class:`BenchError` with the nearest one if there is none."""
    kinds = registry()[choice]
    if kind not in kinds:
        raise unknown(choice, kind, kinds if choice in REQUIRED else [NONE, *kinds], where=where)
    return kinds[kind]


def build(choice: str, kind: str, options: Mapping[str, Any], wiring: Mapping[str, Any] | None = None) -> Any:
    """Import the part's class and construct it with the options and those of the ``wiring`` that it asks for.

    Raises :class:`BenchError` where it asks for something that is not there.
    """
    entry, wiring = lookup(choice, kind), wiring or {}
    for name in entry.wiring:
        if name not in wiring and name not in entry.optional:
            raise unknown("wiring", name, wiring, where=f"{entry.file}: {entry.name}")
    chosen = {name: wiring[name] for name in entry.wiring if name in wiring}
    own = entry.module.startswith(PREFIX)
    module = import_file(entry.file) if own else importlib.import_module(entry.module)
    return getattr(module, entry.name)(**chosen, **options)


def _parts_in(file: Path, module: str) -> list[Registered]:
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"), filename=str(file))
    except (SyntaxError, UnicodeDecodeError) as error:
        raise BenchError(f"cannot read the parts in this file: {error}", where=file) from error
    found = []
    for node in tree.body:
        for decorator in getattr(node, "decorator_list", []):
            if isinstance(node, ast.ClassDef) and _is_mark(decorator):
                found.append(_registered(node, decorator, tree, file, module))
    return found


def _is_mark(decorator: ast.expr) -> TypeGuard[ast.Call]:
    """Whether a decorator is ``@part(...)``."""
    return isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == part.__name__


def _registered(node: ast.ClassDef, mark: ast.Call, tree: ast.Module, file: Path, module: str) -> Registered:
    """What the mark and the constructor of one part say."""
    try:
        choice, kind = (str(ast.literal_eval(argument)) for argument in mark.args)
        said = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in mark.keywords}
    except ValueError as error:
        raise BenchError(f"the mark of {node.name} is not two names and literals", where=file) from error
    if choice not in CHOICES:
        raise unknown("choice", choice, CHOICES, where=f"{file}: {node.name}")
    about = (ast.get_docstring(node) or "").split("\n")[0]
    constructor = _constructor(node, tree, file)
    options = create_model(f"{node.name}Options", __base__=Options, **_options(constructor, file, kind))
    wiring, optional = _wiring(constructor)
    for name in wiring:
        if name not in WIRING[choice]:
            raise unknown("wiring", name, WIRING[choice], where=f"{file}: {node.name}")
    return Registered(
        choice, kind, module, node.name, file, options, about, wiring=wiring, optional=optional, **said
    )


def _wiring(constructor: ast.FunctionDef | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The positional arguments of a constructor but ``self``, and those of them that have a default."""
    if constructor is None:
        return (), ()
    arguments = constructor.args
    names = tuple(one.arg for one in (*arguments.posonlyargs, *arguments.args))[1:]
    return names, names[len(names) - len(arguments.defaults) :]


def _options(constructor: ast.FunctionDef | None, file: Path, kind: str) -> dict[str, Any]:
    """(type, default) of each keyword-only argument of a constructor."""
    if constructor is None:
        return {}
    arguments = constructor.args
    return {
        argument.arg: _field(argument, default, f"option {argument.arg!r} of {kind!r}", file)
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    }


def _constructor(node: ast.ClassDef, tree: ast.Module, file: Path) -> ast.FunctionDef | None:
    """The ``__init__`` of a class or its first base with one; raises for one that cannot be looked into."""
    for found in _lineage(node, tree):
        if isinstance(found, ast.ClassDef):
            if (own := _method(found, "__init__")) is not None:
                return own
            continue
        base = ast.unparse(found)
        if base.partition("[")[0].rpartition(".")[2] not in WITHOUT_OPTIONS:
            raise BenchError(
                f"the options of {node.name} cannot be read: no __init__ of its own, and {base} is elsewhere",
                where=file,
                remedy=f"give {node.name} an __init__ that names its options and calls that of {base}",
            )
    return None


def _lineage(node: ast.ClassDef, tree: ast.Module) -> Iterator[ast.ClassDef | ast.expr]:
    """A class and its bases, depth first: the classes of the same file, and what names one from elsewhere."""
    yield node
    above = {c.name: c for c in tree.body if isinstance(c, ast.ClassDef) and c.lineno < node.lineno}
    for base in node.bases:
        if isinstance(base, ast.Name) and base.id in above:
            yield from _lineage(above[base.id], tree)
        else:
            yield base


def _method(node: ast.ClassDef, name: str) -> ast.FunctionDef | None:
    return next((item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == name), None)


def _field(argument: ast.arg, default: ast.expr | None, what: str, file: Path) -> tuple[Any, Any]:
    """(type, default) of one option; ``...`` where there is no default."""
    if argument.annotation is None:
        raise BenchError(f"{what} has no type", where=file)
    try:
        return _type(argument.annotation), ... if default is None else ast.literal_eval(default)
    except NameError as error:
        allowed = ["int", "float", "bool", "str", "tuple", "Literal", "Annotated[..., Field(...)]"]
        raise BenchError(f"{what} has another type: {error}", where=file, allowed=allowed) from error
    except ValueError as error:
        raise BenchError(f"{what} has a default that is not a literal", where=file) from error


def _type(annotation: ast.expr) -> Any:
    """The type an annotation names: numbers, text, booleans, ``Literal`` and ``Annotated`` of them."""
    names = {
        "int": int,
        "float": float,
        "bool": bool,
        "str": str,
        "tuple": tuple,
        "Literal": Literal,
        "Annotated": Annotated,
        "Field": Field,
        "__builtins__": {},
    }
    return eval(compile(ast.Expression(annotation), "<annotation>", "eval"), names)  # our own source
