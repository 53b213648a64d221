"""A live view of the workflow for a terminal, from the events that Snakemake logs and the logs of its jobs."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from logging import WARNING, LogRecord
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from bench.base.times import span

RULES = ("fetch", "prepare", "train", "evaluate", "report")
LONG = ("train", "evaluate")  # the rules whose time counts
STEP = re.compile(r"step \d+/\d+(?: · [\d.]+ steps/s)?")
TAIL = 4096  # bytes of a job's log that are read
REFRESH = 2  # times a second
WIDTH = 36


@dataclass(frozen=True)
class Job:
    """A job that runs: its rule, what it is for, its log, and when it began."""

    rule: str
    name: str
    log: Path | None
    began: float


@dataclass
class Jobs:
    """The jobs of a workflow: how many of each rule there are, which run, and how long the finished ones took."""

    planned: Counter[str] = field(default_factory=Counter)
    running: dict[int, Job] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    failed: int = 0

    def finish(self, number: int, now: float) -> None:
        """A job is done."""
        if (job := self.running.pop(number, None)) is not None:
            self.seconds.setdefault(job.rule, []).append(now - job.began)

    def fail(self, number: int) -> None:
        """A job has failed; it may be tried again."""
        self.failed += self.running.pop(number, None) is not None

    @property
    def done(self) -> int:
        """The number of finished jobs."""
        return sum(map(len, self.seconds.values()))

    def left(self, now: float) -> float | None:
        """About how many seconds are left, if as many jobs run at a time as now; None while nothing tells."""
        total = 0.0
        for rule in LONG:
            took = self.seconds.get(rule, [])
            if waiting := self.planned[rule] - len(took):
                if not took:
                    return None
                mean = sum(took) / len(took)
                begun = sum(min(now - job.began, mean) for job in self.running.values() if job.rule == rule)
                total += waiting * mean - begun
        return total / max(len(self.running), 1)


def progress(log: Path | None) -> str:
    """The last step of which a job's log speaks, or nothing."""
    if log is None or not log.is_file():
        return ""
    with log.open("rb") as file:
        file.seek(max(log.stat().st_size - TAIL, 0))
        found = STEP.findall(file.read().decode(errors="replace"))
    return found[-1] if found else ""


class View:
    """What is drawn of the jobs."""

    def __init__(self, jobs: Jobs, began: float) -> None:
        self.jobs, self.began = jobs, began

    def __rich__(self) -> Group:
        now, jobs = time.monotonic(), self.jobs
        left = jobs.left(now)
        facts = [f"{jobs.done} of {jobs.planned.total()} jobs", span(now - self.began)]
        facts += [f"about {span(left)} left"] if left is not None else []
        facts += [f"{jobs.failed} failed"] if jobs.failed else []
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis")
        table.add_column(no_wrap=True, min_width=WIDTH)
        for job in list(jobs.running.values()):
            said = progress(job.log) or span(now - job.began)
            table.add_row(Text(job.rule, style="cyan"), job.name, said)
        bar = Table.grid()  # a bar by itself ends no line
        bar.add_row(ProgressBar(total=max(jobs.planned.total(), 1), completed=jobs.done, width=WIDTH))
        return Group(Text(" · ".join(facts)), bar, table)


class LogHandler(LogHandlerBase):
    """Draws the view while jobs run; messages of warnings and errors scroll by above it."""

    writes_to_stream, writes_to_file = True, False
    has_filter, has_formatter, needs_rulegraph = True, False, False  # texts are formatted as Snakemake does

    def __post_init__(self) -> None:
        self.jobs = Jobs()
        self.console = Console(stderr=True)
        self.live: Live | None = None

    def emit(self, record: LogRecord) -> None:
        """Take up one event of Snakemake."""
        try:
            self.take(record, getattr(record, "event", None), time.monotonic())
        except Exception:
            self.handleError(record)

    def take(self, record: LogRecord, event: str | None, now: float) -> None:
        """What an event changes."""
        said = vars(record)
        if event == LogEvent.RUN_INFO:
            self._begin(said.get("stats") or {}, now)
        elif event == LogEvent.JOB_INFO:
            self.jobs.running[said["jobid"]] = job_of(said, now)
        elif event == LogEvent.JOB_FINISHED:
            self.jobs.finish(said["job_id"], now)
        elif event == LogEvent.JOB_ERROR:
            self.jobs.fail(said["jobid"])
            self._tell(self.format(record))
        elif record.levelno >= WARNING or (self.live is None and event is None):
            self._tell(self.format(record))

    def _begin(self, stats: Mapping[str, int], now: float) -> None:
        self.jobs.planned = Counter({rule: count for rule, count in stats.items() if rule in RULES})
        if self.common_settings.dryrun or self.live is not None:
            return
        view = View(self.jobs, now)
        self.live = Live(view, console=self.console, refresh_per_second=REFRESH, transient=True)
        self.live.start()

    def _tell(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self.live is not None:
            self.live.stop()
            self.live = None
        super().close()


def job_of(said: Mapping[str, object], now: float) -> Job:
    """A job from what Snakemake says of it."""
    wildcards, logs = said.get("wildcards"), said.get("log")
    values = wildcards.values() if isinstance(wildcards, Mapping) else ()
    log = Path(str(logs[0])) if isinstance(logs, list) and logs else None
    return Job(str(said["rule_name"]), " ".join(map(str, values)), log, now)
