"""Reconstruction: the cross-entropy of the texts, given their codes."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from bench.base.registry import part
from bench.models.forward import Forward
from bench.models.model import TWIN


@part("term", "reconstruction")
class Reconstruction:
    """-ln P(x|z) at one code of each text, summed over its tokens; of a language model, -ln P(x).

    What is minimised is the ``mean`` over the texts of a batch; over all of its ``tokens``; or over the texts of the
    mean over the tokens of each. Beside the last two, which are in nats per token, the weight of another term has
    another meaning than beside the first (Bahuleyan et al. 2019, released code: their autoencoders and Wasserstein
    autoencoders have the second, their VAE the third). All three are logged in nats per text.
    """

    def __init__(self, *, mean: Literal["texts", "tokens", "tokens-of-texts"] = "texts") -> None:
        self.mean = mean
        self.across_texts = "a mean over the tokens of a batch" if mean == "tokens" else ""

    def __call__(self, forward: Forward) -> Tensor:
        """The mean over the batch (), in nats per text or per token."""
        return self.with_log(forward)[0]

    def with_log(self, forward: Forward) -> tuple[Tensor, Tensor]:
        """What is minimised (), and the mean over the batch in nats per text (), which has no gradient."""
        if self.mean == "texts":
            loss = forward.main.cross_entropy(forward.texts)
            return loss, loss.detach()
        real = forward.batch.real
        tokens = real.sum() if self.mean == "tokens" else real.sum(0) * forward.texts
        return forward.main.weighted_cross_entropy(real / tokens)


@part("term", "twin_reconstruction", needs={"twin": "it is the reconstruction of the twin"})
class TwinReconstruction:
    """-ln P_c(x|z_c) of the deterministic twin (Wu et al. 2020, equation 4)."""

    def __call__(self, forward: Forward) -> Tensor:
        """The mean over the batch (), in nats per text."""
        return forward[TWIN].cross_entropy(forward.texts)
