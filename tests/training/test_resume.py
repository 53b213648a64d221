"""A run that is killed or stopped goes on and ends with the same parameters, bit for bit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pandas
import pytest
import torch
from safetensors.torch import load_file

from bench.corpora.prepared import Prepared
from bench.errors import BenchError
from bench.settings import RunSettings
from bench.training import state as saved
from bench.training.loop import Interrupted, Trainer
from bench.training.run import state_folder, train_run
from tests.conftest import TINY, tiny_settings
from tests.training.resuming import assert_same, stop_after

CPU = torch.device("cpu")


def finished(settings: RunSettings, corpus: Prepared, folder: Path) -> Trainer:
    trainer = Trainer(settings, corpus, folder, CPU)
    trainer.train()
    return trainer


@pytest.mark.parametrize("system", ["gru-lm", "vae", "coupled-beta-1.2-vae"])
@pytest.mark.parametrize("stop", [1, 17, 20, 39])
def test_stopping_at_any_step_changes_nothing(
    system: str, stop: int, corpus: Prepared, tmp_path: Path
) -> None:
    settings = tiny_settings(system)
    whole = finished(settings, corpus, tmp_path / "whole")
    first = Trainer(settings, corpus, tmp_path / "parts", CPU)
    stop_after(first, stop)
    with pytest.raises(Interrupted):
        first.train()
    second = finished(settings, corpus, tmp_path / "parts")
    assert second.progress.attempts == 2
    assert_same(whole, second)


def test_kill_minus_nine_then_the_same_command(corpora: Path, tmp_path: Path) -> None:
    settings = {**TINY, "training": {**TINY["training"], "steps": 400, "validate_every": 100}}
    name = "demo/coupled-vae/generated-tiny/coupled-vae/seed0"
    command = [sys.executable, "-m", "bench", "train", name, "--corpora", str(corpora), "--threads", "1"]
    command += ["--settings", json.dumps(settings), "--device", "cpu"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "BENCH_CHECKPOINT_SECONDS": "0.2",
    }

    def folders(which: str) -> list[str]:
        return ["--out", str(tmp_path / which / "runs"), "--state", str(tmp_path / which / "state")]

    subprocess.run([*command, *folders("whole")], env=environment, check=True, capture_output=True)
    process = subprocess.Popen([*command, *folders("killed")], env=environment, stderr=subprocess.DEVNULL)
    while not list((tmp_path / "killed" / "state").glob(f"*/{saved.FILE}")):
        assert process.poll() is None, "finished before its first checkpoint"
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (tmp_path / "killed" / "runs" / name / "run.json").exists()
    subprocess.run([*command, *folders("killed")], env=environment, check=True, capture_output=True)
    a, b = (tmp_path / which / "runs" / name for which in ("whole", "killed"))
    assert (a / "model.safetensors").read_bytes() == (b / "model.safetensors").read_bytes()
    assert json.loads((b / "run.json").read_text())["cost"]["attempts"] == 2
    assert not list((tmp_path / "killed" / "state").iterdir())


def test_a_damaged_checkpoint_and_one_of_another_run_are_refused(corpus: Prepared, tmp_path: Path) -> None:
    trainer = Trainer(tiny_settings("vae"), corpus, tmp_path, CPU)
    trainer.save()
    with pytest.raises(BenchError, match="another configuration"):
        Trainer(tiny_settings("vae", seed=1), corpus, tmp_path, CPU)
    path = tmp_path / saved.FILE
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BenchError, match="damaged checkpoint"):
        Trainer(tiny_settings("vae"), corpus, tmp_path, CPU)


def test_a_second_process_on_the_same_run_is_refused(corpora: Path, corpus: Prepared, tmp_path: Path) -> None:
    from bench.files import locked

    settings = tiny_settings("gru-lm")
    folder = state_folder(tmp_path, settings, corpus.data_hash)
    with (
        locked(folder, settings.name),
        pytest.raises(BenchError, match="another process is working on demo/"),
    ):
        train_run(settings, corpora, tmp_path / "runs", tmp_path, device="cpu", threads=1)


def test_the_weights_written_are_the_best_of_the_validations(corpora: Path, tmp_path: Path) -> None:
    settings = tiny_settings("dae")
    done = train_run(settings, corpora, tmp_path / "runs", tmp_path / "state", device="cpu", threads=1)
    table = pandas.read_parquet(tmp_path / "runs" / settings.name / "validation.parquet")
    assert done["best"]["step"] == table["step"][table["reconstruction"].argmin()]
    assert done["best"]["criterion"] == "validation reconstruction"
    assert load_file(tmp_path / "runs" / settings.name / "model.safetensors")


def test_a_corpus_prepared_under_other_rules_is_refused(corpora: Path, tmp_path: Path) -> None:
    settings = tiny_settings("gru-lm", text={"min_count": 2})
    with pytest.raises(BenchError, match="prepared under other rules"):
        train_run(settings, corpora, tmp_path / "runs", tmp_path / "state", device="cpu", threads=1)
