"""Semi-amortised inference (Kim et al. 2018)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import torch
from pydantic import Field
from torch import Tensor

from bench.base.errors import BenchError
from bench.base.registry import part
from bench.corpora.batches import Batch
from bench.estimators.likelihood import Infer
from bench.models.distributions import DiagonalGaussian, Latent
from bench.models.forward import Forward
from bench.models.model import TextModel
from bench.models.noise import TextSource
from bench.models.precision import add_gradients, in_float32
from bench.models.second_order import twice_differentiable
from bench.objectives.divergences import KL
from bench.objectives.objective import TOTAL, Objective, Terms
from bench.objectives.reconstruction import Reconstruction
from bench.training.procedures import Standard

if TYPE_CHECKING:
    from bench.training.update import Step, Update


REFINED = ("reconstruction", "kl")  # the terms that the ascents of a posterior minimise
BOUND = Objective(
    {"reconstruction": Reconstruction(), "kl": KL()}
)  # minus the ELBO, when a model is measured


@part("procedure", "semi-amortised", needs={"gaussian": "it refines a mean and a variance"})
class SemiAmortised(Standard):
    """The posterior of each text starts at that of the encoder and is refined by gradient descent.

    Mean and logarithm of the variance x follow v <- momentum * v - g, x <- x + rate * v for ``ascents`` steps,
    where g is the gradient of reconstruction + weight * kl, each step with one code, noise and
    dropout of its own, averaged over the B texts of the run's batches: a step is that of the mean of such a batch,
    and the same for a text in any other. The gradients of the means of a batch and of its log-variances are
    each clipped to the norm ``clip`` (where a batch has n texts, to clip * sqrt(n / B)).

    Training minimises the objective at the refined posteriors. Its gradient goes back through all the steps,
    their clipping included, to the encoder and to the decoder: exactly, by differentiating twice, where the
    released code takes finite differences. The graphs of all steps are held until then.

    When the model is measured each text is refined by as many steps with the weight 1 and no dropout, from
    noise of its own and with a clipping of its own (to clip / sqrt(B)). Bounds and importance weights take
    the refined posterior as a proposal, for which any will do: likelihoods of the model are valid estimates,
    but not comparable in effort with amortised ones.
    """

    across_texts = "the clipping of the ascents of a batch"

    def __init__(
        self,
        batch: int,
        *,
        ascents: Annotated[int, Field(ge=0, json_schema_extra={"repeats": "ascents"})] = 20,
        rate: Annotated[float, Field(gt=0)] = 1.0,
        momentum: Annotated[float, Field(ge=0, lt=1)] = 0.5,
        clip: Annotated[float, Field(gt=0)] = 5.0,
    ) -> None:
        super().__init__(batch)
        self.ascents, self.rate, self.momentum, self.clip = ascents, rate, momentum, clip

    def __call__(self, update: Update, step: Step) -> tuple[Terms, Tensor]:
        """Train on one step: the terms of the objective, and the norm of its gradient before clipping.

        Raises :class:`BenchError` for a posterior that is no diagonal Gaussian.
        """
        with update.products():
            return self._step(update, step)

    def _step(self, update: Update, step: Step) -> tuple[Terms, Tensor]:
        model, objective, stepper = update.model, update.objective, update.stepper
        stepper.set_rate(step.number)
        stepper.zero()
        batch, noise = step.batch, step.noise
        first, refined = Forward(model, batch, noise), objective.only(*REFINED)
        start = _gaussian(first)

        def loss(latent: DiagonalGaussian) -> Tensor:
            return refined(Forward(model, batch, noise, latent=latent), step.weights)[TOTAL]

        with twice_differentiable(start.mean.device):
            latent = self.refine(start, loss, through=True)
        forward = Forward(
            model, batch, noise, encoded=first.encoded, condition=first.condition, latent=latent
        )
        terms = objective(forward, step.weights)
        add_gradients(terms[TOTAL])
        return {**terms, TOTAL: terms[TOTAL].detach()}, stepper.step()

    def inference(self, model: TextModel) -> Infer:
        """The refined posteriors; a text's does not depend on the batch it is in."""

        def infer(batch: Batch) -> Latent:
            start = _gaussian(Forward(model, batch))
            source = TextSource(batch.index, "semi-amortised")

            def loss(latent: DiagonalGaussian) -> Tensor:
                return BOUND(Forward(model, batch, source=source, latent=latent), {})[TOTAL]

            return self.refine(start, loss, through=False)

        return infer

    def refine(
        self, start: DiagonalGaussian, loss: Callable[[DiagonalGaussian], Tensor], *, through: bool
    ) -> DiagonalGaussian:
        """The posteriors after the steps from ``start``; ``loss`` is the mean over their texts, in nats.

        ``through``: as a differentiable function of ``start`` and of what the loss depends on, clipped over
        the batch. Otherwise as numbers, each text clipped by itself.
        """
        count = len(start.mean)
        limit = self.clip * math.sqrt((count if through else 1) / self.batch)
        values = [start.mean, 2 * start.log_std]
        speeds = [torch.zeros_like(value) for value in values]
        for _ in range(self.ascents):
            if not through:
                values = [value.detach().requires_grad_() for value in values]
            with torch.enable_grad():
                mean = loss(DiagonalGaussian(values[0], values[1] / 2)) * (count / self.batch)
                with in_float32(mean):
                    gradients = torch.autograd.grad(mean, values, create_graph=through)
            clipped = [_clipped(gradient, limit, by_row=not through) for gradient in gradients]
            speeds = [self.momentum * v - g for v, g in zip(speeds, clipped, strict=True)]
            values = [x + self.rate * v for x, v in zip(values, speeds, strict=True)]
        refined = DiagonalGaussian(values[0], values[1] / 2)
        return refined if through else refined.map(Tensor.detach)


def _gaussian(forward: Forward) -> DiagonalGaussian:
    """The posteriors that the model's own networks give. Raises :class:`BenchError` if they are no Gaussians."""
    latent = forward.main.latent
    if not isinstance(latent, DiagonalGaussian):
        raise BenchError(
            "semi-amortised inference refines diagonal Gaussian posteriors",
            where="procedure semi-amortised",
            allowed=["posterior gaussian"],
        )
    return latent


def _clipped(gradient: Tensor, limit: float, *, by_row: bool) -> Tensor:
    """``gradient`` (batch, d) scaled to at most the norm ``limit``, as a whole or row by row."""
    norm: Tensor = torch.linalg.vector_norm(gradient, dim=-1 if by_row else None, keepdim=True)
    return gradient * (limit / (norm + 1e-6)).clamp(max=1.0)
