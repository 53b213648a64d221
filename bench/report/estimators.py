"""What is known of each estimator: its definition and validity, its measured error, its cost."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from bench.analysis.numbers import metric_name
from bench.base.files import read_json
from bench.metrics.definitions import base
from bench.report.figures import Line, Picture, line_figure

MEASURED = Path(__file__).parent / "measured" / "estimators.json"
VERDICTS = Path(__file__).parent / "measured" / "verdicts.json"
DUAL = Path(__file__).parent / "measured" / "dual.json"
FOLLOWS = {  # errors that follow from another one's
    ("ppl", "importance-sampling"): "That of the NLL, over the targets of a text and times the perplexity.",
    ("excess_nll", "over-true-probability"): "That of the NLL: the true probability is exact.",
}
UNTESTED = {
    "exact": "Exact: it has no error beyond rounding.",
    "other": "No model with a known value was measured.",
}


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


@functools.cache
def operating_characteristics() -> Picture | None:
    """How often the verdict rule calls a number reproduced or refuted, by the true difference and the seeds."""
    found = read_json(VERDICTS)
    lines = [
        Line(
            f"{curve['seeds']} seed{'s' if curve['seeds'] > 1 else ''}",
            [point["shift"] / found["margin"] for point in curve["points"]],
            [100 * point[word] for point in curve["points"]],
            style=style,
            faint=word == "refuted",
        )
        for style, curve in enumerate(found["curves"])
        for word in ("reproduced", "refuted")
    ]
    caption = (
        f"Simulated: the share of verdicts by the true difference, in margins. Spread over seeds {found['spread']}, "
        f"margin {found['margin']}, {found['decimals']} decimal printed, {found['others']} other systems with two runs "
        "each. Full lines: reproduced; faint lines: refuted; the rest is undecided."
    )
    return line_figure(
        "verdict-rule",
        lines,
        caption,
        "true difference / margin",
        "% of verdicts",
        markers=True,
        legend="below",
    )


@functools.cache
def dual_network() -> dict[str, Any]:
    """What the dual estimate said where the KL is known: ``frozen`` posteriors, and the ``games`` of an encoder."""
    return dict(read_json(DUAL))


@functools.cache
def dual_game() -> Picture | None:
    """What is printed of an encoder that is trained against a dual network, beside what is true of it."""
    found = dual_network()
    dual, exact = found["games"]["dual"], found["games"]["kl"]
    sums = (("\u2212ELBO, printed", "dual"), ("\u2212ELBO", "kl"))
    curves = {name: (dual, [one["reconstruction"] + one[kl] for one in dual]) for name, kl in sums}
    curves["NLL"] = (dual, [one["nll"] for one in dual])
    curves["NLL, trained with the KL itself"] = (exact, [one["nll"] for one in exact])
    curves["least possible"] = (dual, [found["nll"]] * len(dual))
    lines = [
        Line(name, [one["step"] for one in points], values, style=style)
        for style, (name, (points, values)) in enumerate(curves.items())
    ]
    caption = (
        "The game of encoder and network on linear Gaussian data, on held-out texts: \u2212ELBO as it is printed, with "
        "the dual estimate, and with the KL in closed form; the exact NLL of the decoder, and of one that was trained "
        "with the KL itself; and that of the density that the data were drawn from, below which no model can be."
    )
    return line_figure("dual-game", lines, caption, "step", "nats per text", markers=True, legend="below")
