"""Many runs at once: each as if it had been alone, through a stop, a failure and a run that others begin with."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from bench.base.errors import BenchError
from bench.base.files import read_json, write_json
from bench.catalog.catalog import load_catalog
from bench.cli.main import main
from bench.metrics.needs import wanted
from bench.planning import pack as pool
from bench.planning.cost import estimate
from bench.planning.pack import Outcome, Workers, in_order, pack
from bench.planning.plan import Plan, Request, make_plan, with_starts
from bench.planning.resolve import find_run
from bench.planning.summary import recorded_summary
from bench.store.costs import BYTES, CostRecords
from bench.store.freshness import next_stage, standing, state_folder
from bench.store.run_archives import Taken, archive, unpack
from bench.training import state as saved
from tests.conftest import CORPUS, TINY

ROOT = Path(__file__).parents[2]
CATALOG = load_catalog()
SYSTEMS = ("gru-lm", "prefb-vae")
SETTINGS = TINY | {"training": TINY["training"] | {"steps": 120, "validate_every": 60}}
DAE, *ASKED = (f"demo/coupled-vae/{CORPUS}/{system}/seed0" for system in ("dae", *SYSTEMS))
GRU, PREFB = ASKED
KEPT = ("model.safetensors", "sentences.parquet", "texts.json", "histograms.json")


def plan_of(*systems: str, **values: Any) -> Plan:
    request = {"systems": systems, "corpora": CORPUS, "settings": SETTINGS, **values}
    return make_plan(CATALOG, Request.model_validate(request))


def saying(results: Path, name: str) -> dict[str, Any]:
    """What a training says of itself; nothing before it has begun."""
    for path in (results / "state").glob("*/status.json"):
        if (status := read_json(path))["name"] == name:
            return dict(status)
    return {}


@dataclass(frozen=True)
class Story:
    """Three calls: one that the budget ends in the midst of a training, one with a failure, one that mends it."""

    results: Path
    stopped: list[Outcome]
    checkpoint: bool
    failed: list[Outcome]
    mended: list[Outcome]
    alone: Path


@contextlib.contextmanager
def hurried(results: Path) -> Iterator[None]:
    """Time is nearly up for a pack as soon as the DAE is being trained."""
    clock = SimpleNamespace(monotonic=lambda: 59.0 if saying(results, DAE) else 0.0, sleep=time.sleep)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "time", clock)
        patch.setattr(pool, "POLL", 0.02)
        yield


@pytest.fixture(scope="module")
def story(corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> Story:
    folder = tmp_path_factory.mktemp("pack")
    results, alone = folder / "results", folder / "alone"
    shutil.copytree(corpora, results / "corpora")
    run = find_run(CATALOG, GRU, SETTINGS)
    data_hash = read_json(results / "corpora" / "coupled-vae" / CORPUS / "corpus.json")["data_hash"]
    foreign = state_folder(results / "state", run, data_hash)
    foreign.mkdir(parents=True)
    saved.save(foreign, "of another configuration", {"model": {"a": torch.zeros(1)}}, saved.Progress())

    def call(count: int, minutes: float | None = None) -> list[Outcome]:
        workers = Workers(count, "cpu", 1, minutes)
        return pack(CATALOG, plan_of(*SYSTEMS), results / "corpora", results, workers)

    with hurried(results):
        stopped = call(1, minutes=1)
    checkpoint = any((results / "state").glob("*/checkpoint.safetensors"))
    failed = call(2)
    (foreign / saved.FILE).unlink()
    mended = call(2)
    where = [
        "--corpora",
        str(corpora),
        "--settings",
        json.dumps(SETTINGS),
        "--device",
        "cpu",
        "--threads",
        "1",
    ]
    runs = str(alone / "runs")
    for name in (DAE, *ASKED):
        assert main(["train", name, *where, "--out", runs, "--state", str(alone / "state")]) == 0
        if name != DAE:
            assert main(["evaluate", name, *where, "--runs", runs]) == 0
    return Story(results, stopped, checkpoint, failed, mended, alone)


def states(outcomes: list[Outcome]) -> dict[str, str]:
    return {one.name: one.state for one in outcomes}


def test_the_budget_stops_a_training_that_goes_on_in_a_later_call(story: Story) -> None:
    assert states(story.stopped)[DAE] == "left"
    assert states(story.stopped)[PREFB] == "left"  # it waits for the DAE
    assert story.checkpoint
    assert read_json(story.results / "runs" / DAE / "run.json")["cost"]["attempts"] == 2


def test_a_failed_run_stops_no_other_and_says_why(story: Story) -> None:
    assert states(story.failed) == {GRU: "failed", PREFB: "finished", DAE: "finished"}
    (reason,) = (one.reason for one in story.failed if one.name == GRU)
    assert reason.startswith("bench train: checkpoint of another configuration")
    assert str(story.results / "logs" / "train" / GRU) in reason


def test_the_next_call_does_what_was_left_and_no_more(story: Story) -> None:
    assert set(states(story.mended).values()) == {"finished"}
    assert [one.name for one in story.mended if one.reason] == [GRU]  # the others were finished already


@pytest.mark.parametrize("name", [DAE, *ASKED])
def test_a_run_ends_as_if_it_had_been_alone(name: str, story: Story) -> None:
    ours, alone = story.results / "runs" / name, story.alone / "runs" / name
    assert {f.name for f in ours.iterdir()} == {f.name for f in alone.iterdir()}
    for file in KEPT:
        assert not (ours / file).exists() or (ours / file).read_bytes() == (alone / file).read_bytes(), file
    found, expected = read_json(ours / "run.json"), read_json(alone / "run.json")
    for key in ("identity", "settings", "data_hash", "state", "steps", "best", "parameters"):
        assert found[key] == expected[key], key
    if name == DAE:  # trained because another begins with it, and not asked for
        assert not (ours / "measurements.json").exists()
        return
    found, expected = read_json(ours / "measurements.json"), read_json(alone / "measurements.json")
    assert found["measurements"] == expected["measurements"] != []
    assert found["weights_sha256"] == expected["weights_sha256"]


def test_what_was_carried_home_is_taken_up_as_if_made_there(
    story: Story, snakemake: Any, counts: Any, tmp_path: Path
) -> None:
    home = tmp_path / "results"
    shutil.copytree(story.results / "corpora", home / "corpora")
    archive(story.results, ASKED, tmp_path / "runs.tar.gz")
    taken = unpack(tmp_path / "runs.tar.gz", home, lambda name: find_run(CATALOG, name, SETTINGS))
    assert taken[0] == Taken(DAE, "taken") or taken.index(Taken(DAE, "taken")) < taken.index(
        Taken(PREFB, "taken")
    )
    assert {one.name for one in taken} == {DAE, *ASKED}
    assert not list(home.rglob("model.safetensors"))
    configuration = [f"corpora={CORPUS}", f"systems={','.join(SYSTEMS)}", f"settings={json.dumps(SETTINGS)}"]
    done = snakemake(tmp_path, "--dry-run", "--config", *configuration)
    assert counts(done) == {"report": 1, "all": 1}, done.stdout
    assert "left: 0 of 3 runs" in done.stdout + done.stderr
    again = unpack(tmp_path / "runs.tar.gz", home, lambda name: find_run(CATALOG, name, SETTINGS))
    assert {one.state for one in again} == {"kept"}


def test_plain_tar_leaves_the_same_and_weights_on_demand(
    story: Story, snakemake: Any, counts: Any, tmp_path: Path
) -> None:
    home = tmp_path / "results"
    shutil.copytree(story.results / "corpora", home / "corpora")
    archive(story.results, [PREFB], tmp_path / "runs.tar.gz", weights=True)
    subprocess.run(["tar", "-xzmf", str(tmp_path / "runs.tar.gz"), "-C", str(home)], check=True)
    weights = home / "runs" / PREFB / "model.safetensors"
    assert weights.read_bytes() == (story.results / "runs" / PREFB / "model.safetensors").read_bytes()
    configuration = [f"corpora={CORPUS}", "systems=prefb-vae", f"settings={json.dumps(SETTINGS)}"]
    assert counts(snakemake(tmp_path, "--dry-run", "--config", *configuration)) == {"report": 1, "all": 1}


def test_runs_of_other_settings_and_damaged_ones_are_refused(story: Story, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(story.results / "runs", copy / "runs")
    archive(copy, [GRU], tmp_path / "runs.tar.gz")
    (refused,) = unpack(tmp_path / "runs.tar.gz", tmp_path / "home", lambda name: find_run(CATALOG, name, {}))
    assert (refused.state, "other settings" in refused.reason) == ("refused", True)
    (copy / "runs" / GRU / "training.parquet").write_bytes(b"")
    archive(copy, [GRU], tmp_path / "runs.tar.gz")
    (refused,) = unpack(
        tmp_path / "runs.tar.gz", tmp_path / "home", lambda name: find_run(CATALOG, name, SETTINGS)
    )
    assert refused.reason == "training.parquet is not the file that the run wrote"
    assert not (tmp_path / "home").exists()
    (tmp_path / "runs.tar.gz").write_bytes(b"no archive")
    with pytest.raises(BenchError, match="not an archive of runs"):
        unpack(tmp_path / "runs.tar.gz", tmp_path / "home", lambda name: find_run(CATALOG, name, SETTINGS))


@pytest.fixture
def started(corpora: Path, tmp_path: Path) -> subprocess.Popen[str]:
    """A pack whose only training, which would take for ever, is under way."""
    settings = json.dumps(SETTINGS | {"training": SETTINGS["training"] | {"steps": 10**6}})
    command = [sys.executable, "-m", "bench", "pack", GRU, "--out", str(tmp_path), "--prepared", str(corpora)]
    command += ["--device", "cpu", "--threads", "1", "--workers", "1", "--settings", settings]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while not saying(tmp_path, GRU):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    return process


def test_sigterm_stops_all_workers_and_they_save(started: subprocess.Popen[str], tmp_path: Path) -> None:
    started.send_signal(signal.SIGTERM)
    output, errors = started.communicate()
    assert started.returncode == 143
    assert output.split() == [GRU, "left"]
    assert errors.endswith("0 finished, 0 failed, 1 left; the same command goes on from there\n")
    assert saying(tmp_path, GRU)["state"] == "stopped"  # so the training has ended by itself, and saved
    assert any((tmp_path / "state").glob("*/checkpoint.safetensors"))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent died")
def test_workers_of_a_killed_pack_save_and_end(started: subprocess.Popen[str], tmp_path: Path) -> None:
    started.kill()
    started.wait()
    end = time.monotonic() + 60
    while saying(tmp_path, GRU)["state"] != "stopped":
        assert time.monotonic() < end
        time.sleep(0.05)
    assert any((tmp_path / "state").glob("*/checkpoint.safetensors"))


def test_a_corpus_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="the corpus is not prepared"):
        pack(CATALOG, plan_of("vae"), tmp_path, tmp_path, Workers(1, "cpu", 1))


def test_pairs_stay_together_starts_come_first_and_then_the_longest() -> None:
    plan = with_starts(CATALOG, plan_of("vae", "coupled-prefb-vae", "coupled-vae", "prefb-vae", "gru-lm"))
    seconds = {
        "vae": 5.0,
        "coupled-vae": 9.0,
        "prefb-vae": 6.0,
        "coupled-prefb-vae": 8.0,
        "gru-lm": 8.5,
        "dae": 1.0,
    }
    expected = ["dae", "vae", "coupled-vae", "gru-lm", "prefb-vae", "coupled-prefb-vae"]
    found = in_order(CATALOG, plan, {name: seconds[run.system] for name, run in plan.runs.items()})
    assert [plan.runs[name].system for name in found] == expected


def test_without_records_the_longest_run_is_found_by_counting(tmp_path: Path) -> None:
    plan = plan_of("gru-lm", "coupled-vae", "lagging-vae", settings={})
    counted = pool.expected_seconds(plan, tmp_path)
    assert sorted(counted, key=lambda name: counted[name]) == list(plan.runs)


def test_a_stage_is_left_where_its_files_are_of_something_else(story: Story, tmp_path: Path) -> None:
    results = tmp_path / "results"
    shutil.copytree(story.results, results)
    run = find_run(CATALOG, PREFB, SETTINGS)
    assert next_stage(run, results, wanted) is None
    other = SETTINGS | {"evaluation": SETTINGS["evaluation"] | {"samples": 6}}
    assert next_stage(find_run(CATALOG, PREFB, other), results, wanted) == "evaluate"
    assert next_stage(find_run(CATALOG, PREFB, SETTINGS | {"latent": 5}), results, wanted) == "train"
    folder = results / "runs" / PREFB

    def edited(file: str, change: Callable[[Any], None]) -> str | None:
        before = (folder / file).read_bytes()
        content = read_json(folder / file)
        change(content)
        write_json(folder / file, content)
        stage = next_stage(run, results, wanted)
        (folder / file).write_bytes(before)
        return stage

    assert edited("run.json", lambda c: c.update(data_hash="other")) == "train"
    assert edited("run.json", lambda c: c.update(versions={"train": 2})) == "train"
    assert edited("measurements.json", lambda c: c["measures"].pop("likelihood")) == "evaluate"
    assert edited("measurements.json", lambda c: c.update(weights_sha256="other")) == "evaluate"
    (folder / "measurements.json").write_text("{")
    assert next_stage(run, results, wanted) == "evaluate"
    (folder / "model.safetensors").unlink()
    assert next_stage(run, results, wanted) == "train"  # there is nothing to measure


def test_costs_are_known_from_like_runs_and_what_is_left_from_what_was_done(
    story: Story, tmp_path: Path
) -> None:
    records = CostRecords(story.results)
    longer = SETTINGS | {"training": SETTINGS["training"] | {"steps": 400}}
    run = find_run(CATALOG, PREFB.replace("seed0", "seed1"), longer)
    made = read_json(story.results / "runs" / PREFB / "run.json")
    record = records.like(run)
    assert record is not None
    steps = made["cost"]["seconds"] - made["cost"]["validation_seconds"]
    assert (120 * record.step, 2 * record.validation) == pytest.approx(
        (steps, made["cost"]["validation_seconds"])
    )
    assert record.evaluation == read_json(story.results / "runs" / PREFB / "measurements.json")["seconds"]
    assert records.like(find_run(CATALOG, PREFB, SETTINGS | {"latent": 5})) is None
    assert CostRecords(story.results, "cuda").like(run) is None
    dae = records.like(find_run(CATALOG, DAE, SETTINGS))
    assert dae is not None
    assert dae.evaluation is None

    other = SETTINGS | {"evaluation": SETTINGS["evaluation"] | {"samples": 6}}
    plan = plan_of("gru-lm", settings=other)
    (cost,) = estimate(CATALOG, plan, story.results / "corpora", "cpu", 1, story.results)
    made = read_json(story.results / "runs" / GRU / "run.json")["cost"]
    assert (cost.basis, cost.trained, cost.measured) == ("recorded and timed", 1.0, False)
    assert cost.training + cost.validation == pytest.approx(made["seconds"])
    assert cost.left == cost.evaluation > 0

    plan = plan_of("gru-lm", "prefb-vae")
    said = recorded_summary(CATALOG, plan, story.results, "auto")
    size = sum(
        BYTES * read_json(story.results / "runs" / name / "run.json")["parameters"]["total"]
        for name in (GRU, PREFB, DAE)
    )
    assert said.startswith("3 runs, 360 steps, ")
    assert f"{size / 1e6:,.0f} MB, as recorded on cpu" in said
    assert said.endswith("left: 0 of 3 runs, 0 s of one process.")
    said = recorded_summary(CATALOG, plan_of("gru-lm", seeds=(0, 1)), story.results, "cpu")
    assert "left: 1 of 2 runs" in said
    said = recorded_summary(CATALOG, plan, story.results, "cuda")
    assert said == "3 runs, 360 steps; left: 0 runs. No like run is recorded: `bench plan` times a few steps."
    folder = state_folder(tmp_path / "state", run, "None")
    write_json(folder / "status.json", {"name": run.name, "step": 60})
    assert standing(run, tmp_path, wanted).trained == 60 / 400
