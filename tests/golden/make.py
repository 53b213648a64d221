"""Make golden values: ``python -m tests.golden.make [PAPER/SYSTEM ...]``, without names those of every system."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from bench.base.errors import unknown
from tests.declared import RUNS
from tests.golden.golden import VALUES, World, explained, moved, path_of, read, write


def make(names: list[str]) -> None:
    """Keep what the code gives now, and say what has moved. Raises :class:`BenchError` for an unknown name."""
    runs = {f"{paper}/{system}": (paper, system) for paper, system in RUNS}
    for name in names:
        if name not in runs:
            raise unknown("system", name, runs)
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        for paper, system in (runs[name] for name in names or runs):
            values = world.values(paper, system)
            before = read(paper, system)[1] if path_of(paper, system).exists() else values
            if terms := moved(before, values, exactly=True):
                print(explained(paper, system, terms))
            write(paper, system, values)
    for path in VALUES.rglob("*.json"):
        if not names and (path.parent.name, path.stem) not in RUNS:
            path.unlink()


if __name__ == "__main__":
    make(sys.argv[1:])
