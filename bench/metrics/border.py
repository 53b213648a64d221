"""Codes at the border of the Poincare ball: how many are where single precision ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.metrics.definitions import Definition, Metric
from bench.metrics.measures import measure

if TYPE_CHECKING:
    from bench.metrics.context import Context
    from bench.metrics.record import Record

CODES = 20  # of each text


def _share(estimator: str, of: str, *, main: bool = False) -> Definition:
    return Definition(
        "at_border",
        estimator,
        "ratio",
        "exact",
        f"Share of {of} that were drawn back to the border of the ball, 1e-5 of its radius inside.",
        "Their law is not the one whose density is known: likelihoods that are estimated of such codes are not"
        " those of the model.",
        main=main,
        cost="one pass of the encoder",
    )


@measure(
    "border",
    needs=("poincare-ball", "prior"),
    metrics=(Metric("at_border", "codes at the border", 0, 1, place=85),),
    gives=(
        _share("posterior-samples", "codes of the posteriors", main=True),
        _share("prior-samples", "codes of the prior"),
    ),
    only_named=True,
)
def border(context: Context, record: Record) -> None:
    """The shares of codes of the posteriors and of the prior."""
    import torch

    from bench.base.seeds import derive_seed
    from bench.models.poincare import ball_of

    ball, wanted = ball_of(context.model.branch.posterior), context.wanted
    generator = torch.Generator().manual_seed(derive_seed(*context.noise("border")))
    with torch.no_grad():
        of_texts = context.codes(context.latent, CODES, "border").flatten(0, 1)
        of_prior = context.model.prior.sample(wanted.prior_samples, generator, None)
    for name, codes in (("posterior-samples", of_texts), ("prior-samples", of_prior)):
        record.add("at_border", name, float(ball.at_border(codes).double().mean()), samples=len(codes))
