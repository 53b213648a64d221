"""Proposals for importance sampling where the posterior of a model has no known density.

The likelihood depends on decoder and prior alone: any proposal that covers the posterior will do, if its codes are
drawn anew.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.corpora.batches import Batch
from bench.estimators.likelihood import Infer
from bench.models.noise import TextSource
from bench.models.sampled import FactorGaussian

DRAWS = 1_024  # codes whose moments are matched
WIDER = 1.5  # times the covariance: what is too wide costs samples, what is too narrow misses mass


def moment_matched(infer: Infer, *names: object, draws: int = DRAWS, wider: float = WIDER) -> Infer:
    """Gaussians with the mean of ``draws`` codes of each text and ``wider`` times their covariance.

    ``names`` seed the codes, which are not those of a likelihood.
    """

    def proposal(batch: Batch) -> FactorGaussian:
        codes = infer(batch).sample(TextSource(batch.index, "moments", *names), draws)[0]
        return matched(codes, wider)

    return proposal


def matched(codes: Tensor, wider: float = 1.0) -> FactorGaussian:
    """The Gaussians with the moments of codes (batch, draws, d), their covariances ``wider`` times as large."""
    mean = codes.double().mean(1)
    deviations = codes.double() - mean.unsqueeze(1)
    covariance = wider * deviations.mT @ deviations / (codes.shape[1] - 1)
    variance = covariance.diagonal(dim1=-2, dim2=-1)
    # A direction without any spread gets a little, so that there is a density.
    least = 1e-6 * variance.mean(-1, keepdim=True) + torch.finfo(torch.float32).tiny
    factor = torch.linalg.cholesky(covariance + torch.diag_embed(least.expand_as(variance)))
    return FactorGaussian(mean.to(codes.dtype), factor.to(codes.dtype))
