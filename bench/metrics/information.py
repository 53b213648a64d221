"""Mutual information of texts and codes, active units, and the histograms of the posterior."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.metrics.combine import Mean
from bench.metrics.definitions import NATS, Definition, Metric
from bench.metrics.measures import measure

if TYPE_CHECKING:
    from bench.metrics.context import Context
    from bench.metrics.record import Record

_MI = (
    Definition(
        "mi",
        "leave-one-out",
        NATS,
        "upper bound",
        "Mean of ln q(z|x) minus ln of the mean density under the other texts of a block, in file order.",
        "Too high, without limit: it can exceed the KL, which no mutual information can. Too low where texts of a"
        " block are more alike than any of the split.",
        cost="a density for each code of a text and each text of its block",
        over=Mean("mi_leave_one_out", partial=True),
    ),
    Definition(
        "mi",
        "self-included",
        NATS,
        "lower bound",
        "The same with the own text kept in the mixture of the block.",
        "Too low: it cannot exceed ln(texts in the block), and texts of a block may be alike.",
        cost="none beyond leaving one out",
        over=Mean("mi_self_included"),
    ),
    Definition(
        "mi",
        "like-length",
        NATS,
        "lower bound",
        "Self-included, in mixtures of at most 32 texts of equal length, as the code of Lagging-VAE estimates it.",
        "Too low: it cannot exceed ln 32 = 3.47, less where fewer texts have a length; such texts may be alike.",
        cost="a density for each code of a text and each text of its batch",
        over=Mean("mi_like_length", partial=True),
    ),
    Definition(
        "mi",
        "aggregate",
        NATS,
        "lower bound",
        "Mean of ln q(z|x) - ln q(z), with q(z) the mixture over all texts of the split, own text included; the"
        " known KL is a control variate.",
        "Too low: it cannot exceed ln(texts in the split); nearer than the estimate on blocks.",
        main=True,
        cost="a density for each code of a text and each text of the split",
        over=Mean("mi_aggregate"),
    ),
)
_UNITS = Definition(
    "active_units",
    "variance-of-means",
    "count",
    "exact",
    "Dimensions whose posterior mean has a variance over texts above 0.01.",
    main=True,
    cost="one pass of the encoder",
)


@measure(
    "information",
    version=2,
    changed="mixtures of like length mix no lengths; the aggregate never exceeds the logarithm of the number of texts",
    needs=("density", "prior"),
    metrics=(
        Metric("mi", "MI", 0, place=70, lists=("overview", "pairs", "sign tests")),
        Metric("active_units", "active units", 0, place=80, lists=("overview",)),
    ),
    gives=(*_MI, _UNITS),
)
def information(context: Context, record: Record) -> None:
    """Four estimates of the mutual information, the active units, and the histograms of the posterior."""
    import torch

    from bench.estimators.information import AGGREGATE_CODES, active_units, sigma_histogram

    latent, wanted = context.latent, context.wanted
    with torch.no_grad():
        units, variance = active_units(latent.center())
        terms = latent.kl_terms(context.prior)
    for name, values in vars(context.information).items():
        record.columns[f"mi_{name}"] = values.cpu().numpy()
        most = AGGREGATE_CODES if name == "aggregate" else wanted.samples
        record.add("mi", name.replace("_", "-"), samples=min(most, wanted.samples))
    record.add("active_units", "variance-of-means", units, texts=len(latent.center()))
    if "log_std" in latent.parameters:
        record.histograms["sigma"] = sigma_histogram(latent.parameters["log_std"])
    record.histograms["units"] = {"variance": variance.tolist()}
    if terms is not None and terms.shape[-1] == len(variance):  # a term for each dimension
        record.histograms["units"]["kl"] = terms.mean(0).tolist()


@measure(
    "aggregate-kl",
    needs=(
        "density",
        "one prior",
    ),  # the KL of all texts splits into it and the information for one prior alone
    gives=(
        Definition(
            "aggregate_kl",
            "mixture",
            NATS,
            "upper bound",
            "KL of the texts minus the aggregate estimate of the mutual information: that of q(z), the mixture of the"
            " posteriors of all texts of the split, to the prior.",
            "Too high, by as much as that estimate is too low.",
            main=True,
            cost="a density for each code of a text and each text of the split",
            over=Mean("aggregate_kl_mixture"),
        ),
    ),
    only_named=True,
)
def aggregate_kl(context: Context, record: Record) -> None:
    """How far the aggregated posterior is from the prior, which may be learned."""
    from bench.estimators.information import AGGREGATE_CODES

    record.columns["aggregate_kl_mixture"] = context.kl - context.information.aggregate.cpu().numpy()
    record.add("aggregate_kl", "mixture", samples=min(AGGREGATE_CODES, context.wanted.samples))
