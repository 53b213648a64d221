"""Lint, layout and types: beside the tests, so that no processor waits for them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("module", "options", "path"),
    [
        ("ruff", "check .", ""),
        ("ruff", "format --check .", ""),
        ("snakefmt", "--check --compact-diff Snakefile workflow", ""),
        ("mypy", "", ""),
        ("mypy", "benchmarks", "benchmarks"),  # they import each other as scripts do
    ],
)
def test_the_source_passes(module: str, options: str, path: str) -> None:
    command = [sys.executable, "-m", module, *options.split()]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"MYPYPATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
