"""The profile for clusters, on a real SLURM of one node that lives as long as these tests."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from bench.base.errors import BenchError
from bench.base.files import read_json
from tests.conftest import TINY, tiny_settings
from tests.workflow.asked import config

ROOT = Path(__file__).parents[2]
PROFILE = ROOT / "workflow" / "profiles" / "slurm"
SYSTEMS = ("gru-lm", "vae")
# The lines of the profile that are for many short jobs.
SHORT = (
    *("--groups", "evaluate=short", "--group-components", "short=8"),
    *("--set-resource-scopes", "gpu=local", "--resources", "gpu=1"),
)
LONGEST = 600  # seconds after which the workflow is given up
TOOLS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo")
CONFIGURATION = """\
ClusterName=tiny
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
SchedulerParameters=batch_sched_delay=0
SlurmdParameters=config_overrides
KillWait=5
MinJobAge=3600
NodeName=localhost NodeAddr=127.0.0.1 CPUs=2 RealMemory=32000 Gres=gpu:2
PartitionName={partition} Nodes=localhost Default=YES
"""


def missing() -> str:
    """Why there can be no SLURM here; empty if there can."""
    tools = [tool for tool in TOOLS if shutil.which(tool) is None]
    if tools:
        return f"slurm-wlm and munge are not installed: no {', '.join(tools)}"
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        return "snakemake-executor-plugin-slurm is not installed"
    return "" if os.geteuid() == 0 else "only root can run slurmd for others"


pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())


@dataclass(frozen=True)
class Job:
    """What the controller remembers of a job."""

    number: str
    name: str
    state: str
    gpus: str
    comment: str


@dataclass(frozen=True)
class Cluster:
    """A controller and one node with two processors and two cards."""

    environment: dict[str, str]

    def ask(self, *command: str) -> str:
        """The output of a client of this cluster."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=True)
        return done.stdout

    def jobs(self) -> list[Job]:
        """All jobs there have been."""
        columns = "jobid:20,name:60,state:20,tres-per-job:40,comment:200"
        lines = self.ask("squeue", "--states=all", "--noheader", "-O", columns).splitlines()
        ends = (0, 20, 80, 100, 140, 340)
        return [Job(*(line[a:b].strip() for a, b in itertools.pairwise(ends))) for line in lines if line]

    def of(self, rule: str, system: str = "") -> list[Job]:
        """The jobs of a rule, or of one system under it."""
        return [job for job in self.jobs() if f"rule_{rule}_" in job.comment and f"_{system}" in job.comment]


def until(condition: Callable[[], bool], what: str, process: subprocess.Popen[bytes] | None = None) -> None:
    """Wait for it, as long as ``process`` runs or a minute."""
    last = time.monotonic() + 60
    while not condition():
        alive = process.poll() is None if process else time.monotonic() < last
        assert alive, f"never came: {what}"
        time.sleep(0.2)


def free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@contextlib.contextmanager
def daemon(*command: str, log: Path, environment: dict[str, str]) -> Iterator[None]:
    """A server that is stopped at the end."""
    with (
        log.open("wb") as file,
        subprocess.Popen(command, stdout=file, stderr=file, env=environment) as process,
    ):
        try:
            yield
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("slurm")
    for name in ("state", "spool", "bin"):
        (folder / name).mkdir()
    partition = yaml.safe_load((PROFILE / "profile.yaml").read_text())["default-resources"]["slurm_partition"]
    configuration = CONFIGURATION.format(folder=folder, ports=free_ports(2), partition=partition)
    (folder / "slurm.conf").write_text(configuration)
    for card in ("card0", "card1"):
        (folder / card).touch()
    (folder / "gres.conf").write_text(f"Name=gpu File={folder}/card[0-1]\n")
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    # Inside a job the plugin removes SLURM_CONF, since elsewhere the configuration lies where it is looked for.
    srun = folder / "bin" / "srun"
    srun.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {shutil.which("srun")} "$@"\n')
    srun.chmod(0o755)

    hidden = ("BENCH_", "SNAKEMAKE_", "PYTHONPATH", "SLURM_", "SBATCH_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    path = f"{folder}/bin:{os.environ['PATH']}"
    environment = {**kept, "SLURM_CONF": f"{folder}/slurm.conf", "PATH": path, "OMP_NUM_THREADS": "1"}
    environment["BENCH_CHECKPOINT_SECONDS"] = "0"
    cluster = Cluster(environment)
    files = {
        "socket": "socket",
        "key-file": "key",
        "pid-file": "pid",
        "log-file": "own.log",
        "seed-file": "seed",
    }
    munge = [f"--{option}={folder}/munge.{name}" for option, name in files.items()]
    with contextlib.ExitStack() as stack:
        for command in (
            ("munged", "--foreground", "--force", *munge),  # --force: its folder is ours alone
            ("slurmctld", "-D", "-c"),
            ("slurmd", "-D", "-N", "localhost"),
        ):
            log = folder / f"{command[0]}.log"
            stack.enter_context(daemon(*command, log=log, environment=environment))
            if command[0] == "munged":
                until((folder / "munge.socket").exists, "munged")
        state = ("sinfo", "--noheader", "-o", "%T")
        until(
            lambda: answers(environment, *state) == "idle",
            f"a node that waits for work; see {folder}/slurmd.log",
        )
        try:
            yield cluster
        finally:
            cluster.ask("scancel", "--user=root")
            until(lambda: not cluster.ask("squeue", "--noheader"), "the end of the jobs")


def answers(environment: dict[str, str], *command: str) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def finished(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working directory of a call in which one training was cancelled and the other ran out of time."""
    folder = tmp_path_factory.mktemp("cluster")
    late, cancelled = (tiny_settings(system).name for system in SYSTEMS)
    longer = {**TINY["training"], "steps": 400, "validate_every": 200}  # time to meet them on their way
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "-d", str(folder)]
    command += ["--profile", str(PROFILE), "all", *config(*SYSTEMS, training=longer), *SHORT]
    output = folder / "output.txt"
    with (
        output.open("wb") as file,
        subprocess.Popen(command, stdout=file, stderr=file, cwd=folder, env=cluster.environment) as process,
    ):
        try:
            until(lambda: saved(folder).get(late, 0) >= 1, "a training in flight", process)
            halt(late)
            (job,) = cluster.of("train", SYSTEMS[0])
            cluster.ask("scontrol", "update", f"JobId={job.number}", "TimeLimit=1")  # minutes, the least
            until(lambda: saved(folder).get(cancelled, 0) >= 1, "a training in flight", process)
            cluster.ask("scancel", cluster.of("train", SYSTEMS[1])[0].number)
            process.wait(LONGEST)
        finally:
            process.kill()
    assert process.returncode == 0, output.read_text()
    return folder


def saved(folder: Path) -> dict[str, int]:
    """The step after which each run was last saved; its status is written behind its checkpoint."""
    found = {}
    for path in (folder / "results" / "state").glob("*/status.json"):
        with contextlib.suppress(BenchError, FileNotFoundError):  # it is replaced as we look
            status = read_json(path)
            found[status["name"]] = status["step"]
    return found


def halt(run: str) -> None:
    """Stop a training: it does not come further until its time is over, and it is woken to be told so."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if run.encode() in words and words[1:4] == [b"-m", b"bench", b"train"]:
                os.kill(int(path.parent.name), signal.SIGSTOP)
                return
    raise AssertionError(f"no process trains {run}")


def test_every_job_finishes(cluster: Cluster, finished: Path) -> None:
    for system in SYSTEMS:
        measured = read_json(finished / "results" / "runs" / tiny_settings(system).name / "measurements.json")
        assert measured["state"] == "finished"
    assert (finished / "results" / "report" / "index.html").exists()
    assert not (finished / "results" / "report-partial").exists()


def test_a_cancelled_training_is_reported_and_tried_again(cluster: Cluster, finished: Path) -> None:
    jobs = cluster.of("train", "vae")
    assert sorted(job.state for job in jobs) == ["CANCELLED", "COMPLETED"]
    (number,) = (job.number for job in jobs if job.state == "CANCELLED")
    said = (finished / "output.txt").read_text()
    assert f"SLURM-job '{number}' failed, SLURM status is: 'CANCELLED'" in said
    assert "Trying to restart job" in said


def test_a_training_that_runs_out_of_time_goes_on_from_its_checkpoint(
    cluster: Cluster, finished: Path
) -> None:
    assert sorted(job.state for job in cluster.of("train", "gru-lm")) == ["COMPLETED", "TIMEOUT"]
    name = tiny_settings("gru-lm").name
    assert read_json(finished / "results" / "runs" / name / "run.json")["cost"]["attempts"] == 2
    log = (finished / "results" / "logs" / "train" / f"{name}.log").read_text()
    assert int(re.findall(r"resumes after step (\d+)", log)[0]) >= 1


def test_short_jobs_share_an_allocation(cluster: Cluster, finished: Path) -> None:
    (job,) = [job for job in cluster.jobs() if "short" in job.comment]
    assert (job.state, job.gpus) == ("COMPLETED", "gres:gpu:1")
    assert not cluster.of("evaluate")


def test_downloads_and_reports_stay_on_the_submitting_machine(cluster: Cluster, finished: Path) -> None:
    assert {job.comment.split("_")[1] for job in cluster.jobs()} == {"prepare", "train", "short"}


def test_a_card_for_each_run_and_none_for_the_corpus(cluster: Cluster, finished: Path) -> None:
    assert {job.gpus for job in cluster.of("train")} == {"gres:gpu:1"}
    assert not any("gpu" in job.gpus for job in cluster.of("prepare"))


def test_a_job_and_its_log_say_which_run(cluster: Cluster, finished: Path) -> None:
    for job in cluster.of("train"):
        run = job.comment.partition("_wildcards_")[2]
        assert run in {tiny_settings(system).name.replace("/", "_") for system in SYSTEMS}
        assert job.name.startswith("bench_")
        assert (finished / "results" / "logs" / "slurm" / "rule_train" / run / f"{job.number}.log").exists()
