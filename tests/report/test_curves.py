"""What a printed figure draws of several systems: curves over training, and histograms of their posteriors."""

from __future__ import annotations

from typing import Any

import pandas
import pytest

from bench.base.errors import BenchError
from bench.base.validation import validated
from bench.catalog.quantities import Quantity
from bench.catalog.tables import PrintedFigure
from bench.report.curves import bar_figures, panel_figures, plane_figures, sigma_figures
from bench.report.figures import SERIES
from tests.analysis.synthetic import run

FIGURE: dict[str, Any] = {
    "id": "f",
    "printed": "Figure 2",
    "title": "t",
    "corpora": ["ptb"],
    "systems": ["vae"],
}


def with_sigma(seed: int, counts: list[int], above: int) -> Any:
    record = run("vae", seed)
    edges = [i / len(counts) for i in range(len(counts) + 1)]
    record.documents["histograms.json"] = {"sigma": {"edges": edges, "counts": counts, "above": above}}
    return record


def test_a_panel_for_each_system_with_the_share_above_one_over_its_seeds() -> None:
    systems = {"VAE": [with_sigma(0, [6, 2], 2), with_sigma(1, [2, 4], 4)], "DAE": [run("dae")]}
    (picture,) = sigma_figures("f", systems)
    assert "VAE: standard deviations" in picture.caption
    assert "2 seeds, in 2 buckets on (0, 1); 30.00 % lie above 1" in picture.caption
    assert ">percent<" in picture.svg


def test_the_weighted_kl_is_drawn_of_the_training_batches() -> None:
    """And seven systems are told apart by six colours."""
    systems = {}
    for number in range(7):
        record = run("vae")
        steps = {"step": [1, 2, 3], "kl": [4.0, 3.0, 2.0], "kl_weight": [0.0, 0.5, 1.0]}
        record.tables["training.parquet"] = pandas.DataFrame(steps)
        systems[f"VAE {number}"] = [record]
    (picture,) = panel_figures("f", systems, ["weighted-kl"])
    assert picture.svg.count(f"var(--s0,{SERIES[0][0].upper()})") > picture.svg.count("var(--s1,")
    assert all(f">VAE {number}<" in picture.svg for number in range(7))


def test_a_figure_without_anything_to_draw_is_an_error() -> None:
    assert validated(PrintedFigure, FIGURE | {"histograms": ["sigma"]}, "tables.yaml").panels == ()
    with pytest.raises(BenchError, match="name one of panels, histograms, bars"):
        validated(PrintedFigure, FIGURE, "tables.yaml")
    with pytest.raises(BenchError, match="sigmas"):
        validated(PrintedFigure, FIGURE | {"histograms": ["sigmas"]}, "tables.yaml")


def test_codes_in_a_plane_are_drawn_with_their_posteriors_and_the_prior() -> None:
    def plane(**changes: Any) -> Any:
        record = run("vae")
        one = {"edges": [-4.0, 0.0, 4.0], "counts": [[0, 3], [1, 0]], "centers": [[1.0, 1.0]]}
        record.documents["histograms.json"] = {
            "plane": one | {"deviations": [[0.5, 1.0]], "outside": 0.25} | changes
        }
        return record

    first, second = plane_figures(
        "f", {"VAE": [plane()], "DAE": [plane(deviations=[[0.0, 0.0]])], "GRU-LM": [run("gru-lm")]}
    )
    assert "VAE: density of the codes of all test texts, 1 posteriors, each within" in first.caption
    assert "DAE: density of the codes of all test texts, 1 codes, which are points" in second.caption
    assert first.caption.endswith("25.0 % of the codes lie outside.")
    assert all("var(--s0," in one.svg and "var(--s1," in one.svg for one in (first, second))


def test_bars_are_means_over_seeds_of_what_was_measured() -> None:
    bars = {"before": Quantity(metric="kl"), "after": Quantity(metric="mi", estimator="aggregate")}
    systems = {
        "VAE": [run("vae", 0, values={"kl": 1.0}), run("vae", 1, values={"kl": 3.0})],
        "DAE": [run("dae", 0)],
    }
    (picture,) = bar_figures("f", systems, bars, "Information")
    assert picture.caption == "Information; means over seeds."
    assert all(f">{text}<" in picture.svg for text in ("VAE", "before", "ratio"))
    assert not any(f">{text}<" in picture.svg for text in ("DAE", "after"))
    assert bar_figures("f", {"DAE": [run("dae", 0)]}, bars, "Information") == []
