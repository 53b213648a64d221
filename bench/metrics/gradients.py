"""Gradients of each loss with respect to the encoded text, averaged in four ways."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bench.metrics.combine import Mean
from bench.metrics.definitions import Definition, Metric
from bench.metrics.measures import measure

if TYPE_CHECKING:
    from bench.metrics.context import Context
    from bench.metrics.record import Record

_BACKWARD = "one backward pass for each text"
_OF = {
    "grad_norm_rec": (
        "Gradient of the token-summed reconstruction with respect to the encoded text e.",
        _BACKWARD,
        (),
    ),
    "grad_norm_rec_coupled": ("The same of the twin's reconstruction.", _BACKWARD, ("twin",)),
    "grad_norm_rec_total": ("The same of the sum of both reconstructions.", _BACKWARD, ("twin",)),
    "grad_norm_reg": (
        "Gradient of the unweighted regulariser with respect to e.",
        _BACKWARD,
        ("regulariser",),
    ),
    "signal_sensitivity": (
        "Frobenius norm of dh/de over the norm of h, the sampled noise held fixed.",
        "one backward pass for each dimension of the decoding signal",
        (),
    ),
}
_MODES = {
    "squared-training-mode": "Mean of squared norms, dropout on, as the released code averages.",
    "norm-training-mode": "Mean of the norms, dropout on.",
    "norm-evaluation-mode": "Mean of the norms, dropout off, one sampled code.",
    "squared-evaluation-mode": "Mean of squared norms, dropout off.",
}


def _definitions() -> Iterator[Definition]:
    for metric, (text, cost, needs) in _OF.items():
        for mode, how in _MODES.items():
            average, which, _ = mode.split("-")
            yield Definition(
                metric,
                mode,
                "none",
                "exact",
                f"{text} {how}",
                main=mode == "squared-training-mode",
                cost=cost,
                over=Mean(f"{metric}_{which}", 2 if average == "squared" else 1, partial=True),
                needs=needs,
            )


@measure(
    "gradients",
    version=2,
    changed="intervals of squared norms do not reach below 0; the values are the same",
    needs=("posterior",),
    metrics=(
        Metric("grad_norm_rec", "∂rec/∂e", 0, place=150),
        Metric("grad_norm_rec_coupled", "∂rec\u2032/∂e", 0, place=151),
        Metric("grad_norm_rec_total", "∂(rec + rec\u2032)/∂e", 0, place=152),
        Metric("grad_norm_reg", "∂reg/∂e", 0, place=153),
        Metric("signal_sensitivity", "∂h/∂e", 0, place=154),
    ),
    gives=_definitions(),
)
def gradients(context: Context, record: Record) -> None:
    """The four ways of averaging each gradient norm."""
    import numpy as np

    from bench.estimators.gradients import gradient_norms

    objective = context.composition.objective
    texts = len(context.texts.lengths)
    chosen = np.arange(min(context.wanted.gradient_texts or texts, texts))
    for mode in ("training", "evaluation"):
        norms = gradient_norms(
            context.model,
            objective,
            context.texts,
            chosen,
            context.wanted.gradient_batch,
            *context.noise("gradients"),
            training_mode=mode == "training",
        )
        for metric, values in norms.items():
            column = record.columns[f"{metric}_{mode}"] = np.full(texts, np.nan)
            column[chosen] = np.where(
                np.isnan(values), np.inf, values
            )  # a gradient that is none is not left out
            record.add(metric, f"norm-{mode}-mode")
            record.add(metric, f"squared-{mode}-mode")
