"""The page on faults names tests that exist, for each fault."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")


def rows_of(page: str) -> list[list[str]]:
    """The cells of each row of its table, but for the head and for the lines that name a group of faults."""
    table = [line.strip("|").split("|") for line in page.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in row] for row in table[2:]]
    return [row for row in rows if not (row[0].startswith("**") and not any(row[1:]))]


def faults_of(row: list[str]) -> list[str]:
    """What is wrong with the tests that one row names."""
    if len(row) != 3 or not all(row):
        return [f"a row of other than three cells: {row}"]
    named = re.findall(r"`(tests/[\w/]+\.py)`((?:,? `\w+`)*)", row[-1])
    wrong = [] if named else [f"shown by no test: {row[0]}"]
    for file, names in named:
        path = ROOT / file
        found = re.findall(r"^def (test_\w+)", path.read_text("utf-8"), re.MULTILINE) if path.exists() else []
        wrong += [] if found else [f"no tests: {file}"]
        wrong += [
            f"no such test: {file} {name}"
            for name in re.findall(r"`(\w+)`", names)
            if not any(name in test for test in found)
        ]
    return wrong


@pytest.mark.parametrize("row", rows_of(PAGE), ids=lambda row: row[0])
def test_each_fault_is_shown_by_a_test(row: list[str]) -> None:
    assert faults_of(row) == []


@pytest.mark.parametrize(
    "row",
    [
        "| a fault | What happens | |",
        "| a fault | What happens | by hand |",
        "| a fault | What happens |",
        "| a fault | What happens | `tests/absent.py` |",
        "| a fault | What happens | `tests/test_faults_page.py` `absent` |",
    ],
)
def test_a_fault_without_a_test_is_noticed(row: str) -> None:
    first = rows_of(PAGE)
    (added,) = [found for found in rows_of(f"{PAGE}\n{row}") if found not in first]
    assert faults_of(added)
