"""What the released vMF sampler makes of likelihoods: numbers from codes that their density does not describe."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bench.corpora.batches import Batch
from bench.metrics.measures import measure
from bench.models.von_mises_fisher import VonMisesFisher

if TYPE_CHECKING:
    from bench.metrics.evaluate import Evaluation
    from bench.models.distributions import Latent


@measure
def likelihoods_as_released(evaluation: Evaluation, latent: Latent) -> None:
    """NLL, perplexity and KL of a system trained with the released sampler, with codes drawn by it too."""
    if evaluation.settings.posterior.options.get("sampler") != "released":
        return

    def infer(batch: Batch) -> Latent:
        exact = evaluation.infer(batch)
        assert isinstance(exact, VonMisesFisher)
        return replace(exact, sampler="released")

    sheet, samples = evaluation.sheet, evaluation.wanted.samples
    columns = evaluation.likelihoods(infer)
    for metric, estimator, column in (
        ("nll", "importance-sampling", "nll"),
        ("kl", "monte-carlo", "kl_monte_carlo"),
    ):
        sheet.columns[f"{column}_released_sampler"] = columns[column]
        sheet.add_mean(metric, f"{estimator}-released-sampler", f"{column}_released_sampler", samples)
    sheet.add_perplexity("importance-sampling-released-sampler", "nll_released_sampler", samples)
