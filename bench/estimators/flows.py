"""Likelihoods where flows F stand between the code and the decoder, with the prior on either side of them.

With the prior on the code z itself, F is a part of the decoder: P(x) = E_{z ~ p} P(x|F(z)), and no determinant
occurs. That is what :mod:`bench.estimators.likelihood` measures. With the prior on F(z), F is a part of the posterior:
q(F(z)|x) = q(z|x) / |det dF/dz|, and texts are drawn by decoding codes of the prior as they are (Rezende & Mohamed
2015, equation 15). The two are different models with the same weights. All values are in nats per text.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from bench.corpora.batches import Collator, by_length
from bench.estimators.likelihood import ROWS, Infer, conditional_losses
from bench.models.distributions import DiagonalGaussian, Latent
from bench.models.flows import PlanarFlowSignal
from bench.models.forward import Forward
from bench.models.model import TextModel
from bench.models.von_mises_fisher import VonMisesFisher

OF_FLOW = "_after_flow"  # the end of the names of columns with the prior after the flows


def flow_of(model: TextModel) -> PlanarFlowSignal | None:
    """The flows between the code and the decoder, if there are any."""
    signal = model.branch.signal
    return signal if isinstance(signal, PlanarFlowSignal) else None


def importance_weights(model: TextModel, codes: Tensor, log_density: Tensor) -> dict[str, Tensor]:
    """For codes (batch, samples, d) with ln q(z|x) (batch, samples), what the prior after the flows gives.

    Each (batch, samples): ``log_ratio`` = ln q(F(z)|x) - ln p(F(z)), ``prior`` = -ln p(F(z)), ``log_determinant``.
    Raises TypeError for a model without flows.
    """
    flow = flow_of(model)
    if flow is None:
        raise TypeError("no flows stand between the code and the decoder")
    path, log_determinant = flow.path(codes)
    prior = -model.prior.log_prob(path[-1])
    ratio = log_density - log_determinant + prior
    return {"log_ratio": ratio, "prior": prior, "log_determinant": log_determinant}


def after_flow(model: TextModel, codes: Tensor, log_density: Tensor, losses: Tensor) -> dict[str, Tensor]:
    """Columns (batch,) from codes (batch, samples, d) with ``losses`` -ln P(x|F(z)) (batch, samples)."""
    found = importance_weights(model, codes, log_density)
    ratio = found.pop("log_ratio")
    columns = {
        "nll": math.log(codes.shape[1]) - torch.logsumexp(-losses - ratio, dim=1),
        "kl": ratio.mean(1),
        "elbo": -(losses + ratio).mean(1),
    }
    columns |= {name: value.mean(1) for name, value in found.items()}
    return {name + OF_FLOW: value for name, value in columns.items()}


@torch.no_grad()
def at_the_mean(
    model: TextModel, collator: Collator, infer: Infer, rows: int = ROWS
) -> dict[str, np.ndarray]:
    """Columns per text of the loss with the mean of the posterior in place of its samples: not a bound of anything.

    ``nll_at_mean`` is the reconstruction at the mean m plus the KL in closed form; with flows it is -ln P(x|F(m)) - ln
    p(F(m)) - ln |det dF/dz|(m) less the entropy of q(z|x) (Wang & Wang 2019, section 5.3 and released code).
    """
    columns: dict[str, np.ndarray] = {}
    for index in by_length(collator.lengths, rows):
        batch = collator(index)
        forward, latent = Forward(model, batch), infer(batch)
        mean = mean_of(latent)
        rec = conditional_losses(forward, mean.unsqueeze(1)).squeeze(1)
        for name, values in {"reconstruction_at_mean": rec, **_scored(model, latent, mean, rec)}.items():
            column = columns.setdefault(name, np.full(len(collator.lengths), np.nan))
            column[index] = values.double().cpu().numpy()
    return columns


def _scored(model: TextModel, latent: Latent, mean: Tensor, rec: Tensor) -> dict[str, Tensor]:
    """The loss of texts whose reconstruction at their mean (batch, d) is ``rec`` (batch,), and what it is made of."""
    if flow_of(model) is None:
        terms = latent.kl_terms(model.prior)
        return {} if terms is None else {"nll_at_mean": rec + terms.sum(-1)}
    if not isinstance(latent, DiagonalGaussian):
        raise TypeError("only the entropy of a Gaussian is known here")
    found = importance_weights(model, mean.unsqueeze(1), -entropy(latent).unsqueeze(1))
    scored = {f"{name}_at_mean": value.squeeze(1) for name, value in found.items()}
    return scored | {"nll_at_mean": rec + scored.pop("log_ratio_at_mean")}


def mean_of(latent: Latent) -> Tensor:
    """E z (batch, d): of a distribution on a sphere it lies inside."""
    return latent.expectation() if isinstance(latent, VonMisesFisher) else latent.center()


def entropy(latent: DiagonalGaussian) -> Tensor:
    """-E ln q(z|x) (batch,)."""
    return (latent.log_std + 0.5 * (1 + math.log(2 * math.pi))).sum(-1)
