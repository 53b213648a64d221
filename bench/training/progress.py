"""One line of progress: rewritten in place on a terminal, a line now and then in a log file."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import timedelta


class Reporter:
    """Prints step, speed, loss and time left to standard error."""

    def __init__(self, name: str, steps: int) -> None:
        self.name, self.steps = name, steps
        self.live = sys.stderr.isatty()
        self.every = 0.2 if self.live else 15.0
        self.printed = self.began = time.monotonic()
        self.first: int | None = None

    def __call__(self, step: int, text: Callable[[], str]) -> None:
        """Report ``step`` if enough time has passed, or if it is the last; only then is ``text`` made."""
        now = time.monotonic()
        if self.first is None:
            self.first, self.began = step, now
        if now - self.printed < self.every and step < self.steps:
            return
        self.printed = now
        line = f"{self.name} step {step}/{self.steps}"
        if step == self.first:  # one step has no speed
            line = f"{line} · {text()}"
        else:
            each = (now - self.began) / (step - self.first)
            left = timedelta(seconds=round((self.steps - step) * each))
            line = f"{line} · {1 / max(each, 1e-9):.1f} steps/s · {text()} · {left} left"
        end = "\n" if not self.live or step == self.steps else "\r"
        print(f"\x1b[2K{line}" if self.live else line, end=end, file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """A line that stays."""
        print(f"{self.name} {text}", file=sys.stderr, flush=True)
