"""Texts decoded from the prior, and how diverse they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.metrics.definitions import DECODED, Definition, Metric, TextKind
from bench.metrics.measures import measure
from bench.metrics.ngrams import distinct

if TYPE_CHECKING:
    from bench.metrics.context import Context
    from bench.metrics.record import Record

_BIAS = "Falls as the number of samples grows."
_COST = "greedy decoding of each sample from the prior"


@measure(
    "diversity",
    needs=("prior",),
    metrics=(
        Metric("dist1", "Dist-1", 0, 1, place=120),
        Metric("dist2", "Dist-2", 0, 1, place=130, lists=("overview", "sign tests")),
    ),
    gives=[
        Definition(
            f"dist{n}",
            "prior-samples",
            "ratio",
            "exact",
            what,
            _BIAS,
            "higher",
            main=True,
            cost=_COST,
            counted=DECODED,
        )
        for n, what in (
            (1, "Distinct unigrams over all, pooled over greedy samples from the prior."),
            (2, "Distinct bigrams over all, within samples, pooled over greedy samples from the prior."),
        )
    ],
    shows=[TextKind("samples", "Samples from the prior")],
)
def diversity(context: Context, record: Record) -> None:
    """The share of distinct n-grams in greedy texts of codes of the prior, of which some are shown."""
    from bench.store.shown import ShownColumn

    samples = context.prior_texts
    for n in (1, 2):
        record.add(f"dist{n}", "prior-samples", distinct(samples, n), texts=len(samples))
    shown = samples[: context.wanted.examples]
    record.show("samples", [ShownColumn(name="text", role="decoded")], [[context.text(one)] for one in shown])
