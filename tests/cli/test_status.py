"""What ``bench status`` says of runs in progress."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from bench.base.errors import BenchError
from bench.base.files import write_json
from bench.catalog.catalog import load_catalog
from bench.cli.results import check_results
from bench.cli.status import counts, left, progress
from bench.planning.plan import Request
from bench.planning.remembered import remember
from bench.planning.resolve import find_run
from bench.store.freshness import state_folder
from bench.store.seal import sealed

NAME = "demo/coupled-vae/ptb/vae/seed0"

STATUS = {"name": NAME, "state": "running", "step": 50, "steps": 200, "seconds": 100.0, "data_hash": "d"}

STEPS = {"training": {"steps": 200}}


def states(results: Path) -> list[list[str]]:
    return list(progress(results, load_catalog(), STEPS))


def test_a_training_that_is_silent_is_told_from_one_that_runs(tmp_path: Path) -> None:
    own = state_folder(tmp_path / "state", find_run(load_catalog(), NAME, STEPS), "d")
    for folder, age in ((tmp_path / "state" / "0", 10), (own, 3 * 3600)):
        write_json(folder / "status.json", STATUS)
        then = time.time() - age
        os.utime(folder / "status.json", (then, then))
    write_json(
        tmp_path / "state" / "worse" / "status.json", {"name": "b/run", "state": "failed", "reason": "x"}
    )
    (tmp_path / "state" / "worst").mkdir()
    (tmp_path / "state" / "worst" / "status.json").write_text("{")
    running, silent, failed, damaged = states(tmp_path)
    assert running == [NAME, "running", "step 50 of 200 (25%), 0.5 steps/s, about 5 min left"]
    assert silent[1] == "silent"
    assert silent[2].endswith("nothing heard for 3.0 h; the same command goes on from there")
    assert failed == ["b/run", "failed", "x"]
    assert damaged[:2] == [str(tmp_path / "state/worst/status.json"), "damaged"]


def test_a_run_is_told_from_its_first_seconds_on(tmp_path: Path) -> None:
    path = tmp_path / "state" / "0" / "status.json"
    for step, seconds, said in ((0, 0.0, "preparing since 70 s"), (1, 2.0, "0.5 steps/s, about 5 min left")):
        write_json(path, STATUS | {"step": step, "seconds": seconds})
        os.utime(path, (time.time() - 70,) * 2)
        assert states(tmp_path)[0][2].endswith(said)


def test_what_is_measured_now_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / NAME
    told = {"name": NAME, "state": "evaluating", "measure": "bleu", "done": 2, "of": 9}
    write_json(folder / "status.json", told | {"began": time.time() - 40})
    assert states(tmp_path) == [[NAME, "measuring", "bleu (3 of 9 measures), since 40 s"]]
    os.utime(folder / "status.json", (time.time() - 3 * 3600,) * 2)
    ((_, state, said),) = states(tmp_path)
    assert (state, said[-28:]) == ("silent", "the same command measures again"[-28:])


def test_what_is_left_of_what_was_asked_for(tmp_path: Path) -> None:
    assert left(tmp_path, load_catalog()) == ""
    asked = {"systems": ("vae", "dae"), "corpora": ("ptb",), "tier": "quick"}
    remember(tmp_path, [Request.model_validate(asked | {"seeds": seed}) for seed in (0, 1)], "auto")
    assert "Asked for last: 4 runs, " in left(tmp_path, load_catalog())
    assert "left: 4 runs" in left(tmp_path, load_catalog())
    remember(tmp_path, [Request.model_validate(asked | {"systems": "gone"})], "auto")
    assert left(tmp_path, load_catalog()) == ""


def test_only_what_a_command_goes_on_from_is_said_to_go_on(tmp_path: Path) -> None:
    run = find_run(load_catalog(), NAME, STEPS)
    stopped = STATUS | {"state": "stopped"}
    corpus = tmp_path / "corpora" / run.paper / run.corpus / "corpus.json"
    goes_on, begins = (
        "goes on from there",
        "of other settings, data or code: the same command begins with the first",
    )
    write_json(state_folder(tmp_path / "state", run, "d") / "status.json", stopped)
    for data_hash, said in ((None, goes_on), ("d", goes_on), ("e", begins)):
        if data_hash is not None:
            write_json(corpus, {"data_hash": data_hash})
        assert said in states(tmp_path)[0][2]
    write_json(corpus, {"data_hash": "d"})
    ((_, state, said),) = progress(tmp_path, load_catalog(), {})  # 1,800 steps
    assert state == "stopped"
    assert begins in said
    write_json(
        state_folder(tmp_path / "state", run, "d") / "status.json",
        stopped | {"name": NAME.replace("vae/s", "v/s")},
    )
    assert "unknown system 'v'" in states(tmp_path)[0][2]


def test_what_is_finished_is_counted(tmp_path: Path) -> None:
    for seed, files in enumerate([("run.json",), ("run.json", "measurements.json"), ()]):
        folder = tmp_path / "runs/demo/paper/corpus/system" / f"seed{seed}"
        folder.mkdir(parents=True)
        for file in files:
            (folder / file).write_text("{}")
    said = "1 trained and measured (1 unsealed: their records carry no digest), 1 trained but not measured"
    assert counts(tmp_path) == said
    write_json(next(tmp_path.rglob("measurements.json")), sealed({"name": "a"}, tmp_path))
    assert counts(tmp_path) == "1 trained and measured, 1 trained but not measured"


def test_results_that_are_not_there_are_told(tmp_path: Path) -> None:
    check_results(tmp_path)
    with pytest.raises(BenchError, match="results folder not found"):
        check_results(tmp_path / "absent")
