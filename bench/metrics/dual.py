"""What is printed of systems with a dual network: KL, -ELBO, perplexity, information; and how far off it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bench.metrics.combine import Mean, Perplexity, Values
from bench.metrics.definitions import NATS, Definition, Metric
from bench.metrics.measures import measure

if TYPE_CHECKING:
    from bench.metrics.context import Context
    from bench.metrics.record import Record
    from bench.objectives.dual import DensityRatio

_LOW = "Too low by E_p[e^nu phi(r e^-nu)], r = q/p, phi(t) = t ln t - t + 1: the more, the worse the network."
_COST = "two passes of a small network for each code"
_NONE = "none beyond the dual KL"
_DUAL = (
    Definition(
        "kl",
        "dual",
        NATS,
        "not a bound",
        "E_q nu - E_p exp nu + 1 by the network nu(x, z) that was trained with the model.",
        _LOW
        + " No bound of the KL from above, which -ELBO would need; sampling makes it too high more often than not.",
        cost=_COST,
        over=Mean("kl_dual"),
        compared="KL, dual",
    ),
    Definition(
        "kl",
        "dual-as-printed",
        NATS,
        "not a bound",
        "E_q nu - E_p exp nu, without the constant 1: the formula as printed, which is -1 for a posterior that is the"
        " prior.",
        "That of the dual KL, and too low by 1 besides.",
        cost=_NONE,
        over=Mean("kl_dual_as_printed"),
    ),
    Definition(
        "aggregate_kl",
        "dual",
        NATS,
        "not a bound",
        "The same of the aggregated posterior, by the network nu(z).",
        _LOW,
        main=True,
        cost=_COST,
        over=Mean("aggregate_kl_dual"),
    ),
    Definition(
        "mi",
        "dual",
        NATS,
        "not a bound",
        "The dual KL of the posteriors minus that of the aggregated posterior.",
        "A difference of two values that are both too low; it can exceed ln(texts), which no information about these"
        " texts can.",
        cost=_NONE,
        over=Mean("mi_dual"),
    ),
    Definition(
        "neg_elbo",
        "dual",
        NATS,
        "not a bound",
        "Mean of -ln P(x|z) over codes plus the dual KL.",
        "Below -ELBO by as much as the dual is below the KL, and perhaps below -ln P(x).",
        "lower",
        cost=_NONE,
        over=Mean("neg_elbo_dual"),
        compared="\u2212ELBO, dual",
    ),
    Definition(
        "ppl",
        "dual",
        "none",
        "not a bound",
        "exp(sum of -ELBO by the dual KL / sum of targets), end symbol counted.",
        "That of the -ELBO by the dual KL.",
        "lower",
        cost=_NONE,
        over=Perplexity("neg_elbo_dual"),
    ),
    Definition(
        "active_units",
        "sampled-means",
        "count",
        "consistent",
        "Dimensions in which the mean over the codes of a text has a variance over texts of 0.01 or more.",
        "Too high: a dimension that is mere noise has its variance, over the number of codes, as that of its means.",
        cost=_NONE,
    ),
    Definition(
        "dual_gap",
        "analytic",
        NATS,
        "consistent",
        "KL in closed form minus the dual KL: by how much the printed -ELBO is too low.",
        main=True,
        cost=_NONE,
        over=Mean("dual_gap"),
        needs=("closed-form KL",),
        compared="KL \u2212 dual",
    ),
)


@measure(
    "dual",
    needs=("ratio", "prior"),
    metrics=(
        Metric("aggregate_kl", "KL(q(z) \u2016 p(z))", place=65),
        Metric("dual_gap", "KL \u2212 dual", place=66),
    ),
    gives=_DUAL,
)
def dual(context: Context, record: Record) -> None:
    """The dual estimates, on the codes that the likelihood is measured with."""
    from bench.estimators.dual import dual_values

    samples, columns = context.wanted.samples, record.columns
    ratios = {("given_text" if one.given_text else "of_codes"): one.value for one in _networks(context)}
    found, means = dual_values(
        context.model, ratios, context.texts, samples, *context.noise("codes"), infer=context.infer
    )
    for network, column in (("given_text", "kl_dual"), ("of_codes", "aggregate_kl_dual")):
        if network in found:
            columns[column] = found[network]
    columns |= _derived(columns, context.likelihoods)
    for one in _DUAL:
        if one.over is not None and set(one.over.columns) <= columns.keys():
            record.add(one.metric, one.estimator, samples=samples)
    variance = means.double().var(dim=0, unbiased=False)
    record.add(
        "active_units", "sampled-means", int((variance >= 0.01).sum()), texts=len(means), samples=samples
    )


def _derived(columns: Mapping[str, Values], likelihoods: Mapping[str, Values]) -> dict[str, Values]:
    """The columns that follow from the dual values of each text, where the networks give them."""
    if "kl_dual" not in columns:
        return {}
    kl, found = columns["kl_dual"], dict[str, Values]()
    found["kl_dual_as_printed"] = kl - 1
    found["neg_elbo_dual"] = likelihoods["reconstruction"] + kl
    if "kl_analytic" in likelihoods:
        found["dual_gap"] = likelihoods["kl_analytic"] - kl
    if "aggregate_kl_dual" in columns:
        found["mi_dual"] = kl - columns["aggregate_kl_dual"]
    return found


def _networks(context: Context) -> list[DensityRatio]:
    """The networks that the objective has."""
    from bench.objectives.dual import DensityRatio

    terms = context.composition.objective.terms.values()
    return [term for term in terms if isinstance(term, DensityRatio)]
