"""Ctrl-C as a workflow obeys it: once."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType


def stop_once() -> None:
    """Let the first SIGINT stop this process as ever, and each further one only say that it is stopping.

    Else the second ends the stopping: tracebacks, and no partial report. Called in the main thread.
    """

    def first(_: int, __: FrameType | None) -> None:
        signal.signal(signal.SIGINT, further)
        raise KeyboardInterrupt

    def further(_: int, __: FrameType | None) -> None:
        text = f"Stopping already: trainings save their states. To give up at once: kill -9 {os.getpid()}\n"
        os.write(sys.stderr.fileno(), text.encode())  # print may be in progress

    signal.signal(signal.SIGINT, first)
