"""A deterministic code with a penalty on the distance from a prior: it has samples of the prior, and a bound alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.corpora.prepared import Prepared
from bench.metrics.evaluate import evaluate_run
from bench.training.run import train_run
from tests.conftest import CORPUS, tiny_settings


def test_a_deterministic_wasserstein_autoencoder_trains_and_is_measured(
    corpora: Path, tmp_path: Path
) -> None:
    changes: dict[str, Any] = {"objective": {"mmd": {"kind": "mmd", "weight": 10.0}}}
    settings = tiny_settings("dae", prior="standard-normal", **changes)
    run = train_run(settings, corpora, tmp_path / "runs", tmp_path / "state", device="cpu", threads=1)
    assert run["state"] == "finished"
    assert run["best"]["criterion"] == "validation reconstruction"
    content = evaluate_run(settings, corpora, tmp_path / "runs", device="cpu", threads=1)
    metrics = {found["metric"] for found in content["measurements"]}
    assert {"reconstruction", "dist1", "bleu2"} <= metrics
    assert not {"kl", "mi", "elbo"} & metrics
    numbers = {found["metric"]: found for found in content["measurements"]}
    bound, truth = numbers["nll"], Prepared.load(corpora / "coupled-vae" / CORPUS).attributes("test")
    assert (bound["estimator"], bound["validity"], bound["main"]) == (
        "external-proposal",
        "upper bound",
        False,
    )
    assert truth is not None
    assert bound["value"] > -truth["log_probability"].mean()
    assert 1 <= numbers["effective_samples"]["value"] <= settings.evaluation.samples
