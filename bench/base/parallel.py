"""Independent tasks over the cores that a process may use."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor

from bench.base.errors import BenchError

Task = Callable[[], None]
_tasks: Sequence[Task] = ()  # those of the parent, in a worker


def run_all(tasks: Sequence[Task], workers: int) -> None:
    """Run each task once, in any order, in ``workers`` copies of this process.

    A task leaves files: what it changes in memory is lost. The first error is raised, and later tasks may not
    have run. Where a process cannot be copied safely (anywhere but on Linux), they run here one after another.
    """
    workers = min(workers, len(tasks))
    if workers < 2 or sys.platform != "linux":
        for task in tasks:
            task()
        return
    with warnings.catch_warnings():
        # Python 3.12 warns of threads; those of the numerical libraries stop before a copy is made.
        warnings.simplefilter("ignore", DeprecationWarning)
        copied = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(workers, copied, initializer=_adopt, initargs=(tasks,)) as pool:
            try:
                for _ in pool.map(_run, range(len(tasks))):
                    pass
            except BrokenExecutor as error:
                remedy = "free some memory, or let one process do it all"
                raise BenchError(
                    f"one of {workers} processes was ended from outside", remedy=remedy
                ) from error


def _adopt(tasks: Sequence[Task]) -> None:
    """Keep the tasks, which need no pickling here; an interrupt is the parent's to handle."""
    global _tasks
    _tasks = tasks
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _run(index: int) -> None:
    _tasks[index]()
