"""From the settings of a run to what it is composed of: model, objective and procedure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from bench.base.registry import build
from bench.models.model import TextModel, initialise
from bench.objectives.contracts import Term
from bench.objectives.objective import Objective

if TYPE_CHECKING:
    from bench.base.settings import RunSettings
    from bench.corpora.prepared import Prepared
    from bench.training.procedures import Procedure

TERMS = "terms"  # the networks that terms own are modules of names like terms.discrimination


class Composition:
    """Model, objective and procedure of a run, and the networks of their own that terms have (``auxiliary``).

    All that is trained has one name here: ``branch.output.weight`` is of the model, ``terms.discrimination.0.weight``
    of the term that the objective has under that name.
    """

    def __init__(self, settings: RunSettings, words: int, others: Mapping[str, int] | None = None) -> None:
        """Over ``words`` ids, and ``others`` of fields with another vocabulary; the initial values of the seed."""
        self.model = build_model(settings, words, others)
        self.objective = build_objective(settings, self.model.features)
        self.procedure = build_procedure(settings)
        self.auxiliary = auxiliary_networks(self.objective)
        initialise(self.auxiliary, settings.seed)
        frozen = [module for group in settings.groups.values() if group.frozen for module in group.modules]
        self._frozen = [module for name in frozen if (module := self._modules.get(name)) is not None]

    @property
    def _modules(self) -> dict[str, nn.Module]:
        return dict(self.model.named_modules()) | dict(self.auxiliary.named_modules())

    def to(self, device: torch.device) -> Composition:
        """Move everything to a device."""
        self.model.to(device)
        self.auxiliary.to(device)
        return self

    def train(self) -> None:
        """Go into training mode; what is frozen does not, so that statistics of batches stay too."""
        self.model.train()
        self.auxiliary.train()
        for module in self._frozen:
            module.eval()

    def parameters(self) -> Iterator[nn.Parameter]:
        """All parameters."""
        yield from self.model.parameters()
        yield from self.auxiliary.parameters()

    def counts(self) -> dict[str, int]:
        """How many parameters there are: in all, by module of the model, and by term that owns a network."""
        modules = dict(self.model.named_children())
        for owner, networks in self.auxiliary.named_children():
            modules |= {f"{owner}.{name}": network for name, network in networks.named_children()}
        found = {name: sum(p.numel() for p in module.parameters()) for name, module in modules.items()}
        return {"total": sum(p.numel() for p in self.parameters()), **found}

    def state_dict(self) -> dict[str, Tensor]:
        """All weights and statistics by name."""
        return {**self.model.state_dict(), **self.auxiliary.state_dict()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take back what :meth:`state_dict` gave. Raises RuntimeError for other names or shapes."""
        own = self.auxiliary.state_dict()
        self.model.load_state_dict({name: value for name, value in state.items() if name not in own})
        self.auxiliary.load_state_dict({name: value for name, value in state.items() if name in own})


def compose(settings: RunSettings, corpus: Prepared) -> Composition:
    """The composition of a run over the vocabularies of the fields of its corpus that it writes and reads."""
    by_rules = () if settings.encoder.absent or settings.reads else (corpus.encodes,)
    others = corpus.other_vocabularies((*by_rules, *settings.conditions))
    return Composition(settings, len(corpus.vocabulary), others)


def auxiliary_networks(objective: Objective) -> nn.ModuleDict:
    """The networks that terms own, by name; none for most systems."""
    networks = {name: term for name, term in objective.terms.items() if isinstance(term, nn.Module)}
    return nn.ModuleDict({TERMS: nn.ModuleDict(networks)} if networks else {})


def build_model(settings: RunSettings, words: int, others: Mapping[str, int] | None = None) -> TextModel:
    """The model of a run over ``words`` ids, and ``others`` by field, with the initial values of its seed."""
    model = TextModel(
        settings.parts(),
        words=words,
        embedding=settings.embedding,
        latent=settings.latent,
        reads=settings.reads,
        others=others,
    )
    initialise(model, settings.seed, **settings.initial.model_dump(exclude={"vectors"}))
    return model


def build_objective(settings: RunSettings, features: int = 0) -> Objective:
    """The objective of a run whose encoder has so many ``features``; a term finds the others when it is computed."""
    wiring, terms = _sizes(settings) | {"features": features}, dict[str, Term]()
    for name, term in settings.objective.items():
        terms[name] = build("term", *term.pair(), {**wiring, "others": terms})
    weights = {n: build("weight", *term.weight.pair(), wiring) for n, term in settings.objective.items()}
    return Objective(terms=terms, weights=weights)


def build_procedure(settings: RunSettings) -> Procedure:
    """The procedure of a run."""
    groups = {name: group.modules for name, group in settings.groups.items()}
    wiring = {**_sizes(settings), "terms": tuple(settings.objective), "groups": groups}
    procedure: Procedure = build("procedure", *settings.procedure.pair(), wiring)
    return procedure


def _sizes(settings: RunSettings) -> dict[str, Any]:
    """The sizes that parts outside the model may ask for."""
    training = settings.training
    sizes = {"embedding": settings.embedding, "latent": settings.latent}
    return {**sizes, "batch": training.batch, "steps": training.steps}
