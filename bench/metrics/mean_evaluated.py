"""The loss with the mean of the posterior in place of its samples, as WAE-RNF was scored, and what that leaves out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bench.metrics.combine import Mean, Perplexity
from bench.metrics.definitions import NATS, Definition, Metric
from bench.metrics.measures import measure

if TYPE_CHECKING:
    from bench.metrics.context import Context
    from bench.metrics.record import Record

KNOWN, FLOW = ("closed-form KL",), ("closed-form KL", "flow")
AFTER = "_after_flow"
_BIAS = (
    "Too low as a rule: nothing counts what the spread of the codes costs in reconstruction nor, with flows, under the"
    " prior; there it is half the number of dimensions where the posterior is the prior and the flow changes nothing."
)
_SCORE = "-ln P(x|m) + KL(q || p) at the mean m of q(z|x); with flows -ln P(x|F(m)) - ln p(F(m)) - ln |det|(m) - H(q)."
_GAP = "Mean of minus the ELBO less the loss at the mean, the prior after the flows where there are any"
_PARTS = {
    "mean_gap": _GAP + ".",
    "mean_gap_reconstruction": _GAP + ": the part of -ln P(x|z).",
    "mean_gap_prior": _GAP + ": the part of -ln p(F(z)).",
    "mean_gap_determinant": _GAP + ": the part of -ln |det|.",
}


def _scores() -> Iterator[Definition]:
    cost = "one pass of the decoder over each text"
    yield Definition(
        "nll",
        "at-mean",
        NATS,
        "not a bound",
        _SCORE,
        _BIAS,
        "lower",
        cost=cost,
        over=Mean("nll_at_mean"),
        needs=KNOWN,
    )
    yield Definition(
        "ppl",
        "at-mean",
        "none",
        "not a bound",
        "exp(sum of losses at the mean / sum of targets), end symbol counted.",
        _BIAS,
        "lower",
        cost="none beyond the loss at the mean",
        over=Perplexity("nll_at_mean"),
        needs=KNOWN,
    )
    yield Definition(
        "log_determinant",
        "at-mean",
        NATS,
        "not a bound",
        "ln |det dF/dz| at the mean of q(z|x).",
        cost="none beyond the loss at the mean",
        over=Mean("log_determinant_at_mean"),
        needs=FLOW,
    )
    yield Definition(
        "kl",
        "analytic-less-determinant",
        NATS,
        "not a bound",
        "KL(q(z|x) || p(z)) in closed form less ln |det dF/dz| at the mean: what the released code calls flow KL.",
        "Of no pair of distributions: it can be negative.",
        cost="none beyond the loss at the mean",
        over=Mean("kl_less_determinant"),
        needs=FLOW,
    )


def _gaps() -> Iterator[Definition]:
    for name, text in _PARTS.items():
        yield Definition(
            name,
            "monte-carlo",
            NATS,
            "consistent",
            text,
            main=True,
            cost="none beyond the NLL and the loss at the mean",
            over=Mean(name),
            needs=FLOW if name in ("mean_gap_prior", "mean_gap_determinant") else KNOWN,
            compared="what the loss at the mean leaves out" if name == "mean_gap" else "",
        )
    what = "Mean of the importance-sampled NLL less the loss at the mean"
    for estimator, text, needs in (
        ("from-nll", what + "; with flows, the prior before them.", KNOWN),
        ("from-nll-after-flow", what + ", the prior after the flows.", FLOW),
    ):
        yield Definition(
            "optimism",
            estimator,
            NATS,
            "consistent",
            text,
            "Too high in expectation, as the NLL is.",
            main=estimator == "from-nll",
            cost="none beyond the NLL and the loss at the mean",
            over=Mean("optimism" + ("" if estimator == "from-nll" else AFTER)),
            needs=needs,
        )


@measure(
    "mean-evaluated",
    needs=("density",),
    only_named=True,
    metrics=(
        Metric("optimism", "NLL \u2212 loss at the mean", place=31),
        Metric("mean_gap", "\u2212ELBO \u2212 loss at the mean", place=32),
        Metric("mean_gap_reconstruction", "of it, reconstruction", place=33),
        Metric("mean_gap_prior", "of it, prior", place=34),
        Metric("mean_gap_determinant", "of it, determinant", place=35),
    ),
    gives=(*_scores(), *_gaps()),
)
def mean_evaluated(context: Context, record: Record) -> None:
    """The loss at the mean, its parts, and how far it lies below the ELBO and the NLL of the same texts."""
    if KNOWN[0] not in context.met:
        return
    mean, known, flow = context.at_the_mean, context.likelihoods, context.flow_likelihoods
    columns = record.columns
    columns |= {name: values for name, values in mean.items() if name != "prior_at_mean"}
    columns["optimism"] = known["nll"] - mean["nll_at_mean"]
    columns["mean_gap_reconstruction"] = known["reconstruction"] - mean["reconstruction_at_mean"]
    columns["mean_gap"] = columns["mean_gap_reconstruction"]
    if flow:
        columns["optimism" + AFTER] = flow["nll" + AFTER] - mean["nll_at_mean"]
        columns["mean_gap_prior"] = flow["prior" + AFTER] - mean["prior_at_mean"]
        columns["mean_gap_determinant"] = mean["log_determinant_at_mean"] - flow["log_determinant" + AFTER]
        columns["mean_gap"] = (
            columns["mean_gap_reconstruction"] + columns["mean_gap_prior"] + columns["mean_gap_determinant"]
        )
        columns["kl_less_determinant"] = known["kl_analytic"] - mean["log_determinant_at_mean"]
    for one in record.measure.gives:
        if set(one.needs) <= context.met:
            drawn = one.metric in ("optimism", *_PARTS)
            record.add(one.metric, one.estimator, samples=context.wanted.samples if drawn else None)
