"""Gradients with respect to the encoded text e: what each loss tells the encoder (Wu et al. 2020, section 3).

The paper writes norms; its released code averages squared norms, in training mode. Both are computed.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from bench.corpora.batches import Batch, Collator
from bench.models.forward import Forward
from bench.models.model import TWIN, TextModel
from bench.models.noise import Noise
from bench.models.precision import in_float32
from bench.objectives.objective import KL, Objective

NAMES = (
    "grad_norm_rec",
    "grad_norm_rec_coupled",
    "grad_norm_rec_total",
    "grad_norm_reg",
    "signal_sensitivity",
)


def gradient_norms(
    model: TextModel,
    objective: Objective,
    collator: Collator,
    texts: np.ndarray,
    batch: int,
    *names: object,
    training_mode: bool,
) -> dict[str, np.ndarray]:
    """Per text of ``texts``, the L2 norm of each gradient with respect to e that the system has.

    ``grad_norm_rec``, ``_rec_coupled`` and ``_rec_total``: of the token-summed reconstruction, that of the
    twin, and their sum; ``grad_norm_reg``: of the term ``kl``, unweighted; ``signal_sensitivity``:
    ||dh/de||_F / ||h||_2 with the sampled noise held fixed. ``training_mode`` switches dropout on; a code is
    sampled in both modes. The noise depends on ``names`` and on the batches that ``batch`` cuts.
    """
    parts: dict[str, list[np.ndarray]] = {}
    order = texts[np.argsort(collator.lengths[texts], kind="stable")]
    device = model.embedding.weight.device
    for start in range(0, len(order), batch):
        noise = Noise(*names, start, device=device)
        found = _batch_norms(model, objective, collator(order[start : start + batch]), noise, training_mode)
        for name, values in found.items():
            parts.setdefault(name, []).append(values.double().cpu().numpy())
    back = np.argsort(np.argsort(collator.lengths[texts], kind="stable"), kind="stable")
    return {name: np.concatenate(values)[back] for name, values in parts.items()}


def _batch_norms(
    model: TextModel, objective: Objective, batch: Batch, noise: Noise, training_mode: bool
) -> dict[str, Tensor]:
    dropout = noise if training_mode else None
    with torch.no_grad():
        known = Forward(model, batch, dropout)
        encoded, embedded, condition = known.encoded, known.embedded, known.condition
    encoded = encoded.requires_grad_()
    source = noise.source("latent", len(encoded))
    forward = Forward(
        model, batch, dropout, source=source, embedded=embedded, encoded=encoded, condition=condition
    )
    rec = _gradient(forward.main.cross_entropy(1), encoded)
    signal = forward.main.signal
    assert signal is not None
    norms = {"grad_norm_rec": rec.norm(dim=1), "signal_sensitivity": _sensitivity(signal, encoded)}
    if KL in objective.terms:
        divergence = _gradient(objective.terms[KL](forward).sum(), encoded)
        norms["grad_norm_reg"] = divergence.norm(dim=1)
    if TWIN in model.branches:
        twin = _gradient(forward[TWIN].cross_entropy(1), encoded)
        norms["grad_norm_rec_coupled"] = twin.norm(dim=1)
        norms["grad_norm_rec_total"] = (rec + twin).norm(dim=1)
    return norms


def _gradient(loss: Tensor, encoded: Tensor) -> Tensor:
    """d loss / d e (batch, features); texts do not mix, so each row is the gradient of its own text."""
    if not loss.requires_grad:  # a constant, as the KL of a fixed concentration is
        return torch.zeros_like(encoded)
    with in_float32(encoded):
        return torch.autograd.grad(loss, encoded, retain_graph=True)[0]


def _sensitivity(signal: Tensor, encoded: Tensor) -> Tensor:
    """||dh/de||_F / ||h||_2 per text (batch,)."""
    size = signal.shape[1]
    directions = torch.eye(size, device=signal.device)[:, None].expand(-1, len(signal), -1)
    with in_float32(encoded):
        rows = torch.autograd.grad(signal, encoded, directions, retain_graph=True, is_grads_batched=True)[0]
    sensitivity: Tensor = rows.square().sum((0, 2)).sqrt() / signal.detach().norm(dim=1)
    return sensitivity
