"""Snakemake as a user calls it, in a folder of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.forked import Forked

ROOT = Path(__file__).parents[2]
Snakemake = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def snakemake(forked: Forked) -> Snakemake:
    """``snakemake(folder, *arguments, tree=ROOT)``: the workflow of ``tree``, run in ``folder``."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("BENCH_", "SNAKEMAKE_", "PYTHONPATH"))}

    def call(folder: Path, *arguments: str, tree: Path = ROOT) -> subprocess.CompletedProcess[str]:
        where = ["-s", str(tree / "Snakefile"), "-d", str(folder)]
        return forked([*where, "--cores", "2", *arguments], folder, kept)

    return call


@pytest.fixture(scope="session")
def own_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of package and workflow that a test may edit."""
    folder = tmp_path_factory.mktemp("a tree")
    for name in ("bench", "workflow"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", folder)
    (folder / "profiles").symlink_to("workflow/profiles")
    return folder


@pytest.fixture(scope="session")
def counts() -> Callable[[subprocess.CompletedProcess[str]], dict[str, int]]:
    """Jobs per rule, from the table that Snakemake prints first."""

    def parse(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
        output = done.stdout + done.stderr
        if "Nothing to be done" in output:
            return {}
        table = re.search(r"^job +count\n[- ]+\n((?:\S+ +\d+\n)+)", output, re.MULTILINE)
        assert table is not None, output
        jobs = dict(line.split() for line in table[1].splitlines())
        return {rule: int(number) for rule, number in jobs.items() if rule != "total"}

    return parse
