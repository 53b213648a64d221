"""Four tiny runs, trained and measured once for all tests of this room."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.metrics.evaluate import evaluate_run
from bench.training.run import train_run
from tests.conftest import tiny_settings

SYSTEMS = ("gru-lm", "dae", "vae", "coupled-vae")


@pytest.fixture(scope="session")
def runs(corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the trained runs of :data:`SYSTEMS`, not to be written to."""
    folder = tmp_path_factory.mktemp("trained")
    for system in SYSTEMS:
        train_run(tiny_settings(system), corpora, folder / "runs", folder / "state", device="cpu", threads=1)
    return folder / "runs"


@pytest.fixture(scope="session")
def measured(runs: Path, corpora: Path) -> dict[str, dict[str, Any]]:
    """The measurements of each of them, as ``measurements.json`` holds them."""
    return {s: evaluate_run(tiny_settings(s), corpora, runs, device="cpu", threads=1) for s in SYSTEMS}
