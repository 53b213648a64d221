"""The training objective of a composed system: reconstruction, regulariser, coupling.

L = L_rec + weight * L_reg + lambda_r * L_rec^c + lambda_m * L_match (Wu et al. 2020, equation 4), each term
summed over the tokens or dimensions of a text and averaged over the batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.corpora.batches import Batch
from bench.models.distributions import Latent, draw
from bench.models.model import Branch, TextModel
from bench.models.noise import Noise
from bench.objectives.cross_entropy import weighted_cross_entropy
from bench.objectives.divergences import KL
from bench.objectives.matching import Twin


@dataclass(frozen=True)
class Terms:
    """The terms of the objective for one batch: ``total`` has a gradient, the others are batch means."""

    total: Tensor
    reconstruction: Tensor
    regulariser: Tensor | None = None
    twin_reconstruction: Tensor | None = None
    matching: Tensor | None = None

    def named(self) -> dict[str, Tensor]:
        """The terms that this system has, by name."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class Objective:
    """What one system minimises; ``regulariser`` and ``twin`` are absent where the system has none."""

    regulariser: KL | None
    twin: Twin | None

    def __call__(self, model: TextModel, batch: Batch, noise: Noise | None, weight: float) -> Terms:
        """Terms of the objective for ``batch`` with the given weight of the regulariser."""
        real = batch.real
        embedded = model.embedding(batch.inputs)
        if model.encoder is None:
            total = reconstruction(model.branch, embedded, None, batch, real, noise, "decoder")
            return Terms(total, total.detach())
        encoded = model.encode(batch, noise)
        latent = model.branch.latent(encoded)
        z = _code(latent, noise)
        signal = model.branch.decoding_signal(z)
        total = rec = reconstruction(model.branch, embedded, signal, batch, real, noise, "decoder")
        reg = rec_twin = match = None
        if self.regulariser is not None:
            reg = self.regulariser(latent, z, model.prior).mean()
            total = total + weight * reg
        if self.twin is not None and model.twin is not None:
            twin_signal = model.twin.decoding_signal(model.twin.latent(encoded).center())
            match = self.twin.match(signal, twin_signal).mean()
            total = total + self.twin.matching_weight * match
            rec_twin = reconstruction(model.twin, embedded, twin_signal, batch, real, noise, "twin decoder")
            total = total + self.twin.reconstruction_weight * rec_twin
        return Terms(total, rec.detach(), _detached(reg), _detached(rec_twin), _detached(match))


def _detached(term: Tensor | None) -> Tensor | None:
    return None if term is None else term.detach()


def _code(latent: Latent, noise: Noise | None) -> Tensor:
    """One code (batch, d): sampled in training, the centre otherwise."""
    return latent.center() if noise is None else draw(latent, noise).squeeze(1)


def reconstruction(
    branch: Branch,
    embedded: Tensor,
    signal: Tensor | None,
    batch: Batch,
    real: Tensor,
    noise: Noise | None,
    stream: str,
) -> Tensor:
    """Cross-entropy summed over the real tokens (eos included), averaged over the batch, in nats per text."""
    features = branch.decoder(embedded, signal, noise, stream)
    rows = features[real]
    weights = torch.full((len(rows),), 1 / len(batch.lengths), device=rows.device)
    output = branch.output
    return weighted_cross_entropy(rows, output.weight, output.bias, batch.targets[real], weights)[0]
