"""The multi-sample bound of the likelihood, as a term that is minimised."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from bench.base.registry import part
from bench.models.forward import Forward


@part(
    "term",
    "importance-bound",
    needs={"density": "it compares codes by p(z)/q(z|x)", "prior": "it compares codes by p(z)/q(z|x)"},
)
class ImportanceBound:
    """-ln (1/N) sum_i P(x|z_i) p(z_i)/q(z_i|x) with N ``codes`` z_i of q(z|x) (Burda et al. 2016, equation 8).

    It is a bound of the negative log-likelihood by itself, and is not to be added to another as if both were one. The
    gradient reaches the encoder through the codes and through ln q(z|x), as there.
    """

    across_texts = "several codes of a text, which stand in its batch one after another,"

    def __init__(
        self, *, codes: Annotated[int, Field(ge=1, json_schema_extra={"repeats": "codes"})] = 5
    ) -> None:
        self.codes = codes

    def __call__(self, forward: Forward) -> Tensor:
        """The mean over the texts (), in nats per text."""
        main, copies = forward.main, forward.copies
        if main.log_density is None:
            raise TypeError("a code without a density has no importance weight")
        log_ratio: Tensor = main.log_density - forward.model.prior.log_prob(main.z, forward.condition)
        losses = main.losses()
        with torch.no_grad():
            log_weights = -(losses + log_ratio).view(copies, -1)
            shares = log_weights.softmax(0).flatten()
            bound = (math.log(copies) - log_weights.logsumexp(0)).mean()
        # Its gradient is the mean of the gradients of -ln w_i by the normalised weights w_i (there, equation 14).
        texts = forward.texts // copies
        followed = (
            main.weighted_cross_entropy(forward.batch.real * shares / texts)[0]
            + (shares * log_ratio).sum() / texts
        )
        return followed + (bound - followed).detach()
