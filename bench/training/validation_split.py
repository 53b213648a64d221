"""What the validation split says of a run in progress: its losses, its information, its gradients."""

from __future__ import annotations

import math

import numpy as np
import torch

from bench.base.settings import RunSettings
from bench.corpora.batches import Collator
from bench.estimators.gradients import gradient_norms
from bench.estimators.information import within_batches
from bench.estimators.likelihood import posteriors, text_likelihoods
from bench.models.noise import TextSource
from bench.training.composition import Composition

GRADIENT_BATCH = 16  # texts whose gradients are taken at once


class ValidationSplit:
    """The texts on which a run is validated; its numbers depend on its settings and its weights alone."""

    def __init__(
        self, composition: Composition, settings: RunSettings, texts: Collator, dtype: torch.dtype
    ) -> None:
        """``dtype`` is that of the products."""
        self.composition, self.settings, self.texts, self.dtype = composition, settings, texts, dtype

    def losses(self) -> tuple[dict[str, float], str]:
        """Means in nats per text, NaN where the system has none, and the name of the one that is the criterion."""
        model, training = self.composition.model, self.settings.training
        columns = text_likelihoods(
            model,
            self.texts,
            training.validation_samples,
            *self._names("validation"),
            infer=self.composition.procedure.inference(model),
            dtype=self.dtype,
        )
        row = {
            "nll": _mean(columns, "nll"),
            "kl": _mean(columns, "kl_analytic", "kl_monte_carlo"),
            "elbo": _mean(columns, "elbo"),
            "reconstruction": _mean(columns, "reconstruction"),
        }
        by_density = training.criterion == "auto" and "nll" in columns
        return row, "nll" if by_density else "reconstruction"

    @torch.no_grad()
    def information(self, block: int) -> float:
        """The self-included estimate of mutual information, in nats.

        The aggregated posterior is that of ``block`` texts of like length, as in a batch.
        """
        model, device = self.composition.model, self.composition.model.embedding.weight.device
        model.eval()
        index = np.arange(len(self.texts.lengths))
        latent = posteriors(self.composition.procedure.inference(model), self.texts, index)
        source = TextSource(torch.as_tensor(index, device=device), *self._names("information"))
        codes, _ = latent.sample(source, 1)
        lengths = torch.as_tensor(self.texts.lengths, device=device)
        return float(within_batches(latent, codes, lengths, block).mean())

    def gradients(self) -> dict[str, float]:
        """Mean norms in evaluation mode, mean squared norms in training mode, on some of the texts."""
        model, wanted = self.composition.model, self.settings.training.gradient_texts
        if model.encoder is None or wanted == 0:
            return {}
        chosen = np.arange(min(wanted, len(self.texts.lengths)))
        found: dict[str, float] = {}
        for mode, suffix in ((False, ""), (True, "_squared")):
            norms = gradient_norms(
                model,
                self.composition.objective,
                self.texts,
                chosen,
                GRADIENT_BATCH,
                *self._names("dynamics"),
                training_mode=mode,
            )
            power = 2 if mode else 1
            found |= {name + suffix: float(np.mean(values**power)) for name, values in norms.items()}
        return found

    def _names(self, what: str) -> tuple[object, ...]:
        """The names that seed its random numbers."""
        return what, self.settings.corpus, self.settings.seed


def _mean(columns: dict[str, np.ndarray], *names: str) -> float:
    """The mean of the first of these columns that exists, NaN if none does."""
    found = [columns[name] for name in names if name in columns]
    return float(found[0].mean()) if found else math.nan
