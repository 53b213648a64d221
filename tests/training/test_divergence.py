"""A run whose numbers stop being finite is finished: its state says so, and nothing is measured."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from bench.base.files import read_json
from bench.base.settings import RunSettings
from bench.metrics.evaluate import evaluate_run
from bench.objectives.objective import Objective, Terms
from bench.training.procedures import Standard
from bench.training.run import train_run
from bench.training.update import Step, Update
from tests.conftest import tiny_settings


def trained(settings: RunSettings, corpora: Path, folder: Path) -> dict[str, Any]:
    return train_run(settings, corpora, folder / "runs", folder / "state", device="cpu", threads=1)


def spoil(monkeypatch: pytest.MonkeyPatch, term: str, value: float, at: int) -> None:
    """Make one term of the objective ``value`` at its call number ``at``."""
    original, calls = Objective.__call__, iter(range(1, 1000))

    def spoiled(self: Objective, *args: Any) -> Terms:
        terms = original(self, *args)
        if next(calls) == at:
            return {**terms, term: torch.tensor(value), "total": terms["total"] * value}
        return terms

    monkeypatch.setattr(Objective, "__call__", spoiled)


@pytest.mark.parametrize(
    ("term", "value", "step", "kind", "good"),
    [
        ("kl", math.nan, 25, "NaN", "step 20"),
        ("matching", math.inf, 21, "infinite", "step 20"),
        ("reconstruction", math.nan, 1, "NaN", "none"),
    ],
)
def test_the_reason_names_step_term_and_last_good_checkpoint(
    term: str, value: float, step: int, kind: str, good: str,
    corpora: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    settings = tiny_settings("coupled-vae")
    spoil(monkeypatch, term, value, step)
    run = trained(settings, corpora, tmp_path)
    folder = tmp_path / "runs" / settings.name
    assert run == read_json(folder / "run.json")
    assert run["state"] == "diverged"
    assert run["reason"] == f"{term} became {kind} at step {step}; last good checkpoint: {good}"
    assert run["steps"] == step - 1
    assert not list((tmp_path / "state").glob("*/"))
    if good != "none":
        assert run["best"]["step"] == 20
        weights = load_file(folder / "model.safetensors")
        assert all(value.isfinite().all() for value in weights.values())


@pytest.mark.parametrize("at", [26, 31])
def test_a_step_that_stumbles_over_a_divergence_is_not_the_reason(
    at: int, corpora: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The terms of a logging window are read at its end; whatever happens before, the first cause is told."""
    spoil(monkeypatch, "kl", math.nan, 25 if at == 26 else 1000)
    original = Standard.__call__

    def stumble(self: Standard, update: Update, step: Step) -> Any:
        if step.number == at:
            raise RuntimeError("broken on purpose")
        return original(self, update, step)

    monkeypatch.setattr(Standard, "__call__", stumble)
    if at == 31:  # the window before it was sound, so that this is a failure
        with pytest.raises(RuntimeError, match="broken on purpose"):
            trained(tiny_settings("vae"), corpora, tmp_path)
        return
    run = trained(tiny_settings("vae"), corpora, tmp_path)
    assert (run["state"], run["steps"]) == ("diverged", 24)
    assert run["reason"].startswith("kl became NaN at step 25;")


def test_a_huge_learning_rate_diverges_and_nothing_is_measured(corpora: Path, tmp_path: Path) -> None:
    settings = tiny_settings("vae", optimiser={"learning_rate": 1e3})
    run = trained(settings, corpora, tmp_path)
    assert run["state"] == "diverged"
    assert "became" in run["reason"]
    folder = tmp_path / "runs" / settings.name
    (folder / "sentences.parquet").write_text("of the time before")
    content = evaluate_run(settings, corpora, tmp_path / "runs", device="cpu", threads=1)
    assert content == read_json(folder / "measurements.json")
    assert content["measurements"] == []
    assert (content["state"], content["reason"]) == ("diverged", run["reason"])
    assert not (folder / "sentences.parquet").exists()
