"""The training objective of a composed system: reconstruction, regulariser, coupling.

L = L_rec + weight * L_reg + lambda_r * L_rec^c + lambda_m * L_match (Wu et al. 2020, equation 4), each term
summed over the tokens or dimensions of a text and averaged over the batch; a penalty on the aggregated
posterior comes with a constant weight of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from torch import Tensor

from bench.corpora.batches import Batch
from bench.models.distributions import Latent
from bench.models.model import Branch, TextModel
from bench.models.noise import Noise
from bench.objectives.cross_entropy import weighted_cross_entropy
from bench.objectives.divergences import Regulariser
from bench.objectives.matching import Twin


class Aggregate(Protocol):
    """A penalty on the aggregated posterior of a batch, with its constant weight."""

    weight: float

    def __call__(self, z: Tensor, prior: Tensor) -> Tensor:
        """A scalar, from one code (batch, d) of each text and as many codes of the prior."""
        ...


@dataclass(frozen=True)
class Terms:
    """The terms of the objective for one batch, means over its texts; only ``total`` may have a gradient."""

    total: Tensor
    reconstruction: Tensor
    regulariser: Tensor | None = None
    aggregate: Tensor | None = None
    twin_reconstruction: Tensor | None = None
    matching: Tensor | None = None

    def named(self) -> dict[str, Tensor]:
        """The terms that this system has, by name."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class Objective:
    """What one system minimises; all but the reconstruction are absent where the system has none."""

    regulariser: Regulariser | None
    aggregate: Aggregate | None
    twin: Twin | None

    def __call__(
        self,
        model: TextModel,
        batch: Batch,
        noise: Noise,
        weight: float | Tensor,
        inferred: tuple[Tensor, Latent] | None = None,
    ) -> Terms:
        """Terms of the objective for ``batch`` with the given weight of the regulariser.

        ``inferred``, the encoded texts and their posteriors, stands in for what the model infers from the batch.
        """
        embedded = model.embedding(batch.inputs)
        if model.encoder is None:
            total = reconstruction(model.branch, embedded, None, batch, noise, "decoder")
            return Terms(total, total.detach())
        if inferred is None:
            encoded = model.encode(batch, noise)
            inferred = encoded, model.branch.latent(encoded)
        encoded, latent = inferred
        codes, densities = latent.sample(noise.source("latent", len(batch.lengths)), 1)
        z, log_density = codes.squeeze(1), None if densities is None else densities.squeeze(1)
        signal = model.branch.decoding_signal(z)
        total = rec = reconstruction(model.branch, embedded, signal, batch, noise, "decoder")
        reg = aggregate = rec_twin = match = None
        if self.regulariser is not None:
            reg = self.regulariser(latent, z, log_density, model.prior).mean()
            total = total + weight * reg
        if self.aggregate is not None:
            aggregate = self.aggregate(z, model.prior.sample(len(z), noise.generator("prior")))
            total = total + self.aggregate.weight * aggregate
        if self.twin is not None and model.twin is not None:
            twin_signal = model.twin.decoding_signal(model.twin.latent(encoded).center())
            match = self.twin.match(signal, twin_signal).mean()
            total = total + self.twin.matching_weight * match
            rec_twin = reconstruction(model.twin, embedded, twin_signal, batch, noise, "twin decoder")
            total = total + self.twin.reconstruction_weight * rec_twin
        rest = (_detached(term) for term in (reg, aggregate, rec_twin, match))
        return Terms(total, rec.detach(), *rest)

    def backward(
        self, model: TextModel, batch: Batch, noise: Noise, weight: float | Tensor, parts: int = 1
    ) -> Terms:
        """Add the gradients of the objective for ``batch`` to those of the parameters; returns its terms.

        With more ``parts`` than one, sub-batches are taken one after another and need less memory at once. Each
        text has the same noise as in the whole batch, so the gradient is the same, up to rounding, where the
        objective is a mean over texts: where :func:`looks_across` finds nothing. ``noise`` must be fresh.
        """
        if parts == 1:
            terms = self(model, batch, noise, weight)
            terms.total.backward()
            return replace(terms, total=terms.total.detach())
        texts, sums = len(batch.lengths), dict[str, Tensor]()
        size = -(-texts // parts)
        for first in range(0, texts, size):
            rows = slice(first, min(first + size, texts))
            share = (rows.stop - rows.start) / texts
            terms = self(model, batch.part(rows), noise.part(rows, texts), weight)
            (share * terms.total).backward()
            for name, value in terms.named().items():
                sums[name] = sums.get(name, 0.0) + share * value.detach()
        return Terms(**sums)


def parts_of(model: TextModel, objective: Objective, procedure: object) -> list[object]:
    """All parts that take part in a step; some say by attributes what they do to the texts or to the device."""
    return [procedure, objective.regulariser, objective.aggregate, objective.twin, *model.modules()]


def looks_across(model: TextModel, objective: Objective, procedure: object) -> list[str]:
    """What makes a step depend on the texts of a batch together, and not on each by itself.

    Parts say it themselves, by an attribute ``across_texts``; a test finds those that should and do not.
    """
    found = ["a penalty on the aggregated posterior"] if objective.aggregate is not None else []
    found += [getattr(part, "across_texts", "") for part in parts_of(model, objective, procedure)]
    return [reason for reason in dict.fromkeys(found) if reason]


def _detached(term: Tensor | None) -> Tensor | None:
    return None if term is None else term.detach()


def reconstruction(
    branch: Branch,
    embedded: Tensor,
    signal: Tensor | None,
    batch: Batch,
    noise: Noise | None,
    stream: str,
) -> Tensor:
    """Cross-entropy summed over the real tokens (eos included), averaged over the batch, in nats per text."""
    features = branch.decoder(embedded, signal, batch.real, noise, stream)
    rows = features.flatten(0, 1).index_select(0, batch.places)
    targets = batch.targets.flatten().index_select(0, batch.places)
    weights = batch.real.flatten().index_select(0, batch.places) / len(batch.lengths)
    output = branch.output
    return weighted_cross_entropy(rows, output.weight, output.bias, targets, weights)[0]
