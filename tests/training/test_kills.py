"""Killed at twenty random moments, a training and an evaluation leave what undisturbed ones leave."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pandas

from bench.base.files import read_json
from tests.conftest import tiny_settings
from tests.training.killing import KILLS, Killer, evaluate, train
from tests.training.resuming import TIMED

SETTINGS = tiny_settings(
    "vae",
    training={"steps": 20, "validate_every": 10},
    evaluation={"samples": 2, "reconstructions": 1, "prior_samples": 8, "gradient_texts": 4},
)


def listed(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def untimed(folder: Path, table: str) -> pandas.DataFrame:
    return pandas.read_parquet(folder / table).drop(columns=[*TIMED], errors="ignore")


def test_a_training_killed_at_random_moments(corpora: Path, tmp_path: Path) -> None:
    killer = Killer("training", 0)
    whole, again = tmp_path / "whole", tmp_path / "killed"
    killer.whole(train, SETTINGS, corpora, whole)  # the first process imports, which takes long
    shutil.rmtree(whole)
    seconds = killer.whole(train, SETTINGS, corpora, whole)
    expected = whole / "runs" / SETTINGS.name
    kills = finishes = 0
    while kills < KILLS or not finishes:
        if killer.killed(seconds if kills < KILLS else 60.0, train, SETTINGS, corpora, again):
            kills += 1
            continue
        finishes += 1
        found = again / "runs" / SETTINGS.name
        assert listed(again) == listed(whole)
        assert (found / "model.safetensors").read_bytes() == (expected / "model.safetensors").read_bytes()
        for table in ("training.parquet", "validation.parquet"):
            pandas.testing.assert_frame_equal(untimed(found, table), untimed(expected, table))
        for key in ("identity", "data_hash", "state", "steps", "best", "parameters"):
            assert read_json(found / "run.json")[key] == read_json(expected / "run.json")[key]
        shutil.rmtree(again / "runs")


def test_an_evaluation_killed_at_random_moments(corpora: Path, tmp_path: Path) -> None:
    killer = Killer("evaluation", 0)
    trained, whole, again = tmp_path / "trained", tmp_path / "whole", tmp_path / "killed"
    killer.whole(train, SETTINGS, corpora, trained)
    shutil.copytree(trained, whole)
    shutil.copytree(trained, again)
    seconds = killer.whole(evaluate, SETTINGS, corpora, whole)
    expected, found = (folder / "runs" / SETTINGS.name for folder in (whole, again))
    kills = finishes = 0
    while kills < KILLS or not finishes:
        if killer.killed(seconds if kills < KILLS else 60.0, evaluate, SETTINGS, corpora, again):
            kills += 1
            continue
        finishes += 1
        assert listed(again) == listed(whole)
        pandas.testing.assert_frame_equal(
            untimed(found, "sentences.parquet"), untimed(expected, "sentences.parquet")
        )
        for name in ("texts.json", "histograms.json", "latents.safetensors"):
            assert (found / name).read_bytes() == (expected / name).read_bytes()
        assert numbers(found) == numbers(expected)
        shutil.rmtree(again)  # what is measured is not measured again, and would soon be ready each time
        shutil.copytree(trained, again)


def numbers(folder: Path) -> Any:
    return read_json(folder / "measurements.json")["measurements"]
