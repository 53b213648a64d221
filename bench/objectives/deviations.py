"""Standard deviations of a Gaussian posterior and what a loss does to them, logged over training: terms of weight 0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from bench.base.registry import part
from bench.models.forward import Forward
from bench.models.precision import in_float32
from bench.objectives.contracts import Term
from bench.objectives.divergences import gaussian


@part("term", "deviation", needs={"gaussian": "it is that of its posteriors"})
class Deviation:
    """The standard deviation s of the posterior, averaged over dimensions; it has no gradient."""

    def __call__(self, forward: Forward) -> Tensor:
        """Per text (batch,)."""
        return gaussian(forward).log_std.detach().exp().mean(-1)


@part(
    "term",
    "deviation_gradient",
    version=2,  # it sees the codes of the prior that the term sees
    needs={"gaussian": "it is with respect to their standard deviations"},
)
class DeviationGradient:
    """The gradient dJ/ds = dJ/dz e of another term J at a code z = m + s e, averaged over dimensions.

    It is an estimate of the expectation over e in appendix A of Bahuleyan et al. 2019, by which that gradient is k s
    (equation 15), k the curvature of J. It has no gradient itself. Stated after J in an objective, it changes no
    random number of it.
    """

    across_texts = "the gradient of a term that may look across texts"

    def __init__(
        self,
        others: Mapping[str, Term],
        *,
        of: Annotated[str, Field(json_schema_extra={"names": "terms"})] = "reconstruction",
    ) -> None:
        self.others, self.of = others, of

    def __call__(self, forward: Forward) -> Tensor:
        """Per text (batch,): J is a mean over the batch, so the gradient is taken times the number of texts."""
        latent, z = gaussian(forward), forward.main.z
        value = self.others[self.of](forward)
        value = value.mean() if value.dim() else value
        if not value.requires_grad:  # a penalty of one text alone has no gradient
            return z.new_zeros(len(z))
        with in_float32(z):
            (gradient,) = torch.autograd.grad(value, z, retain_graph=True)
        standard = (z - latent.mean).detach() / latent.log_std.detach().exp()
        return len(z) * (gradient * standard).mean(-1)
