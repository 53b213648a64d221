"""Codes of two dimensions as they lie in the plane: some posteriors, and the density of all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.metrics.definitions import Definition, Metric
from bench.metrics.measures import measure

if TYPE_CHECKING:
    from bench.metrics.context import Context
    from bench.metrics.record import Record

REACH, CELLS = 4.0, 40  # the square from -4 to 4, in 40 by 40 cells
CODES, POSTERIORS = 20, 40  # codes of each text, and posteriors that are drawn


@measure(
    "plane",
    needs=("posterior", "plain prior"),  # of which the figure draws circles
    metrics=(Metric("outside_plane", "codes outside", 0, 1, place=84),),
    gives=(
        Definition(
            "outside_plane",
            "posterior-samples",
            "ratio",
            "exact",
            f"Share of codes of the posteriors whose first two dimensions lie outside the square from -{REACH:g} to "
            f"{REACH:g} that is drawn.",
            main=True,
            cost="one pass of the encoder",
        ),
    ),
    only_named=True,
)
def plane(context: Context, record: Record) -> None:
    """Centres and deviations of some posteriors, and in which cells all codes lie, in the first two dimensions."""
    import torch

    latent = context.latent
    samples = CODES if latent.stochastic else 1
    codes = context.codes(latent, samples, "plane")[..., :2].flatten(0, 1).double().cpu()
    edges = torch.linspace(-REACH, REACH, CELLS + 1, dtype=torch.float64)
    counts = torch.histogramdd(codes, [edges, edges]).hist.long()
    chosen = context.chosen(POSTERIORS)
    centers = latent.center()[chosen, :2]
    wide = latent.parameters["log_std"][chosen, :2].exp() if "log_std" in latent.parameters else 0 * centers
    outside = 1 - float(counts.sum()) / len(codes)
    record.histograms["plane"] = {
        "edges": edges.tolist(),
        "counts": counts.tolist(),
        "centers": centers.tolist(),
        "deviations": wide.tolist(),
        "outside": outside,
    }
    record.add("outside_plane", "posterior-samples", outside, texts=len(latent.center()), samples=samples)
