"""Mutual information of texts and latent codes, four estimators on the posteriors of one split.

All start from E_x E_{q(z|x)} [ln q(z|x) - ln q(z)] and differ in the mixture that stands for the aggregated
posterior q(z). Leaving the own text out of the mixture (Wu et al. 2020, appendix E) gives an upper bound in
expectation, which can exceed the KL and has no limit; keeping it in gives a lower bound that cannot exceed
ln(texts in the mixture), so a mixture of more texts is nearer to the truth. E KL = I + KL(q(z) || p(z)), so
no mutual information exceeds the mean KL.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import itemgetter

import torch
from torch import Tensor

from bench.models.contracts import Prior
from bench.models.distributions import Latent

BATCH = 32  # most texts in a mixture of equal length
AGGREGATE_CODES = 10  # codes per text for the mixture of all texts
_CELLS = 8_000_000  # densities held at once


@dataclass(frozen=True)
class Information:
    """Per text, in nats (texts,): two estimators on blocks, one on all texts, one on batches of equal length."""

    leave_one_out: Tensor
    self_included: Tensor
    aggregate: Tensor
    like_length: Tensor


def mutual_information(
    latent: Latent, codes: Tensor, kl: Tensor, lengths: Tensor, prior: Prior, block: int
) -> Information:
    """The estimators for posteriors of n texts, codes (n, samples, d) of them, their KL and lengths (n,).

    The first two use consecutive blocks of ``block`` texts (the last may be smaller), as the released code
    does; ``aggregate`` is :func:`within_all` over the first codes of each text; ``like_length`` is
    :func:`within_batches` with texts of equal length.
    """
    wide = latent.map(Tensor.double)
    codes = codes.double()
    out, included = _on_blocks(wide, codes, _blocks(len(codes), block))
    return Information(
        leave_one_out=out,
        self_included=included,
        aggregate=within_all(wide, codes[:, :AGGREGATE_CODES], kl.double(), prior),
        like_length=within_batches(latent, codes, lengths, equal=True),
    )


def within_all(wide: Latent, codes: Tensor, kl: Tensor, prior: Prior) -> Tensor:
    """The self-included estimate (n,), in nats, with the mixture of all n texts, by a control variate.

    E ln q(z|x) - ln q(z) over codes (n, samples, d), less c times what these codes make of the KL, ln q(z|x) -
    ln p(z), beyond the known one, ``kl`` (n,). Of all c, the least variance has the slope of the one on the
    other: near 1 where there is little information, near 0 where it nears ln n. With c = 0 no code gives more
    than ln n; so c is 0 where the mean would exceed it.
    """
    own = wide.log_prob(codes)
    values = own - _log_sum(wide, codes) + math.log(len(codes))
    control = own - prior.log_prob(codes) - kl[:, None]
    spread = control - control.mean(1, keepdim=True)
    slope = (values * spread).sum() / spread.square().sum().clamp(min=torch.finfo(spread.dtype).tiny)
    controlled = (values - slope * control).mean(1)
    return controlled if controlled.mean() <= math.log(len(codes)) else values.mean(1)


def within_batches(
    latent: Latent, codes: Tensor, lengths: Tensor, batch: int = BATCH, *, equal: bool = False
) -> Tensor:
    """The self-included estimate (n,), in nats, with the mixtures of batches of texts of like length.

    He et al. 2019, released code, with the density of codes (n, samples, d) where that has the entropy in
    closed form. ``lengths`` (n,) are those of the texts. ``equal``: no batch mixes lengths, as there; the last
    of each length may be smaller.
    """
    order = torch.argsort(lengths, stable=True)
    counts = torch.unique(lengths, return_counts=True)[1].tolist() if equal else [len(lengths)]
    starts = accumulate(counts, initial=0)
    parts = [part for start, n in zip(starts, counts, strict=False) for part in _blocks(n, batch, start)]
    _, included = _on_blocks(latent.map(lambda value: value[order].double()), codes[order].double(), parts)
    return torch.empty_like(included).index_copy_(0, order, included)


def _blocks(texts: int, block: int, first: int = 0) -> list[slice]:
    """Consecutive blocks of so many ``texts`` from the ``first`` on; the last may be smaller."""
    return [slice(start, min(start + block, first + texts)) for start in range(first, first + texts, block)]


def _on_blocks(wide: Latent, codes: Tensor, blocks: Sequence[slice]) -> tuple[Tensor, Tensor]:
    """Per text (n,): leave-one-out and self-included estimates in blocks that cover all texts."""
    own = wide.log_prob(codes)  # (n, samples)
    out, included = torch.empty_like(own), torch.empty_like(own)
    for part in blocks:
        size = part.stop - part.start
        mixture = wide.map(itemgetter(part))
        # Subtracting the own density from the whole sum would lose everything once the own text dominates it.
        others = _log_sum(mixture, codes[part], without_own=True)
        included[part] = torch.logaddexp(others, own[part]) - math.log(size)
        out[part] = others - math.log(size - 1) if size > 1 else torch.nan
    return (own - out).mean(1), (own - included).mean(1)


def _log_sum(mixture: Latent, codes: Tensor, *, without_own: bool = False) -> Tensor:
    """ln sum_j q(z | x_j) (texts, samples) of codes (texts, samples, d).

    ``without_own``: the codes of text i leave out component i of the mixture.
    """
    rows, sums = codes.flatten(0, 1), []
    text = torch.arange(len(codes), device=codes.device).repeat_interleave(codes.shape[1])[:, None]
    size = max(1, _CELLS // len(mixture.center()))
    for part, own in zip(rows.split(size), text.split(size), strict=True):
        densities = mixture.cross_log_prob(part)
        if without_own:
            densities.scatter_(1, own, -torch.inf)
        sums.append(torch.logsumexp(densities, dim=1))
    return torch.cat(sums).view(codes.shape[:2])


def active_units(mean: Tensor, threshold: float = 0.01) -> tuple[int, Tensor]:
    """Dimensions whose posterior mean varies over texts by more than ``threshold`` (Burda et al. 2016).

    Returns their number and the variances (d,) of the means (n, d).
    """
    variance = mean.double().var(dim=0)
    return int((variance > threshold).sum()), variance


def sigma_histogram(log_std: Tensor, buckets: int = 200) -> dict[str, object]:
    """How often each posterior standard deviation occurs, over texts and dimensions, in buckets on (0, 1)."""
    sigma = log_std.exp().flatten()
    counts = torch.histc(sigma[sigma < 1], buckets, 0.0, 1.0).long().tolist()
    edges = [i / buckets for i in range(buckets + 1)]
    return {"edges": edges, "counts": counts, "above": int((sigma >= 1).sum())}
