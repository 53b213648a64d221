"""Free bits: the KL is not minimised below a target, so that the posterior keeps some information."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from bench.base.registry import part
from bench.models.forward import Forward
from bench.objectives.divergences import kl_terms


@part("term", "free-bits", needs={"density": "it is a form of the KL", "prior": "it is the distance from it"})
class FreeBits:
    """The KL with a floor of ``target`` nats per text, below which it has no gradient.

    ``form`` is what the floor is put on:

    - ``dimension``: sum_i max(KL_i, target/d) of each text, for the d dimensions of the code (the free bits of
      Kingma et al. 2016 without their average over the batch; FB of Li et al. 2019);
    - ``text``: max(KL, target) of each text;
    - ``batch``: max(KL, target) with KL the mean over the batch, the same value for every text.

    Where the KL has no closed form, its estimate from the sampled code is the only term of a text, and
    ``dimension`` is the same as ``text``. The floor then holds for each estimate, which can be negative, and
    raises their mean even where the KL itself is above the target; at target 0 it is not the plain KL.
    """

    def __init__(
        self,
        *,
        target: Annotated[float, Field(ge=0)] = 6.0,
        form: Literal["dimension", "text", "batch"] = "dimension",
    ) -> None:
        self.target, self.form = target, form
        self.across_texts = "a floor on the mean KL of a batch" if form == "batch" else ""

    def __call__(self, forward: Forward) -> Tensor:
        """Per text (batch,)."""
        terms = kl_terms(forward)
        if self.form == "dimension":
            return terms.clamp_min(self.target / terms.shape[-1]).sum(-1)
        kl = terms.sum(-1)
        if self.form == "text":
            return kl.clamp_min(self.target)
        return kl.mean().clamp_min(self.target).expand_as(kl)
