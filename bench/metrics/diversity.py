"""Texts decoded from the prior, and how diverse they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from bench.base.seeds import derive_seed
from bench.metrics.decoding import greedy
from bench.metrics.measures import measure
from bench.metrics.ngrams import distinct

if TYPE_CHECKING:
    from bench.metrics.evaluate import Evaluation
    from bench.models.distributions import Latent


@measure
def prior_samples(evaluation: Evaluation, latent: Latent) -> None:
    """Greedy texts of codes of the prior, of which some are kept to be shown; none for a deterministic code."""
    if evaluation.model.prior is None:
        return
    wanted = evaluation.wanted
    generator = torch.Generator().manual_seed(derive_seed(*evaluation.noise("prior")))
    codes = evaluation.model.prior.sample(wanted.prior_samples, generator).to(evaluation.device)
    samples = evaluation.words(greedy(evaluation.model, codes, wanted.longest))
    for n in (1, 2):
        evaluation.sheet.add(f"dist{n}", "prior-samples", distinct(samples, n), texts=len(samples))
    evaluation.shown["samples"] = [" ".join(words) for words in samples[: wanted.examples]]
