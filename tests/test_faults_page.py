"""The page on faults names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROWS = [
    line
    for line in (ROOT / "docs" / "faults.md").read_text(encoding="utf-8").splitlines()
    if "`tests/" in line
]


@pytest.mark.parametrize("row", ROWS)
def test_each_fault_is_shown_by_a_test(row: str) -> None:
    shown = row.strip("| ").split("|")[-1]
    for file, names in re.findall(r"`(tests/[\w/]+\.py)`((?:,? `\w+`)*)", shown):
        tests = re.findall(r"^def (test_\w+)", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
        assert tests, file
        for name in re.findall(r"`(\w+)`", names):
            assert any(name in test for test in tests), (file, name)
