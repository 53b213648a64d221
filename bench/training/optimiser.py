"""Adam with clipping of the global norm, and the embedding updated once a step or once for each owner."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bench.models.model import TextModel
from bench.settings import Optimiser


def owners(model: TextModel) -> int:
    """How many modules of the released code hold the embedding: encoder, decoder and twin decoder."""
    return 1 + (model.encoder is not None) + (model.twin is not None)


class Stepper:
    """One optimiser step at a time, with the learning rate of the schedule.

    With ``embedding_updates: as-released`` the embedding is listed once per owner, as in the released code of
    Wu et al. 2020 (with a number: that often): it counts that often in the norm, is scaled that often when
    clipped, and Adam updates it that often, advancing its own step count each time.
    """

    def __init__(self, model: TextModel, settings: Optimiser) -> None:
        self.settings = settings
        updates = settings.embedding_updates
        self.repeats = {"deduplicated": 1, "as-released": owners(model)}.get(str(updates)) or int(updates)
        self.embedding = model.embedding.weight
        self.others = [p for p in model.parameters() if p is not self.embedding]
        self.adams = [self._adam([self.embedding]), self._adam(self.others)]

    def _adam(self, parameters: Sequence[Tensor]) -> torch.optim.Adam:
        s = self.settings
        return torch.optim.Adam(parameters, lr=s.learning_rate, betas=s.betas, eps=s.epsilon, fused=True)

    def zero(self) -> None:
        """Forget the gradients."""
        for adam in self.adams:
            adam.zero_grad(set_to_none=True)

    def step(self, step: int) -> Tensor:
        """Clip, update with the rate of ``step`` (1-based); returns the global norm before clipping."""
        gradients = [p.grad for p in self.others if p.grad is not None]
        shared = self.embedding.grad
        if shared is None:
            raise RuntimeError("no gradient reached the embedding")
        norm = torch.nn.utils.get_total_norm(gradients + [shared] * self.repeats)
        scale = float((self.settings.clip / (norm + 1e-6)).clamp(max=1.0))
        if scale < 1:
            torch._foreach_mul_(gradients, scale)
            shared *= scale**self.repeats
        for adam in self.adams:
            adam.param_groups[0]["lr"] = self.settings.rate(step)
        for _ in range(self.repeats):
            self.adams[0].step()
        self.adams[1].step()
        return norm

    def state(self) -> dict[str, Tensor]:
        """All tensors of the optimisers, by name."""
        found = {}
        for which, adam in enumerate(self.adams):
            for index, values in adam.state_dict()["state"].items():
                for key, value in values.items():
                    found[f"{which}.{index}.{key}"] = torch.as_tensor(value)
        return found

    def load(self, state: dict[str, Tensor]) -> None:
        """Take back what :meth:`state` gave."""
        for which, adam in enumerate(self.adams):
            content = adam.state_dict()
            content["state"] = {}
            for name, value in state.items():
                number, index, key = name.split(".")
                if int(number) == which:
                    content["state"].setdefault(int(index), {})[key] = value
            adam.load_state_dict(content)
