"""Snakemake's own linter, less the findings that are accepted with a reason."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]


def test_the_linter_finds_only_what_is_accepted(snakemake: Any, tmp_path: Path) -> None:
    done = snakemake(tmp_path, "--lint")
    output = done.stdout + done.stderr
    assert "Lints for" in output, output
    found = set(re.findall(r"^    \* (.+):$", output, re.MULTILINE))
    accepted = yaml.safe_load((ROOT / "workflow" / "lint-accepted.yaml").read_text())
    assert all(entry["reason"] for entry in accepted)
    assert found == {entry["finding"] for entry in accepted}  # none new, and none accepted that is gone


def test_the_snakefile_stays_short() -> None:
    assert len((ROOT / "Snakefile").read_text().splitlines()) <= 60
