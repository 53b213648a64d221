"""Penalties on the aggregated posterior: how far the codes of a batch are from those of the prior."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from bench.base.registry import part
from bench.models.forward import Forward
from bench.objectives.matching import rational_quadratic


@part("term", "mmd", needs={"prior": "it is the distance of the codes from it"})
class MMD:
    """The squared maximum mean discrepancy between codes and prior, estimated without bias.

    Gretton et al. 2012, lemma 6, with the inverse multiquadric kernel sum_s sC / (sC + |x - y|^2) of Tolstikhin
    et al. 2018 at the seven scales of Wu et al. 2020, whose released code has C = 2d = 64. With ``per_dimension``
    C is that many times d instead: 2 in the released code of Tolstikhin et al., 4 in that of Bahuleyan et al. 2019. The
    ``gaussian`` kernel is exp(-``bandwidth`` |x - y|^2). An estimate can be negative, but for one that is ``biased``:
    then pairs of a code with itself count within (equation 5). ``cross`` is the factor of the term between codes and
    prior: with 1, as Bahuleyan et al. 2019 print it (equation 3), it is no distance.
    """

    across_texts = "a penalty on the aggregated posterior"

    def __init__(
        self,
        *,
        constant: Annotated[float, Field(gt=0)] = 64.0,
        per_dimension: Annotated[float, Field(gt=0)] | None = None,
        kernel: Literal["inverse-multiquadric", "gaussian"] = "inverse-multiquadric",
        bandwidth: Annotated[float, Field(gt=0)] = 1.0,
        biased: bool = False,
        cross: Annotated[float, Field(gt=0)] = 2.0,
    ) -> None:
        self.constant, self.per_dimension = constant, per_dimension
        self.kernel, self.bandwidth, self.biased, self.cross = kernel, bandwidth, biased, cross

    def __call__(self, forward: Forward) -> Tensor:
        """One value () of the batch, from one code of each text and as many codes of the prior."""
        return self.between(forward.main.z, forward.prior_codes)

    def between(self, z: Tensor, prior: Tensor) -> Tensor:
        """The estimate () from codes (batch, d) of texts and as many of the prior.

        E k(z, z') over different texts has no estimate from one text, and the cross term alone would only
        pull its code to the drawn one: a batch of one text gives 0, without a gradient.
        """
        if len(z) < 2:
            return z.new_zeros(())
        return self._within(z) + self._within(prior) - self.cross * self._kernel(z, prior).mean()

    def _kernel(self, x: Tensor, y: Tensor) -> Tensor:
        """k(x_i, y_j) (n, m) of codes (n, d) and (m, d)."""
        squared = (x.unsqueeze(1) - y).square().sum(-1)
        if self.kernel == "gaussian":
            return torch.exp(-self.bandwidth * squared)
        size = x.shape[-1]
        constant = self.constant if self.per_dimension is None else self.per_dimension * size
        return -rational_quadratic(squared, constant)

    def _within(self, x: Tensor) -> Tensor:
        """The mean of k(x_i, x_j) over the pairs i != j, or over all where it is ``biased``."""
        kernel = self._kernel(x, x)
        if self.biased:
            return kernel.mean()
        return (kernel.sum() - kernel.diagonal().sum()) / (len(x) * (len(x) - 1))
