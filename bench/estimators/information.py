"""Mutual information of texts and latent codes, four estimators on the posteriors of one split.

All start from E_x E_{q(z|x)} [ln q(z|x) - ln q(z)] and differ in the mixture that stands for the aggregated
posterior q(z). Leaving the own text out of the mixture (Wu et al. 2020, appendix E) gives an upper bound in
expectation, which can exceed the KL and has no limit; keeping it in gives a lower bound that cannot exceed
ln(texts in the mixture), so a mixture of more texts is nearer to the truth. E KL = I + KL(q(z) || p(z)), so
no mutual information exceeds the mean KL.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from operator import itemgetter

import torch
from torch import Tensor

from bench.models.contracts import Prior
from bench.models.distributions import Latent

BATCH = 32  # texts in a mixture of like length
AGGREGATE_CODES = 10  # codes per text for the mixture of all texts
_CELLS = 8_000_000  # densities held at once


@dataclass(frozen=True)
class Information:
    """Per text, in nats (texts,): two estimators on blocks, one on all texts, one on batches of like length."""

    leave_one_out: Tensor
    self_included: Tensor
    aggregate: Tensor
    like_length: Tensor


def mutual_information(
    latent: Latent, codes: Tensor, kl: Tensor, lengths: Tensor, prior: Prior, block: int
) -> Information:
    """The estimators for posteriors of n texts, codes (n, samples, d) of them, their KL and lengths (n,).

    The first two use consecutive blocks of ``block`` texts (the last may be smaller), as the released code
    does; ``aggregate`` is KL_x minus the mean of ln q(z) - ln p(z) with q(z) the mixture of all n texts, over
    the first codes of each text; ``like_length`` is :func:`within_batches`.
    """
    wide = latent.map(Tensor.double)
    codes = codes.double()
    out, included = _on_blocks(wide, codes, block)
    few = codes[:, :AGGREGATE_CODES]
    aggregated = _log_sum(wide, few) - math.log(len(codes)) - prior.log_prob(few)
    return Information(
        leave_one_out=out,
        self_included=included,
        aggregate=kl.double() - aggregated.mean(1),
        like_length=within_batches(latent, codes, lengths),
    )


def within_batches(latent: Latent, codes: Tensor, lengths: Tensor, batch: int = BATCH) -> Tensor:
    """The self-included estimate (n,), in nats, with the mixtures of batches of texts of like length.

    He et al. 2019, released code, with the density of codes (n, samples, d) where that has the entropy in
    closed form. ``lengths`` (n,) are those of the texts.
    """
    order = torch.argsort(lengths, stable=True)
    _, included = _on_blocks(latent.map(lambda value: value[order].double()), codes[order].double(), batch)
    return torch.empty_like(included).index_copy_(0, order, included)


def _on_blocks(wide: Latent, codes: Tensor, block: int) -> tuple[Tensor, Tensor]:
    """Per text (n,): leave-one-out and self-included estimates in consecutive blocks, the last may be smaller."""
    own = wide.log_prob(codes)  # (n, samples)
    out, included = torch.empty_like(own), torch.empty_like(own)
    for start in range(0, len(codes), block):
        part = slice(start, min(start + block, len(codes)))
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
