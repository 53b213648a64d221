"""Whatever is declared works: every part, system, corpus, measure and table, also those added after this test."""

from __future__ import annotations

import functools
import importlib
import inspect
import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from bench.base.registry import WIRING, build, registry
from bench.base.settings import RunSettings
from bench.models.contracts import Condition, Decoder, Encoder, PosteriorNetwork, Prior, SignalMap, Space
from bench.models.noise import Noise
from bench.objectives.contracts import Term, Weight
from bench.planning.plan import Request, make_plan, systems_of
from bench.planning.resolve import resolve
from bench.store.evaluators import Evaluator
from bench.training.composition import build_model
from bench.training.procedures import Procedure
from tests.conftest import CORPUS
from tests.declared import CATALOG, RUNS
from tests.golden.golden import settings_of
from tests.plain import Averaged

ROOT = Path(__file__).parents[1]
PARTS = [(choice, kind) for choice, kinds in registry().items() for kind in kinds]
SIZE = 8


def least_options(choice: str, kind: str) -> dict[str, Any]:
    """The first legal value of each option without a default."""
    model = registry()[choice][kind].options
    values: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        if field.is_required():
            values[name] = next(v for v in (SIZE, 0.5, True, "a", ("a",)) if accepted(model, name, v))
    return model.model_validate(values).model_dump()


def accepted(model: Any, name: str, value: Any) -> bool:
    try:
        model.model_validate({name: value})
    except ValidationError as error:
        return not any(fault["loc"] == (name,) for fault in error.errors())
    return True


def wiring() -> dict[str, Any]:
    """Sizes, and the networks of a small model, for whatever asks for them."""
    model = build_model(settings_of("coupled-vae", "vae"), SIZE)
    sizes = {"words": SIZE, "embedding": SIZE, "latent": 4, "features": 2 * SIZE, "signal": SIZE}
    sizes["condition"] = SIZE
    networks = {"encoder": model.encoder, "posterior": model.branch.posterior}
    others = {"others": {}, "terms": ("a",), "groups": {"a": ("encoder",)}}
    return {**sizes, **networks, **others, "batch": 4, "steps": 20}


@pytest.mark.parametrize(("choice", "kind"), PARTS)
def test_every_part_builds_from_its_least_options(choice: str, kind: str) -> None:
    offered = {name: value for name, value in wiring().items() if name in WIRING[choice]}
    assert set(offered) == set(WIRING[choice])
    assert build(choice, kind, least_options(choice, kind), offered) is not None
    assert registry()[choice][kind].about.endswith(".")


CONTRACTS: dict[str, type | None] = {
    "encoder": Encoder,
    "condition": Condition,
    "posterior": PosteriorNetwork,
    "prior": Prior,
    "signal": SignalMap,
    "decoder": Decoder,
    "space": Space,
    "term": Term,
    "weight": Weight,
    "procedure": Procedure,
    "evaluator": Evaluator,
    "coupling": None,  # it says what a model is made of, and does nothing
}


@pytest.mark.parametrize(("choice", "kind"), PARTS)
def test_every_part_keeps_the_contract_of_its_choice(choice: str, kind: str) -> None:
    contract = CONTRACTS[choice]
    if contract is None:
        return
    part = build(choice, kind, least_options(choice, kind), wiring())
    for name in contract.__annotations__:
        assert hasattr(part, name), f"{kind} has no {name}"
    for name, method in inspect.getmembers(contract, inspect.isfunction):
        if name.startswith("_") and name != "__call__":
            continue
        wanted = list(inspect.signature(method).parameters.values())[1:]
        taken = inspect.signature(getattr(part, name))
        names = [one.name for one in taken.parameters.values()]
        assert names[: len(wanted)] == [one.name for one in wanted], f"{kind}.{name}"
        taken.bind(*wanted)  # and what it takes besides has a default


@pytest.mark.parametrize("kind", registry()["prior"])
def test_every_prior_owns_its_device_and_its_precision(kind: str) -> None:
    given = wiring() | {"encoder": Averaged(SIZE)}
    prior = build("prior", kind, least_options("prior", kind), given)
    condition = torch.randn(3, SIZE)
    codes = prior.sample(3, torch.Generator().manual_seed(0), condition)
    assert prior.log_prob(codes.double(), condition).dtype == torch.float64
    torch.nn.ModuleList([given["encoder"], given["posterior"], prior]).to("meta")  # as a model does
    assert prior.sample(3, torch.Generator(), condition.to("meta")).device.type == "meta"


@pytest.mark.parametrize("kind", registry()["posterior"])
def test_every_posterior_is_what_its_mark_says(kind: str) -> None:
    network = build("posterior", kind, least_options("posterior", kind), wiring())
    latent = network(torch.randn(5, 2 * SIZE))
    gives, space = (
        registry()["posterior"][kind].gives,
        build("space", registry()["posterior"][kind].space, {}),
    )
    assert (latent.stochastic, latent.has_density) == ("stochastic" in gives, "density" in gives)
    first, second = latent.sample(Noise("codes").source("codes", 5), 2)[0].unbind(1)
    assert torch.equal(first, second) != latent.stochastic
    torch.testing.assert_close(space.nearest(first), first)


@pytest.mark.parametrize(("choice", "kind"), PARTS)
def test_what_a_part_needs_is_given_by_a_part(choice: str, kind: str) -> None:
    given = {
        "encoder",
        "condition",
        "posterior",
        "prior",
        "signal",
        *registry()["coupling"],
        *registry()["space"],
    }
    given |= {what for kinds in registry().values() for entry in kinds.values() for what in entry.gives}
    entry = registry()[choice][kind]
    assert set(entry.needs) <= given
    assert entry.space in registry()["space"]
    assert all(reason and not reason.endswith(".") for reason in entry.needs.values())


@pytest.mark.parametrize(("choice", "kind"), PARTS)
def test_the_options_of_every_part_are_those_that_its_class_takes(choice: str, kind: str) -> None:
    entry = registry()[choice][kind]
    taken = inspect.signature(getattr(importlib.import_module(entry.module), entry.name)).parameters.values()
    assert list(entry.options.model_fields) == [one.name for one in taken if one.kind is one.KEYWORD_ONLY]


@functools.cache
def used() -> set[tuple[str, str]]:
    """The parts of all systems, and the evaluators of all papers."""
    runs = [settings_of(paper, system) for paper, system in RUNS]
    evaluators = {("evaluator", one.kind) for run in runs for one in run.evaluation.evaluators.values()}
    return evaluators.union(*(run.used() for run in runs))


@pytest.mark.parametrize(("choice", "kind"), PARTS)
def test_every_part_is_used_by_a_system_or_explained_in_the_documentation(choice: str, kind: str) -> None:
    pages = (page.read_text(encoding="utf-8") for page in (ROOT / "docs").rglob("*.md"))
    assert (choice, kind) in used() or any(f"`{kind}`" in page for page in pages)


@pytest.mark.parametrize("paper", CATALOG.papers)
@pytest.mark.parametrize("tier", CATALOG.tiers.tiers)
def test_every_system_of_every_table_resolves_or_says_why_not(paper: str, tier: str) -> None:
    for corpus, system in itertools.product(CATALOG.readable(paper), systems_of(CATALOG, paper)):
        if reason := CATALOG.missing(paper, system):
            assert len(reason) > 10
        else:
            assert resolve(CATALOG, tier, paper, corpus, system, 0).system == system
    assert make_plan(CATALOG, Request(papers=(paper,), tier=tier, every_system=True)).runs


@pytest.mark.parametrize("paper", CATALOG.papers)
def test_a_row_that_is_printed_twice_is_printed_with_the_same_numbers(paper: str) -> None:
    declared = CATALOG.papers[paper]
    printed = [(n.table, n.label, n.setting, n.corpus, n.metric) for n in declared.reported]
    values = {(*cell, number.value) for cell, number in zip(printed, declared.reported, strict=True)}
    assert len(values) == len(set(printed))
    assert len({table.id for table in declared.tables}) == len(declared.tables)


@pytest.mark.parametrize("tier", CATALOG.tiers.tiers)
def test_every_tier_names_what_exists(tier: str) -> None:
    declared = CATALOG.tiers.tiers[tier]
    assert set(declared.corpora or ()) <= set(CATALOG.corpora)
    assert set(declared.overrides) <= set(RunSettings.model_fields)


def test_a_pair_differs_in_its_coupling_alone() -> None:
    for paper, name in RUNS:
        couples = CATALOG.system(paper, name).couples
        if couples is None:
            continue
        runs = (resolve(CATALOG, "demo", paper, CORPUS, one, 0) for one in (name, couples))
        twin, baseline = (run.model_dump(mode="json") for run in runs)
        for term in ("matching", "twin_reconstruction"):
            twin["objective"].pop(term)
        differing = {key for key in twin if twin[key] != baseline[key]}
        assert differing == {"system", "coupling"}, name
