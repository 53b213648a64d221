"""Likelihood of texts: importance sampling for latent-variable models, exact for language models.

NLL_x = -ln (1/N) sum_i p(z_i) P(x|z_i) / q(z_i|x), z_i ~ q(z|x) (Burda et al. 2016; Wu et al. 2020,
appendix D): a consistent estimate, and in expectation an upper bound of the NLL for every N. P(x|z) counts
the end symbol and no padding. Where the encoder reads another field y than is written, q(z|y) is the prior of the
codes, each of which then counts alike: NLL_x = -ln (1/N) sum_i P(x|z_i), exact where y has one code. All values are in
nats per text.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from bench.corpora.batches import Batch, Collator, by_length
from bench.models.cross_entropy import token_losses
from bench.models.distributions import Latent, joined
from bench.models.forward import Forward
from bench.models.model import TextModel
from bench.models.noise import TextSource
from bench.models.precision import products

FEWER = {"tenth": 10, "hundredth": 100}  # shares of the samples that a likelihood is estimated with too
OF_FEWER = "_of_fewer"  # the end of the names of columns with so many

ROWS = 8_192  # target tokens decoded at once, over texts and samples
CHUNK = 64  # texts whose posteriors are inferred at once
EFFECTIVE = "effective_samples"  # the name of its column
_LOGIT_ROWS = 2_048  # of them, projected onto the vocabulary at once


Infer = Callable[[Batch], Latent]  # q(z|x) of the texts of a batch
# More columns (batch,) of codes (batch, samples, d), their ln q(z|x) and -ln P(x|z) (batch, samples).
Also = Callable[[TextModel, Tensor, Tensor, Tensor], dict[str, Tensor]]


class Examples(Protocol):
    """What gives batches of the examples with some numbers: a collator, or what stands in for one."""

    @property
    def lengths(self) -> np.ndarray:
        """Words of each text (texts,)."""

    def __call__(self, index: np.ndarray) -> Batch:
        """The examples numbered ``index``."""


def amortised(model: TextModel) -> Infer:
    """The posteriors that the model's own networks give."""
    return lambda batch: Forward(model, batch).main.latent


@torch.no_grad()
def posteriors(infer: Infer, collator: Collator, order: np.ndarray, chunk: int = CHUNK) -> Latent:
    """q(z|x) of the texts in ``order`` (texts,), in that order; ``chunk`` bounds the memory, not the result."""
    pieces = [order[start : start + chunk] for start in range(0, len(order), chunk)]
    return joined([infer(collator(piece)) for piece in pieces])


@torch.no_grad()
def conditions(model: TextModel, collator: Collator, chunk: int = CHUNK) -> Tensor | None:
    """The encoded conditions e_y (texts, F) of all texts of a split, in corpus order; None without a condition."""
    if model.condition is None:
        return None
    model.eval()
    order = np.arange(len(collator.lengths))
    pieces = [order[start : start + chunk] for start in range(0, len(order), chunk)]
    found = [
        encoded for piece in pieces if (encoded := Forward(model, collator(piece)).condition) is not None
    ]
    return torch.cat(found)


def conditional_losses(forward: Forward, codes: Tensor | None, dtype: torch.dtype = torch.float32) -> Tensor:
    """-ln P(x|z) (batch, samples) for codes (batch, samples, d), or (batch, 1) of a language model.

    Only here do products run in ``dtype``: posteriors and densities are always computed in float32.
    """
    with products(forward.batch.words.device, dtype):
        return _conditional_losses(forward, codes)


def _conditional_losses(forward: Forward, codes: Tensor | None) -> Tensor:
    batch = forward.batch
    features = forward.main.features_of(codes)
    samples = features.shape[2]
    real = batch.real
    rows = features[real].flatten(0, 1)  # (real tokens x samples, features)
    targets = batch.targets[real].repeat_interleave(samples)
    out = forward.main.branch.output
    pieces = zip(rows.split(_LOGIT_ROWS), targets.split(_LOGIT_ROWS), strict=True)
    losses = torch.cat([token_losses(r, out.weight, out.bias, t) for r, t in pieces])
    text = torch.arange(len(batch.lengths), device=rows.device).expand(len(real), -1)[real]
    sums = torch.zeros(len(batch.lengths), samples, device=rows.device)
    return sums.index_add_(0, text, losses.view(-1, samples))


def effective_samples(log_weights: Tensor) -> Tensor:
    """(sum w)^2 / sum w^2 (batch,) of ln w (batch, samples): of how many equal weights they are worth (Kish 1965)."""
    weights = log_weights.double()
    return (2 * weights.logsumexp(1) - (2 * weights).logsumexp(1)).exp()


@torch.no_grad()
def text_likelihoods(
    model: TextModel,
    collator: Examples,
    samples: int,
    *names: object,
    infer: Infer | None = None,
    dtype: torch.dtype = torch.float32,
    rows: int = ROWS,
    also: Also | None = None,
) -> dict[str, np.ndarray]:
    """Per text of a split: ``nll`` and, for a latent-variable model, its parts.

    A system with a density gives nll (importance sampling with ``samples`` codes), reconstruction (mean of
    -ln P(x|z)), kl_monte_carlo, kl_analytic if known, elbo, effective_samples of its weights, and the columns of
    :func:`of_fewer`. A system without a density gives reconstruction only, which is the nll too where its one code is
    of another text; a language model nll only. ``names`` seed the noise; ``infer`` gives the posteriors, by default the
    model's own; ``rows`` bounds the memory, not the result; ``also`` gives more columns from the same codes.
    """
    model.eval()
    infer = infer or amortised(model)
    columns: dict[str, np.ndarray] = {}
    for index in by_length(collator.lengths, rows, copies=samples if model.encoder is not None else 1):
        batch = collator(index)
        for name, values in _batch_likelihoods(
            model, infer, batch, samples, names, dtype, rows, also
        ).items():
            column = columns.setdefault(name, np.full(len(collator.lengths), np.nan))
            column[index] = values.double().cpu().numpy()
    return columns


def _batch_likelihoods(
    model: TextModel,
    infer: Infer,
    batch: Batch,
    samples: int,
    names: tuple[object, ...],
    dtype: torch.dtype,
    rows: int,
    also: Also | None,
) -> dict[str, Tensor]:
    forward = Forward(model, batch)
    if model.encoder is None:
        return {"nll": conditional_losses(forward, None, dtype).squeeze(1)}
    latent = infer(batch)
    of_itself = model.field_read(batch) == batch.decodes
    if not latent.stochastic:
        losses = conditional_losses(forward, latent.center().unsqueeze(1), dtype).squeeze(1)
        return {"reconstruction": losses} if of_itself else {"nll": losses, "reconstruction": losses}
    codes, log_density = latent.sample(TextSource(batch.index, *names), samples)
    # A long text may not fit with all of its samples at once.
    some = max(1, rows // batch.targets.numel())
    losses = torch.cat([conditional_losses(forward, c, dtype) for c in codes.split(some, dim=1)], dim=1)
    if not latent.has_density:
        return {"reconstruction": losses.mean(1)}
    if log_density is None:  # it is computed only where it is needed
        log_density = latent.log_prob(codes)
    prior = forward.prior
    log_ratio = log_density - prior.log_prob(codes)
    weighed = losses + log_ratio if of_itself else losses
    columns = {
        "nll": math.log(samples) - torch.logsumexp(-weighed, dim=1),
        "reconstruction": losses.mean(1),
        "kl_monte_carlo": log_ratio.mean(1),
        EFFECTIVE: effective_samples(-weighed),
        **of_fewer(-weighed),
    }
    terms = latent.kl_terms(prior)
    exact = None if terms is None else terms.sum(-1)
    if exact is not None:
        columns["kl_analytic"] = exact
    columns["elbo"] = -(columns["reconstruction"] + (columns["kl_monte_carlo"] if exact is None else exact))
    return columns | (also(model, codes, log_density, losses) if also else {})


def of_fewer(log_weights: Tensor) -> dict[str, Tensor]:
    """The NLL with each share of the samples in :data:`FEWER`, at least one: columns (batch,) of ln w (batch, samples).

    It is the mean over all groups of that many samples, hence what so few samples give in expectation.
    """
    found = {}
    for name, share in FEWER.items():
        size = max(1, log_weights.shape[1] // share)
        groups = log_weights[:, : log_weights.shape[1] // size * size].unflatten(1, (-1, size))
        found[f"nll_{name}{OF_FEWER}"] = math.log(size) - torch.logsumexp(groups, dim=2).mean(1)
    return found
