"""Many runs at once on one device: worker processes that share it, each run as if it were alone.

A run is one process of the command line, ``bench train --evaluate``: it cannot disturb another, and what it
leaves is what the workflow would have left. This process only orders, starts and stops them, and computes
nothing itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Literal

from bench.base.errors import BenchError
from bench.base.files import cannot_write
from bench.base.locks import locked
from bench.base.outputs import RESULTS, claim
from bench.catalog.catalog import Catalog
from bench.metrics.needs import wanted_here
from bench.planning.plan import Plan, with_starts
from bench.planning.resources import passes
from bench.store.costs import CostRecords, recorded_cost
from bench.store.freshness import Stage, next_stage

POLL = 0.1  # seconds between two looks at the workers
STOPPING = 30.0  # seconds at most, and a quarter of the budget, in which trainings save and end
PACKAGE = Path(__file__).parents[2]
PARENT_DIED = 1  # PR_SET_PDEATHSIG of Linux's prctl

State = Literal["finished", "failed", "left"]


@dataclass(frozen=True)
class Workers:
    """How the runs of a pack are computed: processes at once, device, threads of each, minutes in all."""

    count: int
    device: str
    threads: int
    minutes: float | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of one run: ``left`` to a later call, or ``failed``, for a reason."""

    name: str
    state: State
    reason: str = ""


def pack(catalog: Catalog, plan: Plan, corpora: Path, out: Path, workers: Workers) -> list[Outcome]:
    """Train and measure all runs of ``plan``, and train those that they begin with; what became of each.

    What is finished already is left alone, and a training that was stopped goes on. Returns early, with runs
    that are ``left``, at the end of the budget and when this process is asked to stop. Raises
    :class:`BenchError` for a corpus that is not there and when another process works on the same folder.
    """
    everything = with_starts(catalog, plan)
    for paper, corpus in everything.corpora:
        folder = corpora / paper / corpus
        if not (folder / "corpus.json").exists():
            remedy = (
                f"prepare it where it can be fetched, and bring the folder: bench prepare {paper} {corpus}"
            )
            raise BenchError("the corpus is not prepared", where=folder, remedy=remedy)
    claim(out, RESULTS)
    with locked(out / "state" / "pack", f"a pack in {out}"):
        return _Pack(catalog, plan, everything, corpora, out, workers).run()


def in_order(catalog: Catalog, plan: Plan, seconds: Mapping[str, float]) -> list[str]:
    """The runs of ``plan`` in the order in which they are begun.

    A baseline and its twins are one group, so that an early end leaves whole pairs. First come the groups with a run
    that another one starts from, then those whose longest run, by ``seconds``, takes longest.
    """
    starts = {run.start for run in plan.runs.values()}
    groups: dict[tuple[str, str, str, str, int], list[str]] = {}
    for name, run in plan.runs.items():
        baseline = catalog.system(run.paper, run.system).couples or run.system
        groups.setdefault((run.tier, run.paper, run.corpus, baseline, run.seed), []).append(name)
    for key, names in groups.items():
        names.sort(key=lambda name: (name not in starts, plan.runs[name].system != key[3]))
    first = sorted(
        groups.values(),
        key=lambda names: (starts.isdisjoint(names), -max(seconds[name] for name in names)),
    )
    return [name for names in first for name in names]


def expected_seconds(plan: Plan, results: Path) -> dict[str, float]:
    """How long each run takes in comparison with the others: by records if all have one, else by counting.

    Counted are passes through the model: of all steps, and of a decoder twice for a coupled system.
    """
    records = CostRecords(results)
    found = {name: records.like(run) for name, run in plan.runs.items()}
    recorded = {n: recorded_cost(plan.runs[n], record).seconds for n, record in found.items() if record}
    if len(recorded) == len(plan.runs):
        return recorded
    return {name: float(run.training.steps * passes(run)) for name, run in plan.runs.items()}


@dataclass
class _Worker:
    """A process that trains or measures a run, and the log that it writes."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    began: float = field(default_factory=time.monotonic)


class _Pack:
    """One call: what waits, what runs, what became of the rest."""

    def __init__(
        self, catalog: Catalog, asked: Plan, plan: Plan, corpora: Path, out: Path, workers: Workers
    ) -> None:
        self.asked, self.plan, self.corpora, self.out, self.workers = asked, plan, corpora, out, workers
        self.stages: dict[str, Stage | None] = {}
        for name in plan.runs:  # in which a run that was not asked for follows those that begin with it
            self.stages[name] = self._stage(name)
        order = in_order(catalog, plan, expected_seconds(plan, out))
        self.waiting = [name for name in order if self.stages[name] is not None]
        self.outcomes = {n: Outcome(n, "finished") for n, stage in self.stages.items() if stage is None}
        self.running: list[_Worker] = []
        self.signals = 0  # how often we were asked to stop
        # Workers end with this process, however it ends, where the system can tell them.
        linux = sys.platform == "linux"
        self.bound = functools.partial(_bound, ctypes.CDLL(None), os.getpid()) if linux else None
        began = time.monotonic()
        budget = None if workers.minutes is None else 60 * workers.minutes
        self.end = None if budget is None else began + budget
        self.last_call = None if budget is None else began + budget - min(STOPPING, budget / 4)

    def _stage(self, name: str) -> Stage | None:
        """What is left of a run; of one that was not asked for, its training while another still needs it."""
        stage = next_stage(self.plan.runs[name], self.out, wanted_here, self.corpora)
        if name in self.asked.runs:
            return stage
        needed = any(self.plan.runs[n].start == name and found == "train" for n, found in self.stages.items())
        return stage if needed and stage == "train" else None

    def run(self) -> list[Outcome]:
        """Work until all is done, or until it is time to stop."""
        with self._asked_to_stop():
            while not self._stopping() and (self.running or self.waiting):
                self._start()
                self._collect()
                if self.running:
                    time.sleep(POLL)
            self._stop()
        for name in self.waiting:
            self.outcomes[name] = Outcome(name, "left")
        return [self.outcomes[name] for name in self.plan.runs]

    def _stopping(self) -> bool:
        return self.signals > 0 or (self.last_call is not None and time.monotonic() >= self.last_call)

    def _start(self) -> None:
        """Give each free worker the first run that can begin."""
        for name in list(self.waiting):
            if len(self.running) == self.workers.count:
                return
            start = self.plan.runs[name].start
            before = None if start is None else self.outcomes.get(start)
            if start is not None and self.stages[start] == "train" and before is None:
                continue
            self.waiting.remove(name)
            if before is not None and before.state == "failed":
                self._conclude(Outcome(name, "failed", f"it begins with {start}, which failed"))
            else:
                self.running.append(self._worker(name))

    def _worker(self, name: str) -> _Worker:
        stage = self.stages[name]
        runs, state = self.out / "runs", self.out / "state"
        command = [sys.executable, "-m", "bench", str(stage), name, "--corpora", str(self.corpora)]
        command += ["--device", self.workers.device, "--threads", str(self.workers.threads)]
        command += ["--settings", json.dumps(self.plan.request.settings)]
        if stage == "train":
            command += ["--out", str(runs), "--state", str(state)]
            command += ["--evaluate"] if name in self.asked.runs else []
        else:
            command += ["--runs", str(runs)]
        paths = [str(PACKAGE), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        log = self.out / "logs" / str(stage) / f"{name}.log"
        with _writing(log) as file:
            # In a session of its own: Ctrl-C reaches this process alone, which then stops all of them.
            process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=self.bound,
            )
        return _Worker(name, process, log)

    def _collect(self) -> None:
        """Note what became of the workers that have ended."""
        for worker in list(self.running):
            if worker.process.poll() is not None:
                self.running.remove(worker)
                self._conclude(self._outcome(worker))

    def _outcome(self, worker: _Worker) -> Outcome:
        code, name = worker.process.returncode, worker.name
        if code == 0:
            minutes = (time.monotonic() - worker.began) / 60
            return Outcome(name, "finished", f"in {minutes:.1f} min")
        if self._stopping() and code in (-signal.SIGTERM, -signal.SIGKILL, 128 + signal.SIGTERM):
            return Outcome(name, "left")
        if code < 0:
            return Outcome(name, "failed", f"killed by signal {-code}; its log: {worker.log}")
        lines = worker.log.read_text(encoding="utf-8", errors="replace").splitlines()
        said = [
            line for line in lines if line.strip() and not line[0].isspace()
        ]  # where and how is below that
        return Outcome(name, "failed", f"{said[-1] if said else 'without a word'}; its log: {worker.log}")

    def _conclude(self, outcome: Outcome) -> None:
        self.outcomes[outcome.name] = outcome
        done = f"[{len(self.outcomes)}/{len(self.plan.runs)}]"
        print(done, outcome.name, outcome.state, outcome.reason, file=sys.stderr, flush=True)

    def _stop(self) -> None:
        """Ask all workers to stop and wait for them: to the end of the budget, or until we are asked again."""
        for worker in self.running:
            worker.process.terminate()
        while self.running:
            if self.signals > 1 or (self.end is not None and time.monotonic() >= self.end):
                for worker in self.running:
                    worker.process.kill()
            self._collect()
            time.sleep(POLL if self.running else 0)

    @contextlib.contextmanager
    def _asked_to_stop(self) -> Iterator[None]:
        def note(_: int, __: FrameType | None) -> None:
            self.signals += 1

        before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for worker in self.running:  # an error of our own: none is left behind
                worker.process.terminate()
            for number, handler in before.items():
                signal.signal(number, handler)


def _bound(library: ctypes.CDLL, parent: int) -> None:
    """Called in a new process: it is told to stop, and saves, when its parent has died."""
    library.prctl(PARENT_DIED, signal.SIGTERM)
    if os.getppid() != parent:  # which happened before the call
        os._exit(128 + signal.SIGTERM)


@contextlib.contextmanager
def _writing(log: Path) -> Iterator[IO[bytes]]:
    """The log of one run, begun anew."""
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        file = open(log, "wb")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise cannot_write(log, error) from error
    with file:
        yield file


def summary(outcomes: Sequence[Outcome]) -> str:
    """How many runs are finished, failed and left, in a sentence."""
    counts = {s: sum(o.state == s for o in outcomes) for s in ("finished", "failed", "left")}
    text = ", ".join(f"{count} {state}" for state, count in counts.items())
    return f"{text}; the same command goes on from there" if counts["left"] or counts["failed"] else text
