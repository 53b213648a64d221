"""What is known of each estimator: its definition and validity, its measured error, its cost."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from bench.files import read_json
from bench.report.figures import Line, Picture, line_figure
from bench.report.numbers import metric_name

MEASURED = Path(__file__).parent / "measured" / "estimators.json"
# What one measurement costs, by metric and estimator without its number of samples.
COSTS: dict[tuple[str, str], str] = {
    ("nll", "exact"): "one pass of the decoder over each text",
    ("nll", "importance-sampling"): "one pass of the decoder over each text for each sample",
    ("ppl", "exact"): "none beyond the NLL",
    ("ppl", "importance-sampling"): "none beyond the NLL",
    ("elbo", "one-bound"): "none beyond the NLL: from the same samples",
    ("reconstruction", "mean"): "none beyond the NLL: from the same samples",
    ("kl", "analytic"): "one pass of the encoder",
    ("kl", "monte-carlo"): "none beyond the NLL: from the same samples",
    ("mi", "leave-one-out"): "a density for each code of a text and each text of its block",
    ("mi", "self-included"): "none beyond leaving one out",
    ("mi", "aggregate"): "a density for each code of a text and each text of the split",
    ("active_units", "variance-of-means"): "one pass of the encoder",
    ("excess_nll", "over-true-probability"): "none beyond the NLL: the true probability is exact",
    ("attribute_information", "softmax-probe"): "one logistic regression on one code of each text",
}
DECODED, DIFFERENTIATED = "greedy decoding of each text for each code", "one backward pass for each text"
SHARED_COSTS = {
    **dict.fromkeys(("bleu", "bleu1", "bleu2"), DECODED),
    **dict.fromkeys(("dist1", "dist2"), "greedy decoding of each sample from the prior"),
    **dict.fromkeys(
        ("grad_norm_rec", "grad_norm_rec_coupled", "grad_norm_rec_total", "grad_norm_reg"), DIFFERENTIATED
    ),
    "signal_sensitivity": "one backward pass for each dimension of the decoding signal",
}
FOLLOWS = {  # errors that follow from another one's
    ("ppl", "importance-sampling"): "That of the NLL, over the targets of a text and times the perplexity.",
    ("excess_nll", "over-true-probability"): "That of the NLL: the true probability is exact.",
}
UNTESTED = {
    "exact": "Exact: it has no error beyond rounding.",
    "other": "No model with a known value was measured.",
}


def base(estimator: str) -> str:
    """``importance-sampling-100`` without its number of samples."""
    name, _, number = estimator.rpartition("-")
    return name if number.isdecimal() and name else estimator


def cost(metric: str, estimator: str) -> str:
    """What a measurement costs, in words."""
    named = metric.partition(":")[0]
    return COSTS.get((named, base(estimator))) or SHARED_COSTS.get(named, "")


@functools.cache
def measured() -> dict[str, Any]:
    """The measured errors: ``curves`` by metric, estimator and label, and their ``provenance``."""
    return dict(read_json(MEASURED))


def curves_of(metric: str, estimator: str) -> list[dict[str, Any]]:
    """The measured errors of an estimator, one curve for each model."""
    key = (metric.partition(":")[0], base(estimator))
    return [curve for curve in measured()["curves"] if (curve["metric"], curve["estimator"]) == key]


@functools.cache
def figure(metric: str, estimator: str) -> Picture | None:
    """Error against the number of samples: the mean, and a band of one standard deviation of an estimate."""
    curves = curves_of(metric, estimator)
    if not curves:
        return None
    lines = [
        Line(
            curve["label"],
            [point["n"] for point in curve["points"]],
            [point["bias"] for point in curve["points"]],
            style=style,
            spread=[point["sd"] for point in curve["points"]],
        )
        for style, curve in enumerate(curves)
    ]
    what = f"{metric_name(metric.partition(':')[0])} by {base(estimator)}"
    caption = (
        f"Estimate minus exact value: {what}. The line is the mean error (bias), the band one standard deviation "
        "of a single estimate."
    )
    name = f"estimator-{metric.partition(':')[0].replace('_', '-')}-{base(estimator)}"
    return line_figure(
        name,
        lines,
        caption,
        curves[0]["over"],
        "error, nats",
        log_x=True,
        zero=True,
        markers=True,
        legend=True,
    )


def without_figure(metric: str, estimator: str, validity: str) -> str:
    """What stands in place of a figure."""
    follows = FOLLOWS.get((metric, base(estimator)))
    return follows or UNTESTED["exact" if validity == "exact" else "other"]
