"""Snakemake in processes that begin as copies of one that has imported it, which takes as long as most calls.

As a program it reads lines, each of which asks for a call, and prints how each of them ended.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

Environment = Mapping[str, str]
OUTPUT, ERRORS = "stdout", "stderr"
NEEDED = (
    "snakemake.cli",
    "pydantic",
    "requests",
)  # by every call; nothing of the project, of which a test has its own


class Forked:
    """``python -m snakemake``, again and again; what a call prints lies in ``notes`` meanwhile."""

    def __init__(self, notes: Path, environment: Environment) -> None:
        self._notes, pipe = notes, subprocess.PIPE
        command = [sys.executable, "-P", __file__, str(notes)]
        self._server = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)

    def __call__(
        self, arguments: list[str], folder: Path, environment: Environment
    ) -> subprocess.CompletedProcess[str]:
        """The call that ``subprocess.run`` would make."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        asked = {"arguments": arguments, "folder": str(folder), "environment": {**environment}}
        print(json.dumps(asked), file=self._server.stdin, flush=True)
        status = int(self._server.stdout.readline())
        printed = ((self._notes / name).read_text(encoding="utf-8") for name in (OUTPUT, ERRORS))
        return subprocess.CompletedProcess(["snakemake", *arguments], status, *printed)

    def close(self) -> None:
        """End the process that the others are copies of."""
        self._server.communicate()


def _serve(notes: Path) -> None:
    """Each copy leaves the loop and becomes the call."""
    for module in NEEDED:
        importlib.import_module(module)
    for line in sys.stdin:
        if (copy := os.fork()) == 0:
            return _become(notes, **json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1]), flush=True)
    return None


def _become(notes: Path, arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    for number, name in enumerate((OUTPUT, ERRORS), start=1):
        os.dup2(os.open(notes / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path.insert(0, folder)  # as python -m does
    sys.argv[1:] = arguments
    runpy.run_module("snakemake", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
