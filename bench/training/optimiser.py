"""Gradient steps with clipping of the global norm, and the embedding updated once a step or once for each owner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from bench.base.settings import Optimiser
from bench.models import packing
from bench.models.model import TextModel

Side = Literal["all", "inference", "generation"]


def owners(model: TextModel) -> int:
    """How many modules of the released code hold the embedding: encoder, decoder and twin decoder."""
    return 1 + (model.encoder is not None) + (model.twin is not None)


def inference_side(model: TextModel) -> list[nn.Parameter]:
    """The parameters of q(z|x): those of the encoder and of the posterior network of the stochastic branch.

    All others are of the generation side: the embedding, which encoder and decoder share, and the whole twin.
    """
    modules = [module for module in (model.encoder, model.branch.posterior) if module is not None]
    return [parameter for module in modules for parameter in module.parameters()]


def _repeats(model: TextModel, settings: Optimiser) -> int:
    """How often the embedding is updated in a step."""
    updates = settings.embedding_updates
    if updates == "as-released":
        return owners(model)
    return 1 if updates == "deduplicated" else updates


class Stepper:
    """One optimiser step at a time, with the learning rate of the schedule.

    With ``embedding_updates: as-released`` the embedding is listed once per owner, as in the released code of
    Wu et al. 2020 (with a number: that often): it counts that often in the norm, is scaled that often when
    clipped, and the optimiser updates it that often, Adam advancing its own step count each time. ``decays``
    is how often the rate has decayed on plateaus.
    """

    def __init__(self, model: TextModel, settings: Optimiser) -> None:
        self.settings, self.decays = settings, 0
        # A device reads the rate, and Adam's count of steps, from tensors of its own: a recorded step can too.
        self.device = model.embedding.weight.device
        self.on_device = self.device.type not in packing.ANSWERING
        self.repeats = _repeats(model, settings)
        self.embedding = model.embedding.weight
        # To see that nothing is to be clipped saves the CPU a pass over all gradients; a device is waited for.
        self.looks = not self.on_device
        self.others = [p for p in model.parameters() if p is not self.embedding]
        self.optimisers = [self._optimiser([self.embedding]), self._optimiser(self.others)]
        inference = {id(p) for p in inference_side(model)}
        self.waiting: dict[Side, list[nn.Parameter]] = {  # parameters that a step of this side leaves alone
            "all": [],
            "inference": [p for p in model.parameters() if id(p) not in inference],
            "generation": [p for p in model.parameters() if id(p) in inference],
        }

    def _optimiser(self, parameters: Sequence[Tensor]) -> torch.optim.Optimizer:
        s = self.settings
        rate = torch.tensor(s.learning_rate, device=self.device) if self.on_device else s.learning_rate
        if s.kind == "sgd":
            return torch.optim.SGD(parameters, lr=rate, fused=True)
        return torch.optim.Adam(
            parameters, lr=rate, betas=s.betas, eps=s.epsilon, fused=True, capturable=self.on_device
        )

    def rate(self, step: int) -> float:
        """The learning rate used at ``step`` (1-based)."""
        return self.settings.rate(step, self.decays)

    def set_rate(self, step: int) -> None:
        """Take the rate of ``step`` (1-based) for what comes."""
        for group in (optimiser.param_groups[0] for optimiser in self.optimisers):
            if self.on_device:
                group["lr"].fill_(self.rate(step))
            else:
                group["lr"] = self.rate(step)

    def zero(self) -> None:
        """Forget the gradients."""
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)

    def step(self, side: Side = "all") -> Tensor:
        """Clip, update with the rate that was set; returns the global norm before clipping.

        All gradients count in the norm, also where only the parameters of one side are updated.
        """
        gradients = [p.grad for p in self.others if p.grad is not None]
        shared = self.embedding.grad
        if shared is None:
            raise RuntimeError("no gradient reached the embedding")
        norm = torch.nn.utils.get_total_norm(gradients + [shared] * self.repeats)
        scale = (self.settings.clip / (norm + 1e-6)).clamp(max=1.0)
        if not self.looks or scale < 1:
            torch._foreach_mul_(gradients, scale)
            shared *= scale.double() ** self.repeats
        for parameter in self.waiting[side]:
            parameter.grad = None
        for _ in range(self.repeats):
            self.optimisers[0].step()
        self.optimisers[1].step()
        return norm

    def state(self) -> dict[str, Tensor]:
        """All tensors of the optimisers, by name."""
        found = {}
        for which, optimiser in enumerate(self.optimisers):
            for index, values in optimiser.state_dict()["state"].items():
                for key, value in values.items():
                    found[f"{which}.{index}.{key}"] = torch.as_tensor(value)
        return found

    def load(self, state: dict[str, Tensor]) -> None:
        """Take back what :meth:`state` gave; an empty state is that of the first step."""
        for which, optimiser in enumerate(self.optimisers):
            content = optimiser.state_dict()
            content["state"] = {}
            for name, value in state.items():
                number, index, key = name.split(".")
                if int(number) == which:
                    content["state"].setdefault(int(index), {})[key] = value
            optimiser.load_state_dict(content)
