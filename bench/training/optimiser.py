"""Gradient steps on groups of parameters: each has an optimiser of its own, clipping, and a number of updates."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from bench.base.errors import BenchError
from bench.base.settings import GroupSettings, Optimiser
from bench.models import packing
from bench.models.model import TextModel
from bench.training.eager import eager
from bench.training.turns import ALL, Turn, inside

REST = "(rest)"  # the group of the parameters that are in no other one
EMBEDDING = "embedding.weight"
State = dict[str, Tensor]


def owners(model: TextModel) -> int:
    """How many modules of the released code hold the embedding: encoder, decoder and twin decoder."""
    return 1 + (model.encoder is not None) + (model.twin is not None)


class ParameterGroup:
    """Parameters with one optimiser, which updates them ``repeats`` times a step.

    ``apart``: they are clipped by themselves, and not together with those of other groups.
    """

    def __init__(
        self,
        name: str,
        parameters: dict[str, nn.Parameter],
        settings: Optimiser,
        *,
        repeats: int = 1,
        apart: bool = False,
        on_device: torch.device | None = None,
    ) -> None:
        """``on_device``: where the optimiser reads its rate, and counts its steps, on a device."""
        self.name, self.parameters, self.settings = name, parameters, settings
        self.repeats, self.apart = repeats, apart
        self.optimiser = _optimiser(list(parameters.values()), settings, on_device)

    def gradients(self) -> list[Tensor]:
        """The gradients that there are."""
        return [p.grad for p in self.parameters.values() if p.grad is not None]

    def step(self) -> None:
        """Update the parameters that have a gradient."""
        for _ in range(self.repeats):
            self.optimiser.step()

    def set_rate(self, rate: float, *, on_device: bool) -> None:
        """Take this learning rate for what comes."""
        options = self.optimiser.param_groups[0]
        if on_device and isinstance(options["lr"], Tensor):
            options["lr"].fill_(rate)
        else:
            options["lr"] = rate

    def state(self) -> State:
        """All tensors of the optimiser, by group, parameter and what they are: ``critic/network.0.weight/step``."""
        return {
            f"{self.name}/{name}/{key}": torch.as_tensor(value)
            for name, parameter in self.parameters.items()
            for key, value in self.optimiser.state.get(parameter, {}).items()
        }

    def load(self, state: State) -> None:
        """Take back those tensors of :meth:`state` that are of this group; what has none is as at the first step."""
        content = self.optimiser.state_dict()
        content["state"] = {}
        numbers = {name: number for number, name in enumerate(self.parameters)}
        for place, value in state.items():
            group, name, key = place.split("/")
            if group == self.name:
                content["state"].setdefault(numbers[name], {})[key] = value
        self.optimiser.load_state_dict(content)


class Stepper:
    """One optimiser step at a time, with the learning rates of the schedule.

    A group that is updated several times a step counts that often in the norm, is scaled that often when clipped, and
    its optimiser updates it that often, Adam advancing its own count each time. So does the released code of Wu et
    al. 2020 with the embedding, which it lists once for each owner. ``decays`` is how often the rate has
    decayed on plateaus.
    """

    def __init__(
        self,
        model: TextModel,
        settings: Optimiser,
        groups: Mapping[str, GroupSettings] | None = None,
        auxiliary: nn.Module | None = None,
    ) -> None:
        """``auxiliary`` holds the networks that terms own. Raises :class:`BenchError` for groups that do not fit."""
        self.settings, self.decays, self.model = settings, 0, model
        # A device reads the rate, and Adam's count of steps, from tensors of its own: a recorded step can too.
        self.device = model.embedding.weight.device
        self.on_device = self.device.type not in packing.ANSWERING
        # To see that nothing is to be clipped saves the CPU a pass over all gradients; a device is waited for.
        self.looks = not self.on_device
        self.parameters = _parameters(model, auxiliary)
        self.groups = self._groups(dict(groups or {}))
        self._waiting: dict[Turn, list[nn.Parameter]] = {ALL: []}

    def _groups(self, declared: dict[str, GroupSettings]) -> list[ParameterGroup]:
        """The groups that are trained; the parameters of those that are frozen get no gradients."""
        chosen = {name: self._chosen(name, group) for name, group in declared.items()}
        _check_apart(chosen)
        taken = {name for names in chosen.values() for name in names}
        rest = [name for name in self.parameters if name not in taken]
        found = [self._group(REST, rest, GroupSettings(modules=(REST,)))] if rest else []
        for name, group in declared.items():
            if group.frozen:
                for parameter in chosen[name]:
                    self.parameters[parameter].requires_grad_(False)
            else:
                found.append(self._group(name, chosen[name], group))
        if not found:
            raise BenchError("all parameters are frozen: nothing would be trained", where="groups")
        return found

    def _chosen(self, name: str, group: GroupSettings) -> list[str]:
        """The names of the parameters of a group; a module for other vocabularies is empty where there is one alone."""
        modules = self.model.named_modules()
        empty = {name for name, module in modules if isinstance(module, nn.ModuleDict) and not module}
        for module in group.modules:
            if module not in empty and not any(inside(each, (module,)) for each in self.parameters):
                known = {parameter.rpartition(".")[0] for parameter in self.parameters}
                raise BenchError(
                    f"no parameter is of a module {module!r}",
                    where=f"groups: {name}: modules",
                    allowed=sorted(known),
                )
        return [parameter for parameter in self.parameters if inside(parameter, group.modules)]

    def _group(self, name: str, parameters: list[str], group: GroupSettings) -> ParameterGroup:
        return ParameterGroup(
            name,
            {parameter: self.parameters[parameter] for parameter in parameters},
            group.optimiser(self.settings),
            repeats=owners(self.model) if group.updates == "owners" else group.updates,
            apart=group.apart,
            on_device=self.device if self.on_device else None,
        )

    def rate(self, step: int) -> float:
        """The learning rate used at ``step`` (1-based), of the groups without one of their own."""
        return self.settings.rate(step, self.decays)

    def set_rate(self, step: int) -> None:
        """Take the rates of ``step`` (1-based) for what comes."""
        for group in self.groups:
            group.set_rate(group.settings.rate(step, self.decays), on_device=self.on_device)

    def zero(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters.values():
            parameter.grad = None

    def step(self, turn: Turn = ALL) -> Tensor:
        """Clip, and update what the ``turn`` moves with the rates that were set; the norm () before clipping."""
        waiting = self._left_by(turn)
        if not turn.whole:
            _forget(waiting)
        norm = self._clip()
        if turn.whole:
            _forget(waiting)
        for group in self.groups:
            group.step()
        return norm

    def _left_by(self, turn: Turn) -> list[nn.Parameter]:
        """The parameters that a turn leaves alone."""
        if turn not in self._waiting:
            named = self.parameters.items()
            self._waiting[turn] = [parameter for name, parameter in named if not turn.changes(name)]
        return self._waiting[turn]

    def _clip(self) -> Tensor:
        """Clip the gradients of the groups, together or apart; the norm () of all of them before."""
        together = [group for group in self.groups if not group.apart]
        norms = [self._clipped(together, self.settings)]
        norms += [self._clipped([group], group.settings) for group in self.groups if group.apart]
        return norms[0] if len(norms) == 1 else nn.utils.get_total_norm(norms)

    def _clipped(self, groups: list[ParameterGroup], settings: Optimiser) -> Tensor:
        """Clip the gradients of ``groups`` as one; their norm () before."""
        found = [(group.repeats, gradients) for group in groups if (gradients := group.gradients())]
        if not found:
            return torch.zeros((), device=self.device)
        norm = nn.utils.get_total_norm([one for repeats, gradients in found for one in gradients * repeats])
        if settings.clip_by == "value":
            for gradient in (one for _, gradients in found for one in gradients):
                gradient.clamp_(-settings.clip, settings.clip)
            return norm
        scale = (settings.clip / (norm + 1e-6)).clamp(max=1.0)
        if not self.looks or scale < 1:
            for repeats, gradients in found:
                torch._foreach_mul_(gradients, scale if repeats == 1 else scale.double() ** repeats)
        return norm

    def state(self) -> State:
        """All tensors of the optimisers, by group and parameter."""
        return {key: value for group in self.groups for key, value in group.state().items()}

    def load(self, state: State) -> None:
        """Take back what :meth:`state` gave; an empty state is that of the first step."""
        state = self._by_name(state)
        for group in self.groups:
            group.load(state)

    def _by_name(self, state: State) -> State:
        """A state by parameter, also where it is by number, as it was before there were groups."""
        if any("/" in key for key in state):
            return state
        lists = [[EMBEDDING], [name for name in self.parameters if name != EMBEDDING]]
        group_of = {name: group.name for group in self.groups for name in group.parameters}
        found = {}
        for place, value in state.items():
            which, number, key = place.split(".")
            name = lists[int(which)][int(number)]
            found[f"{group_of[name]}/{name}/{key}"] = value
        return found


def _parameters(model: TextModel, auxiliary: nn.Module | None) -> dict[str, nn.Parameter]:
    """All parameters by name, the embedding last: the order in which squares are summed is part of a norm's bits."""
    found = dict(model.named_parameters()) | dict(auxiliary.named_parameters() if auxiliary else {})
    found[EMBEDDING] = found.pop(EMBEDDING)
    return found


def _optimiser(
    parameters: list[nn.Parameter], settings: Optimiser, on_device: torch.device | None
) -> torch.optim.Optimizer:
    rate: float | Tensor = settings.learning_rate
    if on_device is not None and (settings.kind != "rmsprop" or on_device.type != "cpu"):
        rate = torch.tensor(rate, device=on_device)
    capturable = isinstance(rate, Tensor)
    if settings.kind == "sgd":
        return eager(torch.optim.SGD)(parameters, lr=rate, fused=True)
    if settings.kind == "rmsprop":
        smoothing, epsilon = settings.smoothing, settings.epsilon
        return eager(torch.optim.RMSprop)(
            parameters, lr=rate, alpha=smoothing, eps=epsilon, capturable=capturable, foreach=True
        )
    return eager(torch.optim.Adam)(
        parameters, lr=rate, betas=settings.betas, eps=settings.epsilon, fused=True, capturable=capturable
    )


def _check_apart(chosen: Mapping[str, list[str]]) -> None:
    """Raise :class:`BenchError` if a parameter is in two groups."""
    seen: dict[str, str] = {}
    for name, parameters in chosen.items():
        for parameter in parameters:
            if parameter in seen:
                raise BenchError(f"{parameter} is in the groups {seen[parameter]} and {name}", where="groups")
            seen[parameter] = name


def _forget(parameters: list[nn.Parameter]) -> None:
    for parameter in parameters:
        parameter.grad = None
