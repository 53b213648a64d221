"""Sides that take turns: each in a process of its own, the baseline in the same run.

Machines differ and are shared, so the ratio counts and not the seconds. Each side is a process that waits for
its turn, so that its peak memory is its own and nobody computes but the one whose turn it is. The first turn of
a process warms it up and is not counted.

A program calls :func:`sides_from` with how a side is built; in the processes that it starts this serves one
side and never returns, in the first process it gives :class:`Sides`, which takes the turns.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

Work = Callable[[], dict[str, float]]  # one turn: what was done in it, by unit (steps, tokens)


@dataclass(frozen=True)
class Turn:
    """One turn: its seconds on the clock and of the processor, what was done, and the peak so far in MiB."""

    seconds: float
    processor: float
    done: dict[str, float]
    peak: float


class Measured:
    """The turns of one side beside those of the baseline that followed each of them."""

    def __init__(self, own: list[Turn], baseline: list[Turn]) -> None:
        self.own, self.baseline = own, baseline

    def rate(self, unit: str) -> float:
        """How much of ``unit`` a second."""
        return statistics.median(turn.done[unit] / turn.seconds for turn in self.own)

    @property
    def seconds(self) -> float:
        """Of one turn."""
        return statistics.median(turn.seconds for turn in self.own)

    @property
    def peak(self) -> float:
        """The process's peak of resident memory in MiB."""
        return max(turn.peak for turn in self.own)

    def ratio(self, unit: str, *, processor: bool = False) -> float:
        """How much of ``unit`` a second, as a multiple of the baseline's; on the clock or of the processor."""
        pairs = zip(self.own, self.baseline, strict=True)

        def cost(turn: Turn) -> float:
            return turn.processor if processor else turn.seconds

        return statistics.median(
            own.done[unit] / cost(own) * cost(base) / base.done[unit] for own, base in pairs
        )


class _Process:
    """One side, waiting for its turn."""

    def __init__(self, name: str, errors: IO[str]) -> None:
        self.name, self._errors = name, errors
        command = [sys.executable, *sys.argv, "--side", name]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        )

    def turn(self) -> Turn:
        """Let it work once. Raises RuntimeError, with what it said, if it died."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):  # it says below why
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            raise RuntimeError(f"{self.name}: {self._errors.read()[-2000:]}")
        return Turn(**json.loads(line))

    def close(self) -> None:
        """End it."""
        self._process.communicate()


class Sides:
    """What the program measures; ``baseline`` names the side that all others are compared with."""

    def __init__(self, options: argparse.Namespace, baseline: str) -> None:
        self.options, self.baseline = options, baseline

    def measure(self, names: Sequence[str], *, warm: bool = True) -> Iterator[tuple[str, Measured]]:
        """Each side in turns with the baseline, one side after the other; ``warm`` up, or count all turns."""
        with _running(self.baseline) as baseline:
            if warm:
                baseline.turn()
            for name in names:
                if name == self.baseline:
                    turns = [baseline.turn() for _ in range(self.options.rounds)]
                    yield name, Measured(turns, turns)
                    continue
                with _running(name) as process:
                    if warm:
                        process.turn()
                    pairs = [(process.turn(), baseline.turn()) for _ in range(self.options.rounds)]
                yield name, Measured([own for own, _ in pairs], [base for _, base in pairs])


@contextmanager
def _running(name: str) -> Iterator[_Process]:
    with tempfile.TemporaryFile(mode="w+") as errors:
        process = _Process(name, errors)
        try:
            yield process
        finally:
            process.close()


def parser(about: str | None, *, rounds: int = 5, threads: bool = True) -> argparse.ArgumentParser:
    """The options that all programs have."""
    made = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--rounds", type=int, default=rounds, help="turns of each side that count")
    if threads:
        made.add_argument("--threads", type=int, default=2)
    made.add_argument("--side", help=argparse.SUPPRESS)
    return made


def sides_from(
    options: argparse.Namespace, baseline: str, build: Callable[[argparse.Namespace, str], Work]
) -> Sides:
    """The sides to measure; in the process of one side, serve it until nobody asks, and leave."""
    if options.side is None:
        return Sides(options, baseline)
    answers = sys.stdout
    sys.stdout = sys.stderr  # what the code under measurement prints is no answer
    _serve(build(options, options.side), answers)
    raise SystemExit(0)


def _serve(work: Work, answers: IO[str]) -> None:
    for _ in sys.stdin:
        clock, processor = time.perf_counter(), _processor_seconds()
        done = work()
        turn = Turn(
            time.perf_counter() - clock,
            _processor_seconds() - processor,
            done,
            max(resource.getrusage(who).ru_maxrss for who in _WHO) / 1024,
        )
        print(json.dumps(vars(turn)), file=answers, flush=True)


_WHO = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


def _processor_seconds() -> float:
    """Of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in _WHO]
    return sum(one.ru_utime + one.ru_stime for one in used)


def run(command: Sequence[str], cwd: Path | None = None) -> str:
    """The output of a command. Raises RuntimeError with what it said if it fails."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout[-1000:]}{done.stderr[-2000:]}")
    return done.stdout


def print_table(columns: Sequence[str], rows: Iterator[Sequence[object]]) -> None:
    """Print each row as soon as it is known: text to the left, numbers to the right."""
    widths = [22, *(max(9, len(name)) for name in columns[1:])]
    print(
        "  ".join(
            _cell(name, width, at) for at, (name, width) in enumerate(zip(columns, widths, strict=True))
        )
    )
    for row in rows:
        cells = (_cell(value, width, at) for at, (value, width) in enumerate(zip(row, widths, strict=True)))
        print("  ".join(cells), flush=True)


def _cell(value: object, width: int, at: int) -> str:
    if isinstance(value, float):
        value = f"{value:.2f}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:<{width}}" if at == 0 else f"{value:>{width}}"
