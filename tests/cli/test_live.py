"""The live view: what it makes of the events of Snakemake, and that Snakemake finds it."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from snakemake_interface_logger_plugins.common import LogEvent

from bench.cli import live
from bench.cli.live import Job, Jobs, LogHandler, View, progress

ROOT = Path(__file__).parents[2]
RUN = "demo/coupled-vae/generated-clear/vae/seed0"


def record(event: str | None, level: int = logging.INFO, text: str = "", **said: Any) -> logging.LogRecord:
    made = logging.LogRecord("snakemake", level, "", 0, text, (), None)
    vars(made).update(said, event=event)
    return made


@pytest.fixture
def handler() -> Any:
    """A handler that draws on nothing."""
    made = LogHandler(SimpleNamespace(dryrun=False), None)  # type: ignore[arg-type]
    made.console = Console(file=io.StringIO(), width=100)
    yield made
    made.close()


def test_events_become_jobs(handler: LogHandler, tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text(f"{RUN} step 20/600 · 9.1 steps/s\r{RUN} step 1040/6000 · 18.2 steps/s · loss 3")
    handler.take(
        record(LogEvent.RUN_INFO, stats={"all": 1, "train": 2, "evaluate": 2}), LogEvent.RUN_INFO, 0.0
    )
    said: dict[str, Any] = {"jobid": 4, "rule_name": "train", "wildcards": {"run": RUN}, "log": [str(log)]}
    handler.take(record(LogEvent.JOB_INFO, **said), LogEvent.JOB_INFO, 1.0)
    assert handler.jobs.running == {4: Job("train", RUN, log, 1.0)}
    assert handler.jobs.planned.total() == 4
    console = Console(file=io.StringIO(), width=100)
    console.print(View(handler.jobs, 0.0))
    drawn = console.file.getvalue()  # type: ignore[attr-defined]
    assert "0 of 4 jobs" in drawn
    assert "step 1040/6000 · 18.2 steps/s" in drawn
    handler.take(record(LogEvent.JOB_FINISHED, job_id=4), LogEvent.JOB_FINISHED, 31.0)
    assert (handler.jobs.done, handler.jobs.running) == (1, {})


def test_errors_and_warnings_scroll_by_and_file_lists_do_not(handler: LogHandler) -> None:
    handler.take(record(LogEvent.RUN_INFO, stats={"train": 1}), LogEvent.RUN_INFO, 0.0)
    handler.jobs.running[1] = Job("train", RUN, None, 0.0)
    handler.take(record(LogEvent.JOB_ERROR, logging.ERROR, "no memory", jobid=1), LogEvent.JOB_ERROR, 1.0)
    handler.take(record(None, text="input: a, b, c"), None, 1.0)
    shown = handler.console.file.getvalue()  # type: ignore[attr-defined]
    assert "no memory" in shown
    assert "input:" not in shown
    assert handler.jobs.failed == 1


def test_what_is_left_is_told_once_each_long_rule_has_been_seen() -> None:
    jobs = Jobs(Counter(train=3, evaluate=3), {7: Job("train", "", None, 100.0)})
    assert jobs.left(110.0) is None
    jobs.seconds = {"train": [40.0], "evaluate": [5.0]}
    assert jobs.left(110.0) == 2 * 40.0 + 2 * 5.0 - 10.0


def test_a_log_without_steps_or_without_a_file_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"\xff no steps")
    assert [progress(None), progress(tmp_path / "none"), progress(tmp_path / "log")] == ["", "", ""]


def test_snakemake_finds_the_plugin_where_make_puts_it() -> None:
    code = (
        "from snakemake_interface_logger_plugins.registry import LoggerPluginRegistry as R; "
        "print(R().get_plugin('bench').log_handler.__module__)"
    )
    paths = f"{ROOT / 'workflow' / 'logger'}:{ROOT}"
    made = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": paths}, capture_output=True, text=True
    )
    assert made.stdout.strip() == live.__name__, made.stderr
