"""What the released vMF sampler makes of likelihoods: numbers from codes that their density does not describe."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from bench.metrics.combine import Mean, OverTexts, Perplexity
from bench.metrics.definitions import NATS, Definition
from bench.metrics.measures import measure

if TYPE_CHECKING:
    from bench.corpora.batches import Batch
    from bench.metrics.context import Context
    from bench.metrics.record import Record
    from bench.models.distributions import Latent

_OF: tuple[tuple[str, str, str, str, Literal["lower"] | None, OverTexts], ...] = (
    ("nll", "importance-sampling", NATS, "Importance-sampled NLL", "lower", Mean("nll_released_sampler")),
    (
        "ppl",
        "importance-sampling",
        "none",
        "Perplexity of the importance-sampled NLL",
        "lower",
        Perplexity("nll_released_sampler"),
    ),
    ("kl", "monte-carlo", NATS, "Mean of ln q(z|x) - ln p(z)", None, Mean("kl_monte_carlo_released_sampler")),
)


@measure(
    "released-sampler",
    version=2,
    changed="likelihoods are computed in float32, whatever the training multiplied in",
    needs=("released sampler",),
    gives=[
        Definition(
            metric,
            f"{estimator}-released-sampler",
            unit,
            "not a bound",
            f"{what} with codes of the released vMF sampler.",
            "Above a concentration of 10 the codes are not those whose density is divided by.",
            better,
            cost="as much as the NLL",
            over=over,
        )
        for metric, estimator, unit, what, better, over in _OF
    ],
)
def likelihoods_as_released(context: Context, record: Record) -> None:
    """NLL, perplexity and KL of a system trained with the released sampler, with codes drawn by it too."""
    from bench.models.von_mises_fisher import VonMisesFisher

    def infer(batch: Batch) -> Latent:
        exact = context.infer(batch)
        assert isinstance(exact, VonMisesFisher)
        return replace(exact, sampler="released")

    columns = context.likelihoods_by(infer)
    for column in ("nll", "kl_monte_carlo"):
        record.columns[f"{column}_released_sampler"] = columns[column]
    for metric, estimator, *_ in _OF:
        record.add(metric, f"{estimator}-released-sampler", samples=context.wanted.samples)
