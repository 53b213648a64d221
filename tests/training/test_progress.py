"""The line of progress of a training."""

from __future__ import annotations

import pytest

from bench.training.progress import Reporter


def test_speed_and_time_left_are_those_of_the_steps_after_the_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 1000.0
    monkeypatch.setattr("bench.training.progress.time.monotonic", lambda: now)
    reporter = Reporter("a/run", 1000)
    for step, later in (
        (101, 60.0),
        (102, 2.0),
        (111, 18.0),
    ):  # a resumed run whose first step takes a minute
        now += later
        reporter(step, lambda: "loss 1.0")
    first, second = capsys.readouterr().err.splitlines()
    assert first == "a/run step 101/1000 · loss 1.0"
    assert second == "a/run step 111/1000 · 0.5 steps/s · loss 1.0 · 0:29:38 left"
