"""Ctrl-C, twice."""

from __future__ import annotations

import signal

import pytest

from bench.base.signals import stop_once


def test_the_second_interrupt_only_says_that_the_first_is_obeyed(capfd: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGINT)
    try:
        stop_once()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        for _ in range(2):
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert capfd.readouterr().err.count("Stopping already: trainings save their states.") == 2
