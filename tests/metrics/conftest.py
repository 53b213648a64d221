"""The tiny runs, measured once for all tests of this room."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.metrics.evaluate import evaluate_run
from tests.conftest import TRAINED, tiny_settings


@pytest.fixture(scope="session")
def measured(runs: Path, corpora: Path) -> dict[str, dict[str, Any]]:
    """The measurements of each of the trained runs, as ``measurements.json`` holds them."""
    return {s: evaluate_run(tiny_settings(s), corpora, runs, device="cpu", threads=1) for s in TRAINED}
