"""The registry of parts is read from source text: names, options, types, defaults, and every mistake."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.base import registry as parts
from bench.base.errors import BenchError
from bench.base.registry import CHOICES, NONE, REQUIRED, build, lookup, part, registry
from bench.base.validation import validated

HEAD = """from __future__ import annotations
from typing import Annotated, Literal
from pydantic import Field
from bench.base.registry import part
"""

INHERITS = '@part("weight", "x")\nclass S(models.Base):\n    def __call__(self): ...\n'

Package = Callable[..., None]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    """``package(**{"a": source})``: a package whose only parts are in ``objectives/a.py``."""

    def make(**sources: str) -> None:
        (tmp_path / "objectives").mkdir()
        for name, source in sources.items():
            (tmp_path / "objectives" / f"{name}.py").write_text(HEAD + source)
        monkeypatch.setattr(parts, "PACKAGE", tmp_path)

    return make


def weight(kind: str, options: str = "", choice: str = "weight") -> str:
    signature = f"self, *, {options}" if options else "self"
    return f'\n@part("{choice}", "{kind}")\nclass S:\n    """About."""\n    def __init__({signature}): ...\n'


def test_the_package_reads_its_own_parts_without_torch() -> None:
    code = "import sys; from bench.base.registry import registry; registry(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_every_choice_has_a_part() -> None:
    assert set(registry()) == set(CHOICES)
    assert all(registry().values())


def test_a_part_is_named_described_and_built(package: Package) -> None:
    package(a=weight("steps", "size: int, rate: float = 0.5"))
    entry = lookup("weight", "steps")
    assert (entry.module, entry.name, entry.about) == (
        f"{entry.file.parts[-3]}.objectives.a",
        "S",
        "About.",
    )
    filled = validated(entry.options, {"size": 3}, "here")
    assert filled.model_dump() == {"size": 3, "rate": 0.5}


def test_building_constructs_the_class_with_its_options() -> None:
    linear = build("weight", "linear", {"start": 10, "length": 20, "ceiling": 0.5})
    assert [linear(step, dict) for step in (10, 15, 40)] == [0.0, 0.25, 0.5]


@pytest.mark.parametrize(
    ("options", "value", "message"),
    [
        ("a: int", {}, "a is missing"),
        ("a: int = 1", {"b": 2}, "unknown key 'b'"),
        ("a: Annotated[int, Field(ge=1)] = 1", {"a": 0}, "greater than or equal to 1"),
        ("a: Literal['x', 'y'] = 'x'", {"a": "z"}, "allowed: x, y"),
        ("a: float = 1.0", {"a": float("inf")}, "a finite number"),
        ("a: bool = False", {"a": "perhaps"}, "true or false"),
        ("a: tuple[int, ...] = ()", {"a": 3}, "a list"),
    ],
)
def test_options_are_checked_against_the_constructor(
    options: str, value: dict[str, object], message: str, package: Package
) -> None:
    package(a=weight("steps", options))
    with pytest.raises(BenchError, match=message):
        validated(lookup("weight", "steps").options, value, "weight steps")


@pytest.mark.parametrize("base", ["Base", "Middle", "Protocol, Base"])
def test_options_are_those_of_an_inherited_constructor(base: str, package: Package) -> None:
    classes = """
class Base:
    def __init__(self, steps: int, *, size: int = 2) -> None: ...
class Middle(nn.Module, Base): ...
"""
    package(a=f'{classes}\n@part("weight", "steps")\nclass S({base}): ...\n')
    assert validated(lookup("weight", "steps").options, {}, "here").model_dump() == {"size": 2}


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (
            {"a": weight("x"), "b": weight("x")},
            r"two parts are named weight 'x'(.|\n)*a\.py and .*b\.py",
        ),
        ({"a": weight("x") + weight("x")}, "two parts are named weight 'x'"),
        ({"a": weight("x", choice="weigth")}, r"unknown choice 'weigth'(.|\n)*a\.py: S(.|\n)*'weight'"),
        ({"a": weight("x", "size")}, r"option 'size' of 'x' has no type(.|\n)*a\.py"),
        ({"a": weight("x", "size: Path")}, r"'size' of 'x' has another type: name 'Path'(.|\n)*Annotated"),
        ({"a": weight("x", "size: int = f()")}, "'size' of 'x' has a default that is not a literal"),
        (
            {"a": INHERITS},
            r"options of S cannot be read: no __init__ of its own, and models\.Base is(.|\n)*a\.py(.|\n)*give S an",
        ),
        (
            {"a": '@part("weight", NAME)\nclass S: ...\n'},
            r"mark of S is not two names and literals(.|\n)*a\.py",
        ),
        ({"a": "def f(:"}, r"cannot read the parts in this file: invalid syntax(.|\n)*a\.py"),
    ],
)
def test_a_mistake_in_a_part_is_explained(sources: dict[str, str], message: str, package: Package) -> None:
    package(**sources)
    with pytest.raises(BenchError, match=message):
        registry()


WIRED = """
@part("weight", "wired")
class Wired:
    def __init__(self, steps: int, words: int = 3, *, size: int = 2) -> None: ...
"""


def test_wiring_is_asked_for_by_name(package: Package) -> None:
    package(a=WIRED.replace("words", "steps_left"))
    with pytest.raises(
        BenchError, match=r"unknown wiring 'steps_left'(.|\n)*a\.py: Wired(.|\n)*allowed: steps"
    ):
        registry()


def test_what_is_asked_for_must_be_at_hand() -> None:
    made = build("procedure", "standard", {}, {"batch": 7, "latent": 3})
    assert made.batch == 7
    with pytest.raises(
        BenchError, match=r"unknown wiring 'batch'(.|\n)*procedures\.py: Standard(.|\n)*latent"
    ):
        build("procedure", "standard", {}, {"latent": 3})


def test_a_mark_says_what_a_part_needs_and_gives(package: Package) -> None:
    mark = '@part("prior", "x", needs={"gaussian": "so"}, gives=("mixture",), space="sphere")'
    package(a=f"{mark}\nclass S: ...\n")
    entry = lookup("prior", "x")
    assert (entry.needs, entry.gives, entry.space) == ({"gaussian": "so"}, ("mixture",), "sphere")


def test_other_decorators_are_no_parts(package: Package) -> None:
    package(a="import functools\n@functools.cache\ndef f(): ...\n@part\nclass A: ...\n" + weight("x"))
    assert list(registry()["weight"]) == ["x"]


@pytest.mark.parametrize("choice", CHOICES)
def test_an_unknown_kind_names_the_nearest(choice: str) -> None:
    kind = next(iter(registry()[choice]))
    with pytest.raises(BenchError, match=f"unknown {choice} '{kind}x'(.|\n)*did you mean '{kind}'") as caught:
        lookup(choice, f"{kind}x", where="here")
    assert caught.value.where == "here"
    assert (NONE in (caught.value.allowed or [])) == (choice not in REQUIRED)


def test_marking_a_class_changes_nothing_but_checks_the_choice() -> None:
    class Some:
        pass

    assert part("weight", "some")(Some) is Some
    with pytest.raises(BenchError, match="did you mean 'weight'"):
        part("weigh", "some")


def test_what_options_are_marked_to_repeat_or_to_name_is_known() -> None:
    marks = {
        (choice, entry.kind, name): field.json_schema_extra
        for choice, kinds in registry().items()
        for entry in kinds.values()
        for name, field in entry.options.model_fields.items()
        if field.json_schema_extra
    }
    repeats = [{"repeats": "updates"}, {"repeats": "ascents"}]
    codes, names = {"repeats": "codes"}, [{"names": "terms"}, {"names": "groups"}]
    for (choice, *_), mark in marks.items():
        assert mark in {"procedure": [*repeats, *names], "term": [codes, *names]}[choice]
    assert all(mark in marks.values() for mark in (codes, *repeats, *names))
