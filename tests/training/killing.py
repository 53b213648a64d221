"""Work that is killed at random moments, again and again, until it has been killed often enough."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sacrebleu  # noqa: F401 (loaded ahead, as below)
import torch._dynamo  # noqa: F401 (the same)

from bench.base.registry import registry
from bench.base.settings import RunSettings
from bench.metrics.evaluate import evaluate_run
from bench.metrics.measures import measures
from bench.training.run import train_run

KILLS = 20
HERE = {"device": "cpu", "threads": 1}
Work = Callable[..., None]

# All that work loads when it first needs it: else most moments would be those of a process that still imports.
registry()
measures()


def train(settings: RunSettings, corpora: Path, results: Path) -> None:
    """Train a run with a checkpoint after each step; as in the workflow, outputs do not survive a new attempt."""
    os.environ["BENCH_CHECKPOINT_SECONDS"] = "0"
    train_run(settings, corpora, results / "runs", results / "state", wait=True, **HERE)  # type: ignore[arg-type]


def evaluate(settings: RunSettings, corpora: Path, results: Path) -> None:
    """Measure a run."""
    evaluate_run(settings, corpora, results / "runs", **HERE)  # type: ignore[arg-type]


class Killer:
    """Runs work in processes of its own, which begin as copies of one that has imported everything."""

    def __init__(self, *names: object) -> None:
        self._random = random.Random(repr(names))
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([__name__])

    def whole(self, work: Work, *arguments: Any) -> float:
        """Let it end; how long it took, in seconds."""
        began = time.monotonic()
        process = self._context.Process(target=work, args=arguments)
        process.start()
        process.join()
        assert process.exitcode == 0
        return time.monotonic() - began

    def killed(self, within: float, work: Work, *arguments: Any) -> bool:
        """Kill it at a random moment of the seconds given; False if it had ended by then."""
        process = self._context.Process(target=work, args=arguments)
        process.start()
        process.join(self._random.uniform(0, within))
        if process.exitcode is None:
            os.kill(process.pid or 0, signal.SIGKILL)
            process.join()
        assert process.exitcode in (0, -signal.SIGKILL)
        return process.exitcode != 0
