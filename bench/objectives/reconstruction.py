"""Reconstruction: the cross-entropy of the texts, given their codes."""

from __future__ import annotations

from torch import Tensor

from bench.base.registry import part
from bench.models.forward import Forward
from bench.models.model import TWIN


@part("term", "reconstruction")
class Reconstruction:
    """-ln P(x|z) at one code of each text, summed over its tokens; of a language model, -ln P(x)."""

    def __call__(self, forward: Forward) -> Tensor:
        """The mean over the batch (), in nats per text."""
        return forward.main.cross_entropy(forward.texts)


@part("term", "twin_reconstruction", needs={"twin": "it is the reconstruction of the twin"})
class TwinReconstruction:
    """-ln P_c(x|z_c) of the deterministic twin (Wu et al. 2020, equation 4)."""

    def __call__(self, forward: Forward) -> Tensor:
        """The mean over the batch (), in nats per text."""
        return forward[TWIN].cross_entropy(forward.texts)
