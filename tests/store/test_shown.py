"""Shown texts: one form, former files read as it, and what is left of them when they are published."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bench.base.files import read_json
from bench.store.shown import Shown, ShownColumn, read_shown

ROOT = Path(__file__).parents[2]
PUBLISHED = sorted((ROOT / "results" / "published" / "runs").rglob("texts.json"))
FORMER = {
    "samples": ["a", ""],
    "reconstructions": [{"index": 3, "input": "the cat", "center": "a cat", "outputs": ["a", "b"]}],
    "interpolations": [{"from": "x", "to": None, "steps": ["p", "q", "r"]}],
    "traversals": [{"from": "x", "dimension": 2, "step": 0.5, "shifts": [-1.0, 0.0, 1.0], "steps": ["p", "", "r"]}],
}  # fmt: skip


def test_a_former_file_is_read_as_one_of_today() -> None:
    found = {one.kind: one for one in read_shown(FORMER)}
    assert {name: [column.name for column in one.columns] for name, one in found.items()} == {
        "samples": ["text"],
        "reconstructions": ["index", "input", "centre", "sample 1", "sample 2"],
        "interpolations": ["from", "to", "0.00", "0.50", "1.00"],
        "traversals": ["from", "dimension", "step", "-1", "0", "1"],
    }
    assert found["samples"].rows == [["a"], [""]]
    assert found["reconstructions"].rows == [[3, "the cat", "a cat", "a", "b"]]
    assert found["interpolations"].cells(found["interpolations"].rows[0], "decoded") == ["p", "q", "r"]
    assert found["traversals"].names("key") == ["dimension", "step"]
    assert read_shown([one.model_dump() for one in found.values()]) == list(found.values())


@pytest.mark.parametrize("path", PUBLISHED)
def test_every_published_file_is_read(path: Path) -> None:
    assert all(one.rows for one in read_shown(read_json(path)))


def test_sentences_of_the_corpus_are_left_out_and_the_models_own_stay() -> None:
    found = {one.kind: one.without_corpus() for one in read_shown(FORMER)}
    assert found["reconstructions"].rows == [[3, None, "a cat", "a", "b"]]
    assert found["interpolations"].rows == [[None, None, "p", "q", "r"]]
    assert found["traversals"].rows == [[None, 2, 0.5, "p", "", "r"]]
    assert found["samples"].rows == [["a"], [""]]


@pytest.mark.parametrize(
    ("rows", "told"),
    [([["a", "b"]], "rows.0 has 2 cells for 1 columns"), ([["a"], [None]], "rows.1: text is no text")],
)
def test_a_damaged_table_is_named(rows: Any, told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Shown(kind="samples", columns=[ShownColumn(name="text", role="decoded")], rows=rows)
