"""Terms of flows between the code and the decoder: a divergence, a log-determinant and a kernel (Wang & Wang 2019)."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from bench.base.errors import BenchError
from bench.base.registry import part
from bench.models.flows import PlanarFlowSignal
from bench.models.forward import Forward
from bench.objectives.matching import rational_quadratic


def flow_of(forward: Forward) -> PlanarFlowSignal:
    """The flows of the main branch. Raises TypeError where there are none."""
    signal = forward.main.branch.signal
    if not isinstance(signal, PlanarFlowSignal):
        raise TypeError("no flows stand between the code and the decoder")
    return signal


@part(
    "term",
    "flow-kl",
    needs={
        "density": "it holds ln q(z|x)",
        "prior": "it holds ln p",
        "flow": "it has the prior after the flows",
    },
)
class FlowKL:
    """ln q(z|x) - ln p(F(z)) at the sampled code: the prior stands after the flows F, without their determinant.

    With :class:`LogDeterminant` at the same weight it is the estimate of KL(q(F(z)|x) || p) of Rezende & Mohamed 2015,
    equation 15. The released code of Wang & Wang 2019 gives the two other weights.
    """

    def __call__(self, forward: Forward) -> Tensor:
        """Per text (batch,), in nats."""
        main = forward.main
        if main.log_density is None:
            raise TypeError("a code without a density has no KL")
        after: Tensor = forward.model.prior.log_prob(flow_of(forward)(main.z), forward.condition)
        return main.log_density - after


@part("term", "log_determinant", needs={"flow": "it is that of the flows"})
class LogDeterminant:
    """-ln |det dF/dz| of all flows together, at the sampled code."""

    def __call__(self, forward: Forward) -> Tensor:
        """Per text (batch,), in nats."""
        return -flow_of(forward).path(forward.main.z)[1]


@part("term", "kernel", needs={"flow": "it is taken at the codes before each flow"})
class Kernel:
    """ln(K + ``offset``) of the kernel K between a code and its nearest centre, summed over the flows.

    The code is that before each flow; the centres are those of the flows. The kernel is ``inverse-multiquadric``,
    sum_s sC / (sC + r) at seven scales with C = 2d, in (0, 7], or ``gaussian``, exp(-``bandwidth`` r), in (0, 1], for
    the squared distance r. ``draws``: codes ``towards`` the centres by minus the logarithm, as equation 17 of Wang &
    Wang 2019 has it with the weight alpha of the KL, or ``away`` from them by plus the logarithm. Their released code
    has ``away`` at weight 0.5 with the first kernel, and ``towards`` at weight 1 with the second, an offset of 1 and a
    bandwidth of 0.5 in place of the printed 10. No flow depends on K, so no likelihood may either.
    """

    def __init__(
        self,
        *,
        kernel: Literal["inverse-multiquadric", "gaussian"] = "inverse-multiquadric",
        draws: Literal["towards", "away"] = "towards",
        bandwidth: Annotated[float, Field(gt=0)] = 10.0,
        offset: Annotated[float, Field(ge=0)] = 0.0,
    ) -> None:
        self.kernel, self.bandwidth, self.offset = kernel, bandwidth, offset
        self.sign = -1 if draws == "towards" else 1

    def __call__(self, forward: Forward) -> Tensor:
        """Per text (batch,)."""
        flow = flow_of(forward)
        if not len(flow.centres):
            raise BenchError(
                "the flows have no centres", where="term kernel", remedy="give the signal a number of centres"
            )
        logs = torch.stack([self.log(z, flow.centres) for z in flow.path(forward.main.z)[0][:-1]])
        return self.sign * logs.sum(0)

    def log(self, z: Tensor, centres: Tensor) -> Tensor:
        """ln(K + offset) (batch,) of codes (batch, d) and centres (k, d)."""
        squared = (z.unsqueeze(1) - centres).square().sum(-1).amin(1)
        if self.kernel == "gaussian" and not self.offset:
            return -self.bandwidth * squared  # the kernel itself would underflow
        if self.kernel == "gaussian":
            return (torch.exp(-self.bandwidth * squared) + self.offset).log()
        return (self.offset - rational_quadratic(squared, 2.0 * z.shape[-1])).log()
