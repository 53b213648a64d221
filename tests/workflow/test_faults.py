"""The workflow killed at random moments, started twice, and told to write where nothing can be written."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas
import pytest

from bench.base.files import read_json
from bench.base.locks import locked
from bench.base.outputs import REPORT, RESULTS, claim, renewing
from bench.metrics.evaluate import evaluate_run
from bench.training.run import train_run
from tests.conftest import CORPUS, tiny_settings
from tests.workflow.asked import config

ROOT = Path(__file__).parents[2]
SYSTEM = "vae"
RUN = tiny_settings(SYSTEM).name
LOGS = {  # of each rule: once it is there, a job of the rule is in flight
    "prepare": f"prepare/coupled-vae/{CORPUS}.log",
    "train": f"train/{RUN}.log",
    "evaluate": f"evaluate/{RUN}.log",
    "report": "report.log",
}
# After the beginning of a job, within which the workflow is killed: less than it takes to start and do its work.
SECONDS = {"prepare": 0.4, "train": 2.0, "evaluate": 2.0, "report": 0.8}
KILLS = int(os.environ.get("BENCH_KILLS") or "1")  # of each rule


@dataclass(frozen=True)
class Story:
    """A results folder whose workflow was killed at random moments, and what the last call said."""

    folder: Path
    killed: list[str]
    last: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def story(snakemake: Any, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Each call is killed while another rule is at work, and the next one follows at once."""
    folder, moments = tmp_path_factory.mktemp("killed"), random.Random("workflow")
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "-s",
        str(ROOT / "Snakefile"),
        "-d",
        str(folder),
        "--cores",
        "2",
    ]
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("BENCH_", "SNAKEMAKE_", "PYTHONPATH"))}
    killed = []
    for rule in [rule for rule in LOGS for _ in range(KILLS)]:
        log = folder / "results" / "logs" / LOGS[rule]
        log.unlink(missing_ok=True)
        with subprocess.Popen(
            [*command, *config(SYSTEM), "--forcerun", rule],
            cwd=folder,
            env=kept,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            while not log.exists() and process.poll() is None:
                time.sleep(0.02)
            time.sleep(moments.uniform(0, SECONDS[rule]))
            if process.poll() is None:
                killed.append(rule)
            process.kill()  # its jobs live on
    return Story(folder, killed, snakemake(folder, *config(SYSTEM)))


def test_after_every_kill_the_next_call_goes_on(story: Story) -> None:
    assert story.last.returncode == 0, story.last.stdout + story.last.stderr
    assert len(story.killed) > KILLS * len(LOGS) // 2
    results = story.folder / "results"
    assert (results / "report" / "index.html").exists()
    assert not list((results / "state").iterdir())
    assert not list(results.rglob(".*.part"))


def test_its_results_are_those_of_an_undisturbed_run(story: Story, corpora: Path, tmp_path: Path) -> None:
    settings = tiny_settings(SYSTEM)
    train_run(settings, corpora, tmp_path, tmp_path / "state", device="cpu", threads=1)
    evaluate_run(settings, corpora, tmp_path, device="cpu", threads=1)
    found, expected = story.folder / "results" / "runs" / RUN, tmp_path / RUN
    for name in ("model.safetensors", "latents.safetensors", "texts.json", "histograms.json"):
        assert (found / name).read_bytes() == (expected / name).read_bytes(), name
    one, other = (pandas.read_parquet(folder / "sentences.parquet") for folder in (found, expected))
    pandas.testing.assert_frame_equal(one, other)
    numbers = [read_json(folder / "measurements.json")["measurements"] for folder in (found, expected)]
    assert numbers[0] == numbers[1]


def test_a_second_workflow_on_the_same_results_is_refused(
    story: Story, snakemake: Any, tmp_path: Path
) -> None:
    """Also from another working directory, which Snakemake's own lock does not see."""
    results = story.folder / "results"
    (results / "runs" / RUN / "measurements.json").unlink()
    before = sorted(results.rglob("*"))
    with locked(results, "these results"):
        done = snakemake(tmp_path, *config(SYSTEM), f"results={results}")
    output = done.stdout + done.stderr
    assert done.returncode == 1
    assert "another process is working on these results" in output
    assert str(results) in output
    assert "wait for it, or stop it" in output
    assert "Traceback" not in output
    assert sorted(results.rglob("*")) == before


def test_a_results_folder_that_cannot_be_written_is_told(
    snakemake: Any, read_only: Path, tmp_path: Path
) -> None:
    if os.geteuid() == 0 and not read_only.is_mount():
        pytest.skip("root may write anywhere, and no disk could be mounted")
    done = snakemake(tmp_path, *config(SYSTEM), f"results={read_only}/results")
    output = done.stdout + done.stderr
    assert done.returncode == 1
    assert re.search(r"cannot write results: (Read-only file system|Permission denied)", output), output
    assert f"{read_only}/results" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("place", ["", "report", "changed"])
def test_results_that_are_not_ours_are_refused_before_anything_is_removed(
    place: str, snakemake: Any, tmp_path: Path
) -> None:
    """Snakemake removes what a job declares before the job starts, and could not ask whose it is."""
    folder = tmp_path / "my thesis" / place.replace("changed", "report")
    folder.mkdir(parents=True)
    if place:
        claim(tmp_path / "my thesis", RESULTS)
    if place == "changed":
        with renewing(folder, REPORT) as building:
            (building / "index.html").write_text("ours")
    for name in ("index.html", "thesis.tex"):
        (folder / name).write_text("mine")
    done = snakemake(tmp_path, *config(SYSTEM), "results=my thesis")
    output = done.stdout + done.stderr
    assert done.returncode == 1
    since = ", or what was changed since: index.html" if place == "changed" else ": index.html, thesis.tex"
    assert f"what bench did not write{since}" in output
    assert "Traceback" not in output
    assert {path.name for path in folder.iterdir() if not path.name.startswith(".")} == {
        "index.html",
        "thesis.tex",
    }
    assert (folder / "index.html").read_text() == "mine"
