"""What audits find in logs: steps whose gradient was cut off, and the gradients that deviations get."""

from __future__ import annotations

from typing import Any

import pandas
import pytest

from bench.analysis.logged import clipped_steps, deviation_gradients
from bench.catalog.audits import Audit
from bench.catalog.catalog import Catalog
from tests.analysis.synthetic import pairing, run
from tests.conftest import tiny_settings

ASKED = {"title": "t", "question": "q?", "method": "m", "surer": "s", "systems": ["vae", "wae"]}


def logged(system: str, clip: float = 5.0, **columns: Any) -> Any:
    record = run(system)
    record.settings = tiny_settings("vae", optimiser={"clip": clip, "clip_by": "value"})
    steps = len(next(iter(columns.values())))
    record.tables["training.parquet"] = pandas.DataFrame({"step": range(1, steps + 1)} | columns)
    return record


def test_the_share_of_windows_within_the_limit(catalog: Catalog) -> None:
    norms = [0.02, 0.03, 0.05, 1.0]
    runs = pairing(catalog, logged("vae", gradient_norm=norms), logged("wae", 0.04, gradient_norm=norms))
    (grid,) = clipped_steps(Audit.model_validate(ASKED), runs)
    assert [[cell.number for cell in cells] for _, cells in grid.rows] == [
        pytest.approx([5.0, 0.04, 1.0, 1.0]),
        pytest.approx([0.04, 0.04, 1.0, 0.5]),
    ]
    assert "VAE in 100 %, WAE in 50 % of the windows" in grid.summary


def test_gradients_stand_beside_the_deviations_and_are_divided_by_them(catalog: Catalog) -> None:
    deviation = [1.0, 0.75, 0.5, 0.5, 0.25]
    columns: dict[str, Any] = {"deviation": deviation}
    columns["reconstruction_gradient"] = [3 * s for s in deviation]
    columns["mmd_gradient"] = [-1.0, 1.0, 1.0, 1.0, 1.0]
    (grid,) = deviation_gradients(
        Audit.model_validate(ASKED), pairing(catalog, logged("wae", **columns), run("vae"))
    )
    assert [label for label, _ in grid.rows] == ["step 1", "step 2", "step 4", "step 5"]
    assert [cell.number for cell in grid.rows[2][1]] == pytest.approx([0.5, 1.5, 3.0, 1.0, 2.0])
    assert grid.head[1:3] == ("∂reconstruction/∂\u03c3", "∂reconstruction/∂\u03c3 over \u03c3")
    assert "\u03c3 goes from 1 to 0.250" in grid.summary
    assert "of reconstruction from 3 to 3, above 0 in 100 %" in grid.summary
    assert "of mmd from -1 to 4, above 0 in 80 %" in grid.summary.replace("\u2212", "-")
