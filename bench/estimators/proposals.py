"""Proposals for importance sampling where the posterior of a model has no known density, or is one code.

The likelihood depends on decoder and prior alone: any proposal that covers p(z|x) will do, if its codes are drawn anew.
q(z|x) may be much narrower than p(z|x), so that codes near it alone give an estimate that is far too high. A mixture is
never worse than its best component with that component's share of the codes (Hesterberg 1995; Owen and Zhou 2000).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor

from bench.base.seeds import derive_seed
from bench.corpora.batches import Batch, Collator
from bench.estimators.likelihood import Infer, text_likelihoods
from bench.models.distributions import DiagonalGaussian, Latent
from bench.models.forward import Forward
from bench.models.model import TextModel
from bench.models.noise import NoiseSource, TextSource
from bench.models.sampled import FactorGaussian
from bench.models.wrapped import Wrapped

DRAWS = 1_024  # codes whose moments are matched
WIDER = 1.5  # times the covariance: what is too wide costs samples, what is too narrow misses mass
DEVIATIONS = (0.03, 0.1, 0.3, 0.6, 1.0)  # of noise around codes: with it a bound is known
CHOOSING_TEXTS, CHOOSING_CODES = 64, 4
ADDED = (0.01, 0.1)  # variances that the wider components have besides, of a prior whose variance is 1


class Drawn(Latent):
    """A law of codes that is only drawn from, with the log-density that a bound needs of each code drawn."""

    def center(self) -> Tensor:
        """It has no use here; calling this is a mistake of the caller."""
        raise TypeError("a proposal has no centre")

    @property
    def parameters(self) -> dict[str, Tensor]:
        """None of its own."""
        return {}

    def log_prob(self, z: Tensor) -> Tensor:
        """Known of the codes that were drawn alone; calling this is a mistake of the caller."""
        raise TypeError("the log-density belongs to the codes that were drawn")

    cross_log_prob = log_prob

    def kl_terms(self, prior: object) -> Tensor | None:
        """No closed form is known."""
        return None

    def with_parameters(self, parameters: Mapping[str, Tensor]) -> Self:
        """The same."""
        return self


@dataclass(frozen=True)
class Defensive(Drawn):
    """A mixture of ``near`` and of the prior, each of which gives the same share of the codes.

    ``prior`` has ``log_prob`` of codes (batch, samples, d), ``draw(samples=n)`` gives (batch, n, d) of its codes. The
    density is that of the mixture with the shares that were drawn, so that the mean weight is unbiased.
    """

    near: tuple[Latent, ...]
    prior: Any
    draw: Callable[..., Tensor]

    def sample(self, source: NoiseSource, samples: int) -> tuple[Tensor, Tensor]:
        """Codes (batch, samples, d), those of each component in turn, and ln of the density of the mixture."""
        laws, count = (*self.near, self.prior), len(self.near) + 1
        shares = [samples // count + (place < samples % count) for place in range(count)]
        used = [(law, share) for law, share in zip(laws, shares, strict=True) if share]
        codes = [
            self.draw(samples=share) if law is self.prior else law.sample(source, share)[0]
            for law, share in used
        ]
        z = torch.cat([one.to(codes[0]) for one in codes], dim=1)
        parts = [law.log_prob(z).double() + math.log(share / samples) for law, share in used]
        return z, torch.stack(parts).logsumexp(0)


@dataclass(frozen=True)
class Smoothed(Drawn):
    """An implicit law with Gaussian noise of ``deviation`` added (Yin and Zhou 2018): codes of a known bound.

    The log-density of a code is that of the mixture of Gaussians around the code to which its noise was added and
    ``others`` (batch, K, d) of the law, the same for all codes. The first has to be in it: in expectation it is then no
    less than ln of the true density, and the mean of p(z)/density is 1, so that both ELBO and NLL are bounds.
    """

    law: Latent
    others: Tensor
    deviation: float

    def sample(self, source: NoiseSource, samples: int) -> tuple[Tensor, Tensor]:
        """Codes (batch, samples, d) and the log-density of each."""
        around = self.law.sample(source, samples)[0]
        z = around + self.deviation * source.normal(samples, around.shape[-1])
        own = (z - around).double().square().sum(-1, keepdim=True)
        squares = torch.cat([own, torch.cdist(z.double(), self.others.double()).square()], dim=-1)
        constant = z.shape[-1] * math.log(self.deviation * math.sqrt(2 * math.pi))
        densities = torch.logsumexp(-squares / (2 * self.deviation**2), dim=-1)
        return z, densities - math.log(squares.shape[-1]) - constant


def moment_matched(model: TextModel, infer: Infer, *names: object, draws: int = DRAWS) -> Infer:
    """Mixtures of the prior and of Gaussians with the mean of ``draws`` codes of each text.

    Of the Gaussians, one has :data:`WIDER` times the covariance of the codes; each other one has this covariance with
    one of :data:`ADDED` added to its diagonal.
    ``names`` seed the codes, which are not those of a likelihood. Of codes that are wrapped around a ball, the tangent
    vectors are matched.
    """

    def around(batch: Batch) -> tuple[Latent, ...]:
        return gaussians_around(infer(batch), TextSource(batch.index, "moments", *names), draws)

    return defensive(model, around, *names)


def external(model: TextModel, infer: Infer, *names: object) -> Infer:
    """Mixtures of the prior and of N(z(x), s^2 I) around the deterministic code of each text, s of :data:`DEVIATIONS`.

    No s is chosen, so that no text is needed to choose it by; ``names`` seed the codes of the prior.
    """
    return defensive(model, lambda batch: isotropic(infer(batch).center()), *names)


def with_prior(model: TextModel, infer: Infer, *names: object) -> Infer:
    """Mixtures of the prior and of the posterior itself; ``names`` seed the codes of the prior."""
    return defensive(model, lambda batch: (infer(batch),), *names)


def defensive(model: TextModel, near: Callable[[Batch], tuple[Latent, ...]], *names: object) -> Infer:
    """Mixtures of the prior and of what is ``near`` the codes of each text; ``names`` seed the codes of the prior."""

    def mixture(batch: Batch) -> Defensive:
        forward = Forward(model, batch)
        draw = partial(codes_of_prior, forward, "proposal", *names)
        return Defensive(near(batch), forward.prior, draw)

    return mixture


def isotropic(code: Tensor) -> tuple[Latent, ...]:
    """N(code, s^2 I) for codes (batch, d) and each s of :data:`DEVIATIONS`."""
    return tuple(DiagonalGaussian(code, torch.full_like(code, math.log(s))) for s in DEVIATIONS)


def smoothed(infer: Infer, deviation: float, *names: object, draws: int = DRAWS) -> Infer:
    """The posteriors with noise of ``deviation`` added, each with ``draws`` other codes; ``names`` seed these."""

    def near(batch: Batch) -> Smoothed:
        law, source = infer(batch), TextSource(batch.index, "others", *names)
        return Smoothed(law, law.sample(source, draws)[0], deviation)

    return near


def best_deviation(model: TextModel, infer: Infer, few: Collator, *names: object) -> float:
    """That of :data:`DEVIATIONS` with the least -ELBO of a few texts, on codes that no bound is then made of."""

    def bound(deviation: float) -> float:
        infer_so = smoothed(infer, deviation, *names, draws=DRAWS // 8)
        return -float(text_likelihoods(model, few, CHOOSING_CODES, *names, infer=infer_so)["elbo"].mean())

    return min(DEVIATIONS, key=bound)


def matched(codes: Tensor, wider: float = 1.0, added: float = 0.0) -> FactorGaussian:
    """The Gaussians with the moments of codes (batch, draws, d), their covariances C ``wider`` C + ``added`` I."""
    mean = codes.double().mean(1)
    deviations = codes.double() - mean.unsqueeze(1)
    covariance = wider * deviations.mT @ deviations / (codes.shape[1] - 1)
    variance = covariance.diagonal(dim1=-2, dim2=-1)
    # A direction without any spread gets a little, so that there is a density.
    least = 1e-6 * variance.mean(-1, keepdim=True) + torch.finfo(torch.float32).tiny + added
    factor = torch.linalg.cholesky(covariance + torch.diag_embed(least.expand_as(variance)))
    return FactorGaussian(mean.to(codes.dtype), factor.to(codes.dtype))


def gaussians_around(law: Latent, source: NoiseSource, draws: int) -> tuple[Latent, ...]:
    """The Gaussians around the codes of each text, the narrowest first."""
    if isinstance(law, Wrapped):
        return tuple(replace(law, tangent=one) for one in gaussians_around(law.tangent, source, draws))
    codes = law.sample(source, draws)[0]
    return tuple(matched(codes, WIDER, added) for added in (0.0, *ADDED))


def codes_of_prior(forward: Forward, *names: object, samples: int) -> Tensor:
    """Codes of the prior (batch, samples, d) for the texts of a batch; of a text the same in whatever batch it is."""
    found = []
    for row, number in enumerate(forward.batch.index.tolist()):
        generator = torch.Generator().manual_seed(derive_seed(*names, number))
        condition = None if forward.condition is None else forward.condition[row].expand(samples, -1)
        found.append(forward.model.prior.sample(samples, generator, condition))
    return torch.stack(found)
