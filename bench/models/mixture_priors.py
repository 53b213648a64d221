"""Learned priors that are mixtures of Gaussians: of free components, or of posteriors of pseudo-inputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from bench.base.registry import part
from bench.models.distributions import DiagonalGaussian, Latent
from bench.models.noise import BatchSource
from bench.models.precision import in_float32
from bench.models.priors import normal


class Mixture(nn.Module, ABC):
    """Base of priors sum_k w_k N(z; m_k, diag s_k^2). No closed form of a KL to one is known."""

    begins_as_it_says = True  # components that begin at the same place stay the same

    @abstractmethod
    def parts(self) -> tuple[DiagonalGaussian, Tensor]:
        """The K components, and the logarithms (K,) of their weights up to a constant."""

    def log_prob(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """ln sum_k w_k N(z; m_k, s_k^2) in nats (...) of codes (..., d)."""
        with in_float32(z):
            components, logits = self.parts()
            each = components.map(lambda value: value.to(z)).cross_log_prob(z.reshape(-1, z.shape[-1]))
            return torch.logsumexp(each + logits.to(z).log_softmax(0), dim=-1).view(z.shape[:-1])

    def sample(self, count: int, generator: torch.Generator, condition: Tensor | None = None) -> Tensor:
        """Codes (count, d), each of a component that is drawn by the weights."""
        components, logits = self.parts()
        uniform = torch.empty(count, len(logits), device=generator.device).uniform_(generator=generator)
        # The largest of logits with Gumbel noise has the distribution of the weights.
        chosen = (logits - (-uniform.to(logits).clamp_min(1e-30).log()).log()).argmax(-1)
        noise = normal(count, generator, components.mean)
        return components.mean[chosen] + components.log_std[chosen].exp() * noise


@part("prior", "mixture-of-gaussians")
class MixtureOfGaussians(Mixture):
    """A learned mixture of Gaussians, sum_k w_k N(z; m_k, diag s_k^2).

    It begins with m_k drawn from N(0, I), s_k = 1 and equal weights, which stay equal unless they are ``weighted``:
    that is a VampPrior whose pseudo-inputs are parameters of Gaussians instead of texts.
    """

    logits: Tensor

    def __init__(
        self, latent: int, *, components: Annotated[int, Field(ge=1)] = 50, weighted: bool = True
    ) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.empty(components, latent))
        self.log_std = nn.Parameter(torch.empty(components, latent))
        if weighted:
            self.logits = nn.Parameter(torch.empty(components))
        else:
            self.register_buffer("logits", torch.zeros(components), persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """m_k ~ N(0, I), s_k = 1, equal weights."""
        nn.init.normal_(self.mean)
        nn.init.zeros_(self.log_std)
        nn.init.zeros_(self.logits)

    def parts(self) -> tuple[DiagonalGaussian, Tensor]:
        """The K components, and the logarithms (K,) of their weights up to a constant."""
        return DiagonalGaussian(self.mean, self.log_std), self.logits


@part("prior", "vamp", needs={"gaussian": "its components are posteriors, of which codes are drawn"})
class VampPrior(Mixture):
    """The mean of the posteriors of K learned pseudo-inputs, (1/K) sum_k q(z | u_k) (Tomczak & Welling 2018).

    A pseudo-input is a text of so many words (``length``) that are no words: points u_k (length, E) in the space of
    the embeddings, which the encoder reads without dropout. They begin as numbers from N(0, ``deviation``^2).
    """

    def __init__(
        self,
        embedding: int,
        encoder: Any,
        posterior: Any,
        *,
        components: Annotated[int, Field(ge=1)] = 50,
        length: Annotated[int, Field(ge=1)] = 20,
        deviation: Annotated[float, Field(gt=0)] = 0.1,
    ) -> None:
        super().__init__()
        self.deviation = deviation
        self.pseudo_inputs = nn.Parameter(torch.empty(length, components, embedding))
        self._networks = (
            encoder,
            posterior,
        )  # in a tuple: they are modules of the model and none of the prior
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Each number from N(0, ``deviation``^2)."""
        nn.init.normal_(self.pseudo_inputs, std=self.deviation)

    def parts(self) -> tuple[DiagonalGaussian, Tensor]:
        """The posteriors of the K pseudo-inputs, and as many zeros."""
        encoder, posterior = self._networks
        length, count, _ = self.pseudo_inputs.shape
        lengths = torch.full((count,), length, device=self.pseudo_inputs.device)
        with in_float32(self.pseudo_inputs):
            components = posterior(encoder(self.pseudo_inputs, lengths, None).float())
        return components, self.pseudo_inputs.new_zeros(count)


@part(
    "prior",
    "wrapped-vamp",
    needs={"density": "its density is the mean of those of posteriors"},
    space="poincare-ball",
)
class WrappedVampPrior(VampPrior):
    """The VampPrior of posteriors on the Poincare ball (Dai et al. 2021, equation 12)."""

    def sample(self, count: int, generator: torch.Generator, condition: Tensor | None = None) -> Tensor:
        """Codes (count, d), each of a posterior that is drawn with equal weights; reparameterised."""
        components, logits = self.parts()
        chosen = torch.randint(len(logits), (count,), generator=generator, device=generator.device)
        chosen = chosen.to(logits.device)
        some: Latent = components.map(lambda value: value.index_select(0, chosen))
        codes: Tensor = some.sample(BatchSource(generator, count, device=logits.device), 1)[0]
        return codes.squeeze(1)
