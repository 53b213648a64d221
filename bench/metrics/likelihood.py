"""Likelihood of texts and what it is made of: NLL, perplexity, ELBO, KL, reconstruction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.metrics.combine import Mean, Perplexity
from bench.metrics.definitions import NATS, Definition, Metric
from bench.metrics.measures import measure

if TYPE_CHECKING:
    import numpy as np

    from bench.metrics.context import Context
    from bench.metrics.record import Record

NO_MORE = "none beyond the NLL: from the same samples"
_METRICS = (
    Metric("nll", "NLL", 0, place=10, lists=("overview", "pairs", "sign tests")),
    Metric("ppl", "PPL", 1, place=20, lists=("overview", "sign tests", "relative")),
    Metric("elbo", "ELBO", place=40),
    Metric("reconstruction", "reconstruction", 0, place=50, lists=("overview",)),
    Metric("kl", "KL", 0, place=60, lists=("overview", "pairs", "sign tests")),
)
_EXACT = (
    Definition(
        "nll",
        "exact",
        NATS,
        "exact",
        "-ln P(x), end symbol counted, by the chain rule.",
        better="lower",
        main=True,
        cost="one pass of the decoder over each text",
        over=Mean("nll"),
        needs=("language model",),
        compared="NLL",
    ),
    Definition(
        "ppl",
        "exact",
        "none",
        "exact",
        "exp(sum of NLL / sum of targets), end symbol counted.",
        better="lower",
        main=True,
        cost="none beyond the NLL",
        over=Perplexity("nll"),
        needs=("language model",),
    ),
)
_ESTIMATED = (
    Definition(
        "nll",
        "importance-sampling",
        NATS,
        "consistent",
        "-ln of the mean importance weight p(z)P(x|z)/q(z|x) over codes from q(z|x), or of the mean P(x|z) where codes"
        " are of another text, which x answers; end symbol counted.",
        "Too high in expectation for any number of codes, the more so the further q is from the posterior.",
        better="lower",
        main=True,
        cost="one pass of the decoder over each text for each sample",
        over=Mean("nll"),
        needs=("density",),
        compared="NLL",
    ),
    Definition(
        "ppl",
        "importance-sampling",
        "none",
        "consistent",
        "exp(sum of NLL / sum of targets), end symbol counted, from the importance-sampled NLL.",
        "Too high in expectation, with the NLL.",
        better="lower",
        main=True,
        cost="none beyond the NLL",
        over=Perplexity("nll"),
        needs=("density",),
    ),
    Definition(
        "elbo",
        "one-bound",
        NATS,
        "lower bound",
        "Mean of ln P(x|z) over codes minus the KL.",
        "Below ln P(x) by KL(q || p(z|x)).",
        "higher",
        cost=NO_MORE,
        over=Mean("elbo"),
        needs=("density",),
    ),
    Definition(
        "reconstruction",
        "mean",
        NATS,
        "consistent",
        "Mean of -ln P(x|z) over codes of q(z|x), end symbol counted; exact for a deterministic code.",
        main=True,
        cost=NO_MORE,
        over=Mean("reconstruction"),
        needs=("posterior",),
        compared="reconstruction",
    ),
    Definition(
        "kl",
        "analytic",
        NATS,
        "exact",
        "KL(q(z|x) || p(z)) in closed form.",
        main=True,
        cost="one pass of the encoder",
        over=Mean("kl_analytic"),
        needs=("closed-form KL",),
        compared="KL, analytic",
    ),
    Definition(
        "kl",
        "monte-carlo",
        NATS,
        "consistent",
        "Mean of ln q(z|x) - ln p(z) over codes of q(z|x).",
        cost=NO_MORE,
        over=Mean("kl_monte_carlo"),
        needs=("density",),
        compared="KL",
    ),
)


_IN_FLOAT32 = "likelihoods are computed in float32, whatever the training multiplied in"


@measure("likelihood", version=2, changed=_IN_FLOAT32, metrics=_METRICS, gives=(*_EXACT, *_ESTIMATED))
def likelihood(context: Context, record: Record) -> None:
    """All that the likelihoods of the texts give: for a deterministic code, only the reconstruction."""
    record.columns |= context.likelihoods
    language_model = context.model.encoder is None
    samples = None if language_model else context.wanted.samples
    if language_model or "elbo" in record.columns:
        estimator = "exact" if language_model else "importance-sampling"
        record.add("nll", estimator, samples=samples)
        record.add("ppl", estimator, samples=samples)
    for metric, estimator, column in (
        ("elbo", "one-bound", "elbo"),
        ("kl", "analytic", "kl_analytic"),
        ("kl", "monte-carlo", "kl_monte_carlo"),
        ("reconstruction", "mean", "reconstruction"),
    ):
        if column in record.columns:
            exact = column == "kl_analytic" or "kl_monte_carlo" not in record.columns
            record.add(metric, estimator, samples=None if exact else samples)


@measure(
    "given-code",
    needs=("deterministic", "reader"),
    gives=(
        Definition(
            "nll",
            "given-code",
            NATS,
            "exact",
            "-ln P(x|z) at the one code of another text, which x answers: given that text, no other code is possible;"
            " end symbol counted.",
            better="lower",
            main=True,
            cost="none beyond the reconstruction, which it repeats",
            over=Mean("nll"),
            compared="NLL",
        ),
        Definition(
            "ppl",
            "given-code",
            "none",
            "exact",
            "exp(sum of NLL / sum of targets), end symbol counted, from the NLL at that code.",
            better="lower",
            main=True,
            cost="none beyond the NLL",
            over=Perplexity("nll"),
        ),
    ),
)
def given_code(context: Context, record: Record) -> None:
    """The likelihood of a reply given its utterance, where the utterance has one code."""
    record.columns["nll"] = context.likelihoods["nll"]
    for metric in ("nll", "ppl"):
        record.add(metric, "given-code")


@measure(
    "excess",
    version=2,
    changed=f"{_IN_FLOAT32}; of pairs given the context",
    needs=("likelihood", "exact corpus"),
    metrics=[Metric("excess_nll", "NLL \u2212 entropy", place=30, lists=("overview",))],
    gives=[
        Definition(
            "excess_nll",
            "over-true-probability",
            NATS,
            "upper bound",
            "Mean of NLL + ln p(x) with the true probability, of pairs that given the context: the divergence from the"
            " language.",
            "Too high where the NLL is importance-sampled; exact for a language model.",
            "lower",
            main=True,
            cost="none beyond the NLL: the true probability is exact",
            over=Mean("excess_nll"),
        )
    ],
)
def excess(context: Context, record: Record) -> None:
    """How far the NLL is above the entropy of a generated corpus."""
    record.columns["true_log_probability"] = true_log_probability(context, record)
    record.columns["excess_nll"] = context.likelihoods["nll"] + record.columns["true_log_probability"]
    samples = context.wanted.samples if "elbo" in context.likelihoods else None
    record.add("excess_nll", "over-true-probability", samples=samples)


def true_log_probability(context: Context, record: Record) -> np.ndarray:
    """ln p(x) (texts,) by the grammar of a generated corpus; of pairs that given the context."""
    truth = context.corpus.attributes(record.split)
    if truth is None:
        raise TypeError("a corpus whose true probabilities are known has a table of them")
    given = "conditional_log_probability" if "conditional_log_probability" in truth else "log_probability"
    found: np.ndarray = truth[given].to_numpy(dtype=float)
    return found
