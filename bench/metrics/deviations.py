"""How wide the posteriors are: their standard deviations over texts and dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.metrics.combine import Mean
from bench.metrics.definitions import Definition, Metric
from bench.metrics.measures import measure

if TYPE_CHECKING:
    from bench.metrics.context import Context
    from bench.metrics.record import Record


def _definition(metric: str, unit: str, text: str) -> Definition:
    over = Mean(metric)
    cost = "one pass of the encoder"
    return Definition(metric, "posterior", unit, "exact", text, main=True, cost=cost, over=over)


@measure(
    "deviations",
    needs=("gaussian",),
    metrics=(
        Metric("sigma", "\u03c3", 0, place=82),
        Metric("sigma_above_one", "\u03c3 above 1", 0, 1, place=83),
    ),
    gives=(
        _definition(
            "sigma", "none", "Mean over texts and dimensions of the standard deviations of the posteriors."
        ),
        _definition(
            "sigma_above_one",
            "ratio",
            "Share of the standard deviations, over texts and dimensions, that are 1 or more.",
        ),
    ),
    only_named=True,
)
def deviations(context: Context, record: Record) -> None:
    """The mean of the standard deviations and the share of those above 1."""
    sigma = context.latent.parameters["log_std"].double().exp()
    record.columns["sigma"] = sigma.mean(-1).cpu().numpy()
    record.columns["sigma_above_one"] = (sigma >= 1).double().mean(-1).cpu().numpy()
    for metric in ("sigma", "sigma_above_one"):
        record.add(metric, "posterior")
