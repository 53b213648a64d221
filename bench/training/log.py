"""What the steps of a run give: kept on the device until it is read, checked, and averaged over a window of steps."""

from __future__ import annotations

import math
import time
from itertools import islice

import torch
from torch import Tensor

from bench.training.state import Progress


class Diverged(Exception):
    """A loss or a gradient became NaN or infinite: the outcome of this run, not a fault of the code."""


class Log:
    """The terms of the steps of a run, by name; steps may have different ones. It fills the ``progress`` of the run."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self._unread: list[tuple[int, list[str], Tensor]] = []  # steps, names and values of their terms

    def begin(self) -> None:
        """Begin a window, unless one is open."""
        if not self.progress.window:
            self.progress.window = {"steps": 0, "tokens": 0, "began": self.progress.seconds, "sums": {}}

    def note(self, step: int, tokens: int, values: dict[str, Tensor]) -> None:
        """Keep the values () of ``step``, on the device, and count it in the window."""
        self._unread.append((step, list(values), torch.stack([value.detach() for value in values.values()])))
        self.progress.window["steps"] += 1
        self.progress.window["tokens"] += tokens
        self.progress.tokens += tokens

    def settle(self) -> None:
        """Wait for the device, and add the terms of the steps since the last time to the window of means.

        Raises :class:`Diverged` for the first of these steps with a value that is NaN or infinite; the run then
        stands after the step before it.
        """
        began = time.perf_counter()
        unread, self._unread = self._unread, []
        if not unread:
            return
        numbers = iter(torch.cat([values for *_, values in unread]).tolist())
        self.progress.seconds += time.perf_counter() - began
        for step, names, _ in unread:
            row = dict(zip(names, islice(numbers, len(names)), strict=True))
            self._check(step, row)
            for name, value in row.items():
                total, count = self.progress.window["sums"].get(name, (0.0, 0))
                self.progress.window["sums"][name] = (total + value, count + 1)
            self.progress.observed = row

    def observed(self) -> dict[str, float]:
        """The terms of the last step, none before the first; waits for the device. Raises as :meth:`settle`."""
        self.settle()
        return self.progress.observed

    def close(self, known: dict[str, float], epoch_steps: int) -> None:
        """Add the means of the window, if it holds a step, to the history, with what is ``known`` of the last step."""
        window, self.progress.window = self.progress.window, {}
        if not window:
            return
        progress = self.progress
        seconds = max(progress.seconds - window["began"], 1e-9)
        row = {
            "step": progress.step,
            "epoch": progress.step / epoch_steps,
            "seconds": progress.seconds,
            **known,
        }
        row |= {name: total / count for name, (total, count) in window["sums"].items()}
        progress.history.append({**row, "tokens_per_second": window["tokens"] / seconds})

    def diverged(self, what: str, value: float, step: int) -> Diverged:
        """That ``what`` is not finite any more."""
        kind = "NaN" if math.isnan(value) else "infinite"
        good = f"step {self.progress.best['step']}" if self.progress.best else "none"
        return Diverged(f"{what} became {kind} at step {step}; last good checkpoint: {good}")

    def _check(self, step: int, row: dict[str, float]) -> None:
        for name, value in row.items():
            if not math.isfinite(value):
                self.progress.step = step - 1
                raise self.diverged(name, value, step)
