"""Likelihoods of systems with flows, with the prior after the flows: the measure ``likelihood`` has it before them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.metrics.combine import Mean, Perplexity
from bench.metrics.definitions import NATS, Definition, Metric
from bench.metrics.measures import measure

if TYPE_CHECKING:
    from bench.metrics.context import Context
    from bench.metrics.record import Record

COST = "none beyond the NLL: from the same samples and losses"


@measure(
    "flow",
    needs=("flow", "density", "own text"),
    metrics=(Metric("log_determinant", "ln |det|", place=65),),
    gives=(
        Definition(
            "nll",
            "importance-sampling-after-flow",
            NATS,
            "consistent",
            "-ln of the mean of p(F(z)) |det| P(x|F(z)) / q(z|x) over codes of q(z|x): the prior is after the flows.",
            "Too high in expectation for any number of codes. Of the model whose texts are decoded from the prior"
            " without the flows.",
            "lower",
            cost=COST,
            over=Mean("nll_after_flow"),
            compared="NLL, prior after the flows",
        ),
        Definition(
            "ppl",
            "importance-sampling-after-flow",
            "none",
            "consistent",
            "exp(sum of NLL / sum of targets), end symbol counted, with the prior after the flows.",
            "Too high in expectation, with the NLL.",
            "lower",
            cost=COST,
            over=Perplexity("nll_after_flow"),
        ),
        Definition(
            "elbo",
            "one-bound-after-flow",
            NATS,
            "lower bound",
            "Mean of ln P(x|F(z)) + ln p(F(z)) + ln |det| - ln q(z|x) over codes of q(z|x).",
            "Below ln P(x) by the KL to the posterior.",
            "higher",
            cost=COST,
            over=Mean("elbo_after_flow"),
        ),
        Definition(
            "kl",
            "monte-carlo-after-flow",
            NATS,
            "consistent",
            "Mean of ln q(z|x) - ln |det| - ln p(F(z)): the KL of what the decoder reads to the prior.",
            cost=COST,
            over=Mean("kl_after_flow"),
        ),
        Definition(
            "log_determinant",
            "monte-carlo",
            NATS,
            "consistent",
            "Mean of ln |det dF/dz| over codes of q(z|x).",
            main=True,
            cost=COST,
            over=Mean("log_determinant_after_flow"),
        ),
    ),
)
def flow(context: Context, record: Record) -> None:
    """What the codes of the likelihood measure give where the prior stands after the flows."""
    record.columns |= context.flow_likelihoods
    for one in record.measure.gives:
        record.add(one.metric, one.estimator, samples=context.wanted.samples)
