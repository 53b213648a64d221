"""Make golden values: ``python -m tests.golden.make [PAPER/SYSTEM ...]``, without names those of every system.

Numbers that moved take ``--because "what was mended"``, and are listed in ``moved.csv`` with both values. They are not
kept while no version and no setting says that they are others: runs made before would count as today's.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from bench.base.errors import BenchError, unknown
from tests.declared import RUNS
from tests.golden.golden import (
    HERE,
    VALUES,
    Moved,
    Value,
    World,
    explained,
    moved,
    of_run,
    path_of,
    read,
    read_of,
    settings_of,
    write,
)
from tests.golden.versions import unversioned

LIST = HERE / "moved.csv"


def make(names: list[str], because: str | None) -> None:
    """Keep what the code gives now, and list what has moved.

    Raises :class:`BenchError` for an unknown name, for numbers that moved without a reason, and for such as no version
    and no setting tells from those before; the values of that system stay as they are.
    """
    runs = {f"{paper}/{system}": (paper, system) for paper, system in RUNS}
    for name in names:
        if name not in runs:
            raise unknown("system", name, runs)
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        for paper, system in (runs[name] for name in names or runs):
            values = world.values(paper, system)
            if path_of(paper, system).exists():
                before = read(paper, system)[1]
                allow(paper, system, moved(before, values, exactly=False), because)
            write(paper, system, values)
    for path in VALUES.rglob("*.json"):
        if not names and (path.parent.name, path.stem) not in RUNS:
            path.unlink()


def allow(paper: str, system: str, terms: list[Moved], because: str | None) -> None:
    """List the numbers of both sides that moved; raises :class:`BenchError` if they may not be kept."""
    numbers = [term for term in terms if isinstance(term.golden, float) and isinstance(term.found, float)]
    if not numbers:
        return
    print(explained(paper, system, numbers))
    name = f"{paper}/{system}"
    if faults := unversioned(
        [term.term for term in numbers], read_of(paper, system), of_run(settings_of(paper, system))
    ):
        raise BenchError(
            f"the numbers of {name} moved, and runs made before would count as today's",
            where=path_of(paper, system),
            remedy=f"raise the version of {' and of '.join(faults)}",
        )
    if not because:
        remedy = f'python -m tests.golden.make {name} --because "what was mended"'
        raise BenchError(f"the numbers of {name} moved without a reason", where=LIST, remedy=remedy)
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    with LIST.open("a", newline="", encoding="utf-8") as file:
        lines = csv.writer(file, lineterminator="\n")
        for term in shown(numbers):
            lines.writerow(
                [today, because, name, len(numbers), term.term, _short(term.golden), _short(term.found)]
            )


def shown(numbers: list[Moved]) -> list[Moved]:
    """Where training moved, one number that says how far; where only measuring did, each that is measured."""
    measured = [term for term in numbers if term.term.startswith("measured ")]
    if all(term.term.startswith(("measured ", "column ")) for term in numbers):
        return measured or numbers[:1]
    return [term for term in measured if term.term.startswith("measured nll ")][:1] or numbers[:1]


def _short(value: Value) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def main(arguments: list[str]) -> int:
    """Make the golden values that a command line asks for; 2 if they may not be kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.golden.make", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="PAPER/SYSTEM")
    parser.add_argument("--because", help="why numbers moved")
    given = parser.parse_args(arguments)
    try:
        make(given.names, given.because)
    except BenchError as fault:
        print(fault, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
