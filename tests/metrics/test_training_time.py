"""What a training records of its time, and what is told of it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from bench.base.files import write_json
from bench.corpora.prepared import Prepared
from bench.metrics.evaluate import evaluate_run
from bench.metrics.training_time import training_time
from bench.training import state as saved
from bench.training.loop import Interrupted, Trainer
from bench.training.run import train_run
from tests.conftest import tiny_settings
from tests.training.resuming import stop_after


def given(folder: Path) -> list[tuple[Any, ...]]:
    found = list[tuple[Any, ...]]()
    context: Any = SimpleNamespace(folder=folder)
    record: Any = SimpleNamespace(add=lambda *number: found.append(number))
    training_time(context, record)
    return found


def test_a_step_takes_what_the_run_recorded_of_all(corpora: Path, tmp_path: Path) -> None:
    settings = tiny_settings(
        "gru-lm", training={"steps": 20, "validate_every": 10}, evaluation={"also": ["training-time"]}
    )
    where = (corpora, tmp_path / "runs")
    run = train_run(settings, *where, tmp_path / "state", device="cpu", threads=1)
    cost = run["cost"]
    by_clock = cost["seconds"] - cost["validation_seconds"]
    assert 0 < cost["processor_seconds"] < 1.05 * by_clock + 0.1  # one thread, with what measures it
    found = evaluate_run(settings, *where, device="cpu", threads=1)["measurements"]
    (time,) = [one["value"] for one in found if one["metric"] == "step_time"]
    assert time == cost["processor_seconds"] / 20


@pytest.mark.parametrize("device", ["cpu: a processor", "cuda: NVIDIA H200"])
@pytest.mark.parametrize("spent", [3.0, None])
def test_of_a_gpu_or_of_an_older_run_nothing_is_told(
    device: str, spent: float | None, tmp_path: Path
) -> None:
    run = {"steps": 30, "cost": {"processor_seconds": spent}, "provenance": {"device": device}}
    write_json(tmp_path / "run.json", run)
    told = spent is not None and device.startswith("cpu")
    assert given(tmp_path) == ([("step_time", "processor", 0.1)] if told else [])


def test_what_went_before_counts_and_is_unknown_where_it_was_not_recorded(
    corpus: Prepared, tmp_path: Path
) -> None:
    settings = tiny_settings("gru-lm", training={"steps": 12, "validate_every": 12})
    cpu = torch.device("cpu")
    first = Trainer(settings, corpus, tmp_path, cpu)
    stop_after(first, 6)
    with pytest.raises(Interrupted):
        first.train()
    spent, again = first.progress.processor_seconds, Trainer(settings, corpus, tmp_path, cpu)
    assert spent == again.progress.processor_seconds
    again.one_step(7)
    assert spent is not None
    assert again.progress.processor_seconds is not None
    assert again.progress.processor_seconds > spent
    older(tmp_path / saved.FILE)
    older_run = Trainer(settings, corpus, tmp_path, cpu)
    older_run.train()
    assert older_run.progress.processor_seconds is None
    assert older_run.progress.seconds > 0


def older(path: Path) -> None:
    """Make a checkpoint one of the time before the processor's seconds were recorded."""
    with safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
        metadata = dict(file.metadata())
    progress = json.loads(metadata["progress"])
    del progress["processor_seconds"]
    save_file(tensors, path, metadata=metadata | {"progress": json.dumps(progress)})
