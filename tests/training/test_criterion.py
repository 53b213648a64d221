"""By which validation loss the weights of a run are chosen."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench.catalog.catalog import load_catalog
from bench.corpora.prepared import Prepared
from bench.planning.plan import Request, make_plan
from bench.planning.resolve import find_run
from bench.training.loop import Trainer
from tests.conftest import tiny_settings

# Reconstruction improves from one validation to the next, the importance-sampled NLL gets worse.
LOSSES = [{"nll": 20.0, "reconstruction": 18.0}, {"nll": 30.0, "reconstruction": 9.0}]


@pytest.mark.parametrize(
    ("training", "name", "best"),
    [({}, "nll", 0), ({"criterion": "reconstruction"}, "reconstruction", 1)],
)
def test_losses_whose_orders_differ(
    training: dict[str, str],
    name: str,
    best: int,
    corpus: Prepared,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = tiny_settings(
        "vae", training={"steps": 2, "validate_every": 1, "gradient_texts": 0} | training
    )
    trainer = Trainer(settings, corpus, tmp_path, torch.device("cpu"))
    measured, rows = trainer.validation.losses, iter(LOSSES)

    def made_up() -> tuple[dict[str, float], str]:
        row, criterion = measured()
        return row | next(rows), criterion

    monkeypatch.setattr(trainer.validation, "losses", made_up)
    trainer.train()
    assert trainer.progress.best == {
        "step": best + 1,
        "criterion": f"validation {name}",
        "value": LOSSES[best][name],
    }


def test_the_default_changes_no_identity() -> None:
    plain, named = tiny_settings("vae"), tiny_settings("vae", training={"criterion": "auto"})
    assert plain.identity == named.identity
    assert plain.identity != tiny_settings("vae", training={"criterion": "reconstruction"}).identity


@pytest.mark.parametrize("paper", ["prefb", "flow-prior"])
def test_the_autoencoders_that_lend_their_encoders_are_chosen_by_reconstruction(paper: str) -> None:
    catalog = load_catalog()
    asked = make_plan(catalog, Request(tier="paper", papers=(paper,))).runs.values()
    assert {run.training.criterion for run in asked} == {"auto"}
    lending = {start for run in asked if (start := run.start)}
    assert {find_run(catalog, name).training.criterion for name in lending} == {"reconstruction"}
