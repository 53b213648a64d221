"""Proposals for importance sampling where the posterior of a model has no known density.

The likelihood depends on decoder and prior alone: any proposal that covers p(z|x) will do, if its codes are drawn anew.
These are near q(z|x), which may be much narrower than p(z|x): then the estimate is far too high.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from bench.estimators.likelihood import Infer
from bench.models.distributions import Latent
from bench.models.noise import TextSource
from bench.models.sampled import FactorGaussian
from bench.models.wrapped import Wrapped

DRAWS = 1_024  # codes whose moments are matched
WIDER = 1.5  # times the covariance: what is too wide costs samples, what is too narrow misses mass


def moment_matched(infer: Infer, *names: object, draws: int = DRAWS, wider: float = WIDER) -> Infer:
    """Gaussians with the mean of ``draws`` codes of each text and ``wider`` times their covariance.

    ``names`` seed the codes, which are not those of a likelihood. Of codes that are wrapped around a ball, the tangent
    vectors are matched.
    """

    def near(latent: Latent, source: TextSource) -> Latent:
        if isinstance(latent, Wrapped):
            return replace(latent, tangent=near(latent.tangent, source))
        return matched(latent.sample(source, draws)[0], wider)

    return lambda batch: near(infer(batch), TextSource(batch.index, "moments", *names))


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
