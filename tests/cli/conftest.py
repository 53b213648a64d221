"""The command line on a small world: a folder in which everything was done once, and what a mistake may do to"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.base.files import read_json, write_json
from bench.base.outputs import MARK
from bench.cli.main import main
from bench.store.seal import is_sealed, sealed
from tests.conftest import CORPUS, TINY

ROOT = Path(__file__).parents[2]
RUN = f"demo/coupled-vae/{CORPUS}/vae/seed0"
SETTINGS = json.dumps(TINY | {"training": TINY["training"] | {"steps": 10, "validate_every": 5}})
CPU = ("--device", "cpu", "--threads", "1")
PREPARED = f"results/corpora/coupled-vae/{CORPUS}"


def contents(folder: Path) -> dict[str, bytes]:
    """All files below a folder, but locks and marks, which stay."""
    files = (
        path for path in folder.rglob("*") if path.is_file() and not path.name.startswith((".lock", MARK))
    )
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def python(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False, **options
    )


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the whole way was gone once, by commands with their default paths."""
    folder = tmp_path_factory.mktemp("cli")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        sources = f"results/sources/{CORPUS}.json"
        assert main(["fetch", CORPUS, "--out", sources]) == 0
        assert main(["prepare", "coupled-vae", CORPUS, "--sources", sources, "--out", PREPARED]) == 0
        assert main(["train", RUN, *CPU, "--settings", SETTINGS]) == 0
        assert main(["evaluate", RUN, *CPU, "--settings", SETTINGS]) == 0
    for file in ("run.json", "measurements.json"):  # as if the code were committed
        content = read_json(folder / "results" / "runs" / RUN / file)
        content["provenance"] |= {"code_version": "a" * 40, "dirty": False}
        run = folder / "results" / "runs" / RUN
        write_json(run / file, sealed(content, run) if is_sealed(content) else content)
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, as the working directory."""
    shutil.copytree(made, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    for name in ("BENCH_CATALOG", "BENCH_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "here"


Refused = Callable[..., str]


@pytest.fixture
def refused(here: Path, capsys: pytest.CaptureFixture[str]) -> Refused:
    """``refused(*arguments)``: the one message; the command must leave every file as it was."""

    def call(*arguments: object, leaves: bool = True) -> str:
        before = contents(here)
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        message = printed.err[printed.err.index("bench ") :]
        assert message.startswith(f"bench {arguments[0]}: ")
        assert "Traceback" not in message
        lines = message.splitlines()
        assert all(line.startswith(("  where:   ", "  allowed: ", "  remedy:  ")) for line in lines[1:])
        assert not list(here.rglob("*.part"))
        if leaves:
            assert contents(here) == before
        return message

    return call
