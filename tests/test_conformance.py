"""Whatever is declared works: every part, system, corpus, measure and table, also those added after this test."""

from __future__ import annotations

import importlib
import inspect
import itertools
import math
from pathlib import Path
from typing import Any

import pandas
import pytest
import torch
from pydantic import ValidationError

from bench.analysis.compare import measured_elsewhere
from bench.base.files import read_json
from bench.base.needs import given_by
from bench.base.registry import SINGLE, WIRING, build, registry
from bench.base.settings import RunSettings
from bench.catalog.quantities import PrintedQuantity
from bench.catalog.tables import PrintedTable
from bench.corpora.prepare import prepare
from bench.corpora.prepared import Prepared
from bench.metrics.definitions import base
from bench.metrics.evaluate import evaluate_run
from bench.metrics.evaluators import Evaluator
from bench.metrics.measures import definitions, measures
from bench.metrics.needs import wanted
from bench.models.contracts import Condition, Decoder, Encoder, PosteriorNetwork, Prior, SignalMap, Space
from bench.models.noise import Noise
from bench.objectives.contracts import Term, Weight
from bench.objectives.objective import looks_across
from bench.planning.plan import Request, make_plan, systems_of
from bench.planning.resolve import resolve, text_rules
from bench.store.records import load_records
from bench.training.composition import build_model
from bench.training.loop import Trainer
from bench.training.procedures import Procedure
from bench.training.run import train_run
from tests.conftest import CORPUS
from tests.declared import CATALOG, RUNS, UNLIKE, corpus_of
from tests.plain import Averaged

ROOT = Path(__file__).parents[1]
PARTS = [(choice, kind) for choice, kinds in registry().items() for kind in kinds]
SIZE = 8
SMALL = {
    **{"hidden": SIZE, "projection": SIZE, "channels": SIZE, "start": 2, "length": 10},
    **{"inner": 3, "block": 2, "ascents": 2},
}
FEW = {"steps": 20, "validate_every": 10, "log_every": 5, "validation_samples": 2, "gradient_texts": 8}
MEASURED = {
    "samples": 4,
    "information_block": 50,
    "reconstructions": 2,
    "prior_samples": 32,
    "gradient_texts": 8,
    "longest": 12,
    "examples": 2,
}


# The evaluators that measures need and that the paper of a system does not declare.
EVALUATORS = {"ngram": {"kind": "kneser-ney", "order": 3}}


def shrunk(settings: RunSettings) -> RunSettings:
    """The same system in a size that trains at once; whatever options its parts have stay in place."""
    dump = settings.model_dump(mode="json")
    terms = list(dump["objective"].values())
    for part in (*(dump[choice] for choice in SINGLE), *terms, *(term["weight"] for term in terms)):
        options = part["options"]
        found = {key: value for key, value in SMALL.items() if isinstance(options.get(key), int)}
        options |= {key: value for key, value in found.items() if options[key]}  # 0 is to have none
    dump |= {"embedding": SIZE, "latent": 4}
    dump["training"] |= FEW | {"precision": "float32"}
    dump["evaluation"] |= MEASURED | {"evaluators": EVALUATORS | dump["evaluation"]["evaluators"]}
    dump["optimiser"] |= {"learning_rate": 0.03, "decay_after": 100}
    return RunSettings.model_validate(dump)


def small_run(paper: str, system: str) -> RunSettings:
    corpus = corpus_of(resolve(CATALOG, "demo", paper, CORPUS, system, 0))
    small = shrunk(resolve(CATALOG, "demo", paper, corpus, system, 0))
    if small.starts_from is None:
        return small
    first = small_run(paper, small.starts_from.system).training_identity
    return small.model_copy(update={"starts_from": small.starts_from.model_copy(update={"identity": first})})


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
    model = build_model(small_run("coupled-vae", "vae"), SIZE)
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


@pytest.mark.parametrize(("choice", "kind"), PARTS)
def test_every_part_is_used_by_a_system_or_explained_in_the_documentation(choice: str, kind: str) -> None:
    used = {k for paper, system in RUNS for c, k in small_run(paper, system).used() if c == choice}
    used |= {str(one["kind"]) for one in EVALUATORS.values() if choice == "evaluator"}
    pages = (page.read_text(encoding="utf-8") for page in (ROOT / "docs").rglob("*.md"))
    assert kind in used or any(f"`{kind}`" in page for page in pages)


KINDS = {name: [system for paper, system in UNLIKE if paper == name] for name in CATALOG.papers}


class World:
    """A results folder in which a system is trained and measured, once, when a test first asks for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._measured: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for paper, systems in KINDS.items():
            for name in {small_run(paper, system).corpus for system in systems}:
                rules = text_rules(CATALOG, paper, name)
                prepare(CATALOG.corpus(name), {}, rules, folder / "corpora" / paper / name)

    def measured(self, paper: str, system: str) -> list[dict[str, Any]]:
        """The measurements of a system after a few steps."""
        if (paper, system) not in self._measured:
            settings, corpora, runs = small_run(paper, system), self.folder / "corpora", self.folder / "runs"
            if settings.starts_from is not None:
                self.measured(paper, settings.starts_from.system)
            run = train_run(settings, corpora, runs, self.folder / "state", device="cpu", threads=1)
            assert (run["state"], run["steps"]) == ("finished", FEW["steps"])
            found = evaluate_run(settings, corpora, runs, device="cpu", threads=1)
            self._measured[paper, system] = found["measurements"]
        return self._measured[paper, system]

    def numbers(self, paper: str) -> list[dict[str, Any]]:
        """All measurements of all kinds of systems."""
        return [number for system in KINDS[paper] for number in self.measured(paper, system)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Systems of all kinds under their papers' protocols on the tiny corpus."""
    return World(tmp_path_factory.mktemp("conformance"))


def definition_of(number: dict[str, Any]) -> tuple[str, str]:
    """The key of the definition: a number of samples does not belong to it."""
    return number["metric"], base(number["estimator"])


@pytest.mark.parametrize(("paper", "system"), UNLIKE)
def test_every_kind_of_system_trains_and_gives_numbers_of_a_known_kind(
    paper: str, system: str, world: World
) -> None:
    found, settings = world.measured(paper, system), small_run(paper, system)
    assert found
    for number in found:
        definition = definitions()[definition_of(number)]
        assert math.isfinite(number["value"]), number["metric"]
        assert (number["unit"], number["validity"]) == (definition.unit, definition.validity)
        assert number["definition"] == definition.definition
        assert number["low"] is None or number["low"] <= number["value"] <= number["high"]
    names = [(number["metric"], number["part"], number["estimator"]) for number in found]
    main = [(number["metric"], number["part"]) for number in found if number["main"]]
    assert len(names) == len(set(names))
    assert len(main) == len(set(main))
    if settings.encoder.absent or "density" in given_by(settings.used()):  # then a text has a likelihood
        assert {("nll", None), ("ppl", None)} <= set(main)
    validations = pandas.read_parquet(world.folder / "runs" / settings.name / "validation.parquet")
    assert validations["best"].any()


@pytest.mark.parametrize(("paper", "system"), UNLIKE)
def test_what_is_measured_of_a_system_is_known_before(paper: str, system: str, world: World) -> None:
    """Every measure whose needs are met is made, and gives what it says, no more and no less."""
    given, settings = world.measured(paper, system), small_run(paper, system)
    summary = read_json(world.folder / "corpora" / paper / settings.corpus / "corpus.json")
    made = read_json(world.folder / "runs" / settings.name / "measurements.json")["measures"]
    assert {name: one["version"] for name, one in made.items()} == wanted(settings, summary)
    assert {name: one["absent"] for name, one in made.items() if one["absent"]} == {}
    shown = read_json(world.folder / "runs" / settings.name / "texts.json")
    kinds = [kind.name for name in made for kind in measures()[name].shows]
    assert [one["kind"] for one in shown] == kinds
    for name in made:
        declared = {(one.metric, one.estimator) for one in measures()[name].gives}
        assert {definition_of(n) for n in given if n["measure"] == name} <= declared


@pytest.mark.parametrize(("paper", "system"), UNLIKE)
def test_a_batch_in_parts_has_its_own_gradient_or_the_system_says_why_not(
    paper: str, system: str, world: World, tmp_path: Path
) -> None:
    settings = small_run(paper, system)
    corpus = Prepared.load(world.folder / "corpora" / paper / settings.corpus)
    trainer = Trainer(settings, corpus, tmp_path, torch.device("cpu"))
    if looks_across(trainer.model, trainer.objective, trainer.procedure):
        return
    found = []
    for parts in (1, 3):
        trainer.stepper.zero()
        noise = Noise("noise", 0)
        trainer.objective.backward(trainer.model.train(), trainer.batch(1), noise, {"kl": 0.7}, parts)
        found.append([p.grad for p in trainer.composition.parameters() if p.grad is not None])
    torch.testing.assert_close(*found, rtol=1e-3, atol=1e-5)


def of(paper: str, table: PrintedTable) -> list[PrintedQuantity]:
    """How the columns of a table are measured."""
    found = (CATALOG.papers[paper].quantity(table, column) for column in table.columns)
    return [quantity for quantity in found if quantity is not None]


@pytest.mark.parametrize("paper", CATALOG.papers)
def test_every_kind_of_system_has_a_row_of_numbers_in_the_report(paper: str, world: World) -> None:
    assert world.numbers(paper)
    settings = [small_run(paper, system) for system in KINDS[paper]]
    records = load_records(world.folder, {s.name: s for s in settings})
    assert {record.state for record in records.runs} == {"finished"}
    assert not [fault for record in records.runs for fault in record.faults]
    cells = {
        c: list(measured_elsewhere(CATALOG, records, paper, c, ("own", "demo")))
        for c in {run.corpus for run in settings}
    }
    missing = {q.missing for table in CATALOG.papers[paper].tables for q in of(paper, table)}
    for system, run in zip(KINDS[paper], settings, strict=True):
        of_system = [cell for cell in cells[run.corpus] if cell.system == system]
        without = [cell for cell in of_system if cell.measured is None and cell.reason not in missing]
        assert len(without) < len(of_system), f"{system} has no number at all"
        known = ("without a measurement of", "the row is about the corpus")
        assert all(any(reason in cell.reason for reason in known) for cell in without), system


@pytest.mark.parametrize("paper", CATALOG.papers)
def test_every_quantity_of_a_paper_is_given_by_a_system_or_cannot_be_yet(paper: str, world: World) -> None:
    declared, numbers = CATALOG.papers[paper], world.numbers(paper)
    given = {(n["metric"], estimator) for n in numbers for estimator in (n["estimator"], None)}
    for column, quantity in declared.quantities.items():
        tables = [table for table in declared.tables if column in table.columns]
        assert tables, f"{column} stands in no table"
        buildable = {row.system for table in tables for row in table.rows} & set(KINDS[paper])
        measured = (quantity.metric, quantity.estimator) in given
        assert measured or not buildable or quantity.missing, column


def test_every_definition_is_of_a_number_that_some_system_gives(world: World) -> None:
    assert set(definitions()) == {definition_of(n) for paper in CATALOG.papers for n in world.numbers(paper)}


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
        twin, baseline = (small_run(paper, n).model_dump(mode="json") for n in (name, couples))
        for term in ("matching", "twin_reconstruction"):
            twin["objective"].pop(term)
        differing = {key for key in twin if twin[key] != baseline[key]}
        assert differing == {"system", "coupling"}, name
