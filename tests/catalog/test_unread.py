"""Files of a user's own folder that nearly have the name of one that is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.base.errors import BenchError
from bench.catalog.unread import check_file_names


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("system.yaml", "systems.yaml"),
        ("systems.yml", "systems.yaml"),
        ("Systems.yaml", "systems.yaml"),
        ("corpus/mine.yaml", "corpora"),
        ("corpora/mine.yml", "mine.yaml"),
        ("measure/length.py", "measures"),
        ("papers/mine/table.yaml", "tables.yaml"),
    ],
)
def test_a_file_that_was_meant_to_be_read_is_told(path: str, meant: str, tmp_path: Path) -> None:
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).touch()
    with pytest.raises(BenchError, match=rf"nothing reads(.|\n)*did you mean '{meant}'"):
        check_file_names(tmp_path)


def test_names_of_a_users_own_may_lie_beside_what_is_read(tmp_path: Path) -> None:
    for name in ("systems.yaml", "systems.yaml.bak", "systems-old.yaml", "notes.yaml", "README.md", "run.py"):
        (tmp_path / name).touch()
    for name in ("papers/mine/figures", "corpora/texts", "results", "__pycache__", ".git"):
        (tmp_path / name).mkdir(parents=True)
    check_file_names(tmp_path)
