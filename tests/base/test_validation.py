"""Mistakes in configuration: each message says what, where, what is allowed and what to do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, RootModel, field_validator

from bench.base import validation
from bench.base.errors import SHOWN, BenchError, nearest, unknown
from bench.base.settings import Name
from bench.base.validation import PATTERNS, read_yaml, validated


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Row(Strict):
    label: str
    values: tuple[float, ...] = ()


class Sheet(Strict):
    count: int = Field(1, ge=1)
    kind: Literal["plain", "dotted"] = "plain"
    flag: bool = False
    name: str = "a"
    first: Row | None = None
    rows: tuple[Row, ...] = ()
    named: dict[str, Row] = {}
    even: int = 0

    @field_validator("even")
    @classmethod
    def _even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("even is odd")
        if value == 4:
            raise ValueError(unknown("number", "4", ["2"], where="the inner place"))
        return value


class Sheets(RootModel[dict[str, Sheet]]):
    pass


@pytest.mark.parametrize(
    ("value", "what", "place", "allowed"),
    [
        ({"cuont": 2}, "unknown key 'cuont'", "cuont", sorted(Sheet.model_fields)),
        (
            {"rows": [{"label": "a"}, {"lable": "b"}]},
            "unknown key 'lable'",
            "rows.1.lable",
            ["label", "values"],
        ),
        ({"first": {"lable": "b"}}, "unknown key 'lable'", "first.lable", ["label", "values"]),
        ({"named": {"x": {"lable": "b"}}}, "unknown key 'lable'", "named.x.lable", ["label", "values"]),
        ({"rows": [{}]}, "rows.0.label is missing", "rows.0.label", None),
        ({"count": "many"}, "count is 'many'", "count", ["an integer"]),
        ({"count": [1]}, "count is [1]", "count", ["an integer"]),
        ({"count": 1.5}, "count is 1.5", "count", ["an integer"]),
        ({"count": 0}, "count is 0", "count", ["greater than or equal to 1"]),
        ({"kind": "striped"}, "kind is 'striped'", "kind", ["plain", "dotted"]),
        ({"flag": "perhaps"}, "flag is 'perhaps'", "flag", ["true or false"]),
        ({"name": 3}, "name is 3", "name", ["a text"]),
        ({"first": 3}, "first is 3", "first", ["a mapping"]),
        ({"named": 3}, "named is 3", "named", ["a mapping"]),
        ({"rows": 3}, "rows is 3", "rows", ["a list"]),
        ({"first": {"label": "a", "values": ["x"]}}, "first.values.0 is 'x'", "first.values.0", ["a number"]),
        ({"even": 3}, "even is odd", "even", None),
        ({"even": 4}, "unknown number '4'", "even: the inner place", ["2"]),
        (3, "the value is 3", "", ["a mapping"]),
    ],
)
def test_a_mistake_is_told(value: Any, what: str, place: str, allowed: list[str] | None) -> None:
    with pytest.raises(BenchError) as caught:
        validated(Sheet, value, "file.yaml")
    assert caught.value.what == what
    assert caught.value.where == (f"file.yaml: {place}" if place else "file.yaml")
    assert caught.value.allowed == allowed


def test_a_misspelt_key_is_told_before_the_key_that_it_leaves_missing() -> None:
    with pytest.raises(BenchError, match=r"unknown key 'labell'(.|\n)*did you mean 'label'"):
        validated(Row, {"labell": "a"}, "here")


def test_a_prefix_and_the_name_in_a_mapping_lead_to_the_key() -> None:
    with pytest.raises(BenchError, match=r"file: reader\.cuont"):
        validated(Sheet, {"cuont": 1}, "file", prefix="reader")
    with pytest.raises(BenchError, match=r"file: x\.cuont(.|\n)*did you mean 'count'"):
        validated(Sheets, {"x": {"cuont": 1}}, "file")


def test_a_long_value_is_cut() -> None:
    with pytest.raises(BenchError) as caught:
        validated(Sheet, {"count": "x" * 10_000}, "here")
    assert len(str(caught.value)) < 400


def test_a_right_value_is_returned() -> None:
    assert validated(Sheet, {"rows": [{"label": "a", "values": [1]}]}, "here").rows[0].values == (1.0,)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"a: 1\nb: 2\na: 3\n", "key 'a' twice"),
        (b"a: {b: 1, c: 2, b: 3}\n", "key 'b' twice"),
        (b"a: [1\n", "while parsing"),
        (b"- 1\n", "expected a mapping, found list"),
        (b"", "expected a mapping, found nothing"),
        (b"a: \xff\n", "cannot read this file"),
        (b"a: !!python/object/apply:os.getcwd []\n", "could not determine a constructor"),
        (None, "No such file"),
    ],
)
def test_a_yaml_file_that_cannot_be_read_is_named(text: bytes | None, what: str, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    if text is not None:
        path.write_bytes(text)
    with pytest.raises(BenchError, match=what) as caught:
        read_yaml(path)
    assert caught.value.where == path


def test_a_repeated_key_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("top:\n  a: 1\n  b: 2\n  a: 3\n")
    with pytest.raises(BenchError, match=r"key 'a' twice(.|\n)*line 4"):
        read_yaml(path)


def test_a_tab_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a:\n  b: 1\n\tc: 2\n")
    with pytest.raises(BenchError, match=r"line 3(.|\n)*no tabs"):
        read_yaml(tmp_path / "a.yaml")


def test_a_merged_key_may_be_overridden(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("base: &base {a: 1, b: 2}\nmore: {<<: *base, a: 3}\n")
    assert read_yaml(path)["more"] == {"a": 3, "b": 2}


@pytest.mark.parametrize(
    ("name", "remedy"), [("ptp", "did you mean 'ptb'?"), ("zzz", "choose one of the 2 listed")]
)
def test_the_nearest_name_is_offered(name: str, remedy: str) -> None:
    error = unknown("corpus", name, ["yahoo", "ptb"], where="here")
    lines = [f"unknown corpus {name!r}", "  where:   here", "  allowed: ptb, yahoo", f"  remedy:  {remedy}"]
    assert str(error) == "\n".join(lines)


@pytest.mark.parametrize("name", ["vea", "VAE", "Vae"])
def test_swapped_letters_and_capitals_are_near(name: str) -> None:
    assert nearest(name, ["dae", "ved", "vae", "vae-nf"]) == "vae"
    assert nearest("coupled_vae", ["coupled-wae", "coupled-vae"]) == "coupled-vae"
    assert nearest("PTB", ["yahoo", "ptb"]) == "ptb"
    assert nearest("mixture", ["vamp", "mixture-of-gaussians"]) == "mixture-of-gaussians"


def test_an_empty_name_is_told_as_such() -> None:
    assert str(unknown("system", "", ["vae"])).endswith("is there a comma too many?")


def test_of_very_many_names_the_most_alike_are_shown() -> None:
    names = ["vae", "wae", *(f"system-{number}" for number in range(100))]
    lines = str(unknown("system", "vaae", names)).splitlines()
    assert lines[1].count(",") == SHOWN
    assert " vae" in lines[1]
    assert lines[1].endswith(f"and {len(names) - SHOWN} others")
    assert lines[2] == "  remedy:  did you mean 'vae'? `bench list systems` lists all"


def test_nothing_allowed_is_said() -> None:
    assert str(BenchError("no", allowed=[])) == "no\n  allowed: (nothing)"
    assert str(BenchError("no")) == "no"


def test_a_name_that_is_none_is_told_in_words() -> None:
    class Systems(RootModel[dict[Name, int]]):
        pass

    with pytest.raises(BenchError) as caught:
        validated(Systems, {"My VAE": 1}, "systems.yaml")
    assert str(caught.value).splitlines() == [
        "the name 'My VAE' is not allowed",
        "  where:   systems.yaml: My VAE",
        f"  allowed: {PATTERNS[r'^[a-z0-9][a-z0-9.-]*$']}",
    ]


def test_every_pattern_of_a_declaration_has_its_words() -> None:
    texts = (path.read_text() for path in Path(validation.__file__).parents[1].rglob("*.py"))
    declared = {
        found for text in texts for found in re.findall(r'(?:\bpattern=|REFERENCE = )r"([^"]+)"', text)
    }
    assert declared == set(PATTERNS)
