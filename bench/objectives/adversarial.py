"""An adversary of codes: a critic that tells codes of texts from codes of the prior, and a term that deceives it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import softplus

from bench.base.errors import BenchError
from bench.base.registry import part
from bench.models.forward import Forward
from bench.models.precision import in_float32
from bench.objectives.contracts import Term


@part(
    "term",
    "discrimination",
    needs={"prior": "it tells codes of texts from codes of the prior"},
    gives=("critic",),
)
class Discrimination(nn.Module):
    """The loss of a critic D of codes: -ln D(z~) - ln(1 - D(z)), for z~ of the prior and z of a text.

    D is the sigmoid of a network with ``layers`` rectified layers of ``hidden`` units (Tolstikhin et al. 2018,
    algorithm 1 and its released code). The codes get no gradient: only the critic learns from this term.
    """

    def __init__(
        self,
        latent: int,
        *,
        hidden: Annotated[int, Field(ge=1)] = 512,
        layers: Annotated[int, Field(ge=1)] = 4,
    ) -> None:
        super().__init__()
        maps = [(nn.Linear(*sizes), nn.ReLU()) for sizes in pairwise([latent, *[hidden] * layers])]
        self.network = nn.Sequential(*(module for pair in maps for module in pair), nn.Linear(hidden, 1))

    def __call__(self, forward: Forward) -> Tensor:
        """Per text (batch,), in nats."""
        z = forward.main.z.detach()
        with in_float32(z):
            prior, texts = self.network(forward.prior_codes), self.network(z)
        loss: Tensor = softplus(-prior) + softplus(texts)
        return loss.squeeze(-1)

    def judged(self, z: Tensor) -> Tensor:
        """The logit of D (batch,) for codes (batch, d); its gradient is that of the codes, and none of the critic."""
        fixed = {name: parameter.detach() for name, parameter in self.network.named_parameters()}
        with in_float32(z):
            logits: Tensor = functional_call(self.network, fixed, (z,))
        return logits.squeeze(-1)


@part("term", "adversarial", needs={"critic": "the codes of texts are to deceive it"})
class Adversarial:
    """-ln D(z): how far the codes of texts are from deceiving a ``critic``, a term of the same objective.

    The form that does not saturate, of the released code of Tolstikhin et al. 2018, in place of ln(1 - D(z)). The
    critic learns nothing from this term.
    """

    def __init__(
        self,
        others: Mapping[str, Term],
        *,
        critic: Annotated[str, Field(json_schema_extra={"names": "terms"})] = "discrimination",
    ) -> None:
        self.others, self.critic = others, critic

    def __call__(self, forward: Forward) -> Tensor:
        """Per text (batch,), in nats."""
        critic = self.others[self.critic]
        if not isinstance(critic, Discrimination):
            raise BenchError(
                f"term {self.critic!r} is no critic", where="term adversarial", allowed=["discrimination"]
            )
        return softplus(-critic.judged(forward.main.z))
