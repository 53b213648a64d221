"""Tasks in copies of this process: each once, and the first fault is raised here."""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.base.errors import BenchError
from bench.base.parallel import run_all


def note(folder: Path, name: int) -> None:
    (folder / f"{name}-{os.getpid()}").touch(exist_ok=False)


def fail() -> None:
    raise BenchError("no such page", where="a.html", remedy="another one")


def end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("workers", [1, 2, 9])
def test_each_task_is_done_once(tmp_path: Path, workers: int) -> None:
    run_all([functools.partial(note, tmp_path, name) for name in range(5)], workers)
    made = [path.name.split("-") for path in tmp_path.iterdir()]
    assert sorted(name for name, _ in made) == ["0", "1", "2", "3", "4"]
    assert (str(os.getpid()) in {process for _, process in made}) == (workers == 1)


@pytest.mark.parametrize(("task", "message"), [(fail, "no such page"), (end, "was ended from outside")])
def test_a_fault_is_told_as_it_was(tmp_path: Path, task: Callable[[], None], message: str) -> None:
    with pytest.raises(BenchError, match=message) as told:
        run_all([task, functools.partial(note, tmp_path, 1)], 2)
    assert told.value.remedy


def test_nothing_is_done_of_nothing() -> None:
    run_all([], 2)
