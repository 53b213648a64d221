"""Mutual information of texts and codes after flows, which no invertible map can change, and the released estimator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.metrics.combine import Mean
from bench.metrics.definitions import NATS, Definition
from bench.metrics.measures import measure

if TYPE_CHECKING:
    import numpy as np

    from bench.metrics.context import Context
    from bench.metrics.record import Record

BATCH = 32  # texts among which the released code looks


@measure(
    "flow-information",
    needs=("flow", "gaussian"),
    gives=(
        Definition(
            "mi",
            "aggregate-after-flow",
            NATS,
            "lower bound",
            "Mean of ln q(F(z)|x) - ln q(F(z)), with the mixture over all texts of the split; each code is traced back"
            " through the flows.",
            "Too low: it cannot exceed ln(texts in the split). The information itself is that before the flows.",
            cost="a density for each code of a text and each text of the split",
            over=Mean("mi_aggregate_after_flow"),
        ),
    ),
)
def after(context: Context, record: Record) -> None:
    """The estimate of the measure ``information`` on what the decoder reads."""
    import torch

    from bench.estimators.flows import flow_of
    from bench.estimators.information import AGGREGATE_CODES, within_all
    from bench.models.distributions import DiagonalGaussian

    model, latent, samples = context.model, context.latent, context.wanted.samples
    flow = flow_of(model)
    assert flow is not None
    assert isinstance(latent, DiagonalGaussian)
    wide = latent.map(torch.Tensor.double)
    assert isinstance(wide, DiagonalGaussian)
    kl = torch.as_tensor(context.flow_likelihoods["kl_after_flow"], device=context.device)
    with torch.no_grad():
        codes = flow(context.codes(latent, samples, "codes")[:, :AGGREGATE_CODES].double())
        found = within_all(flow.pushed(wide), codes, kl.double(), model.prior)
    record.columns["mi_aggregate_after_flow"] = found.cpu().numpy()
    record.add("mi", "aggregate-after-flow", samples=min(AGGREGATE_CODES, samples))


@measure(
    "released-information",
    needs=("flow", "gaussian"),
    only_named=True,
    gives=(
        Definition(
            "mi",
            "released",
            NATS,
            "not a bound",
            "ln B - H(q) - ln q(m|x) at the mean m, for batches of B = 32 texts: the released code of WAE-RNF, in which"
            " a matrix of densities has become its diagonal.",
            "ln B - d/2 for any Gaussian posterior: a constant.",
            cost="none",
            over=Mean("mi_released"),
        ),
        Definition(
            "mi",
            "released-after-flow",
            NATS,
            "not a bound",
            "ln B + ln |det dF/dz| at the mean: the same after the flows, where the densities have cancelled.",
            "No information: a flow that expands space by more gives more.",
            cost="none beyond the loss at the mean",
            over=Mean("mi_released_after_flow"),
        ),
    ),
)
def released(context: Context, record: Record) -> None:
    """What the released code gives, before and after the flows."""
    import numpy as np

    sizes, d = batch_sizes(len(context.texts.lengths)), context.settings.latent
    record.columns["mi_released"] = np.log(sizes) - d / 2
    record.columns["mi_released_after_flow"] = np.log(sizes) + context.at_the_mean["log_determinant_at_mean"]
    for one in record.measure.gives:
        record.add("mi", one.estimator)


def batch_sizes(texts: int) -> np.ndarray:
    """How many texts the batch of each text has (texts,), where the last may be smaller."""
    import numpy as np

    first = np.arange(texts) // BATCH * BATCH
    return np.minimum(BATCH, texts - first)
