"""A few steps of every system and their evaluation: the numbers are those that they were, and of known kinds.

``golden.py`` says which numbers, ``make.py`` makes them again. A system is trained once for all that is asked here.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas
import pytest
import torch

from bench.analysis.compare import measured_elsewhere
from bench.base.files import read_json
from bench.base.needs import given_by
from bench.base.settings import RunSettings
from bench.catalog.catalog import load_catalog
from bench.catalog.quantities import PrintedQuantity
from bench.catalog.tables import PrintedTable
from bench.corpora.prepared import Prepared
from bench.metrics.definitions import base
from bench.metrics.interpolate import between
from bench.metrics.measures import definitions, measures
from bench.metrics.needs import wanted
from bench.models.noise import Noise
from bench.objectives.objective import looks_across
from bench.planning.plan import Request, make_plan
from bench.store.records import load_records
from bench.training.loop import Trainer
from tests.declared import RUNS, UNLIKE
from tests.golden.golden import CATALOG, World, explained, made_here, moved, read, settings_of
from tests.golden.versions import advice, parts_of

KINDS = {name: [system for paper, system in UNLIKE if paper == name] for name in CATALOG.papers}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """All systems under their papers' protocols, after a few steps."""
    return World(tmp_path_factory.mktemp("golden"))


@pytest.mark.parametrize(("paper", "system"), RUNS)
def test_the_numbers_of_every_system_are_the_golden_ones(paper: str, system: str, world: World) -> None:
    terms = moved(read(paper, system)[1], world.values(paper, system), exactly=False)
    assert not terms, explained(paper, system, terms)


@pytest.mark.parametrize(("paper", "system"), RUNS)
def test_where_they_were_made_they_are_the_same_bit_for_bit(paper: str, system: str, world: World) -> None:
    made, values = read(paper, system)
    if made != made_here():
        pytest.skip(f"the golden values were made on {made}, this is {made_here()}")
    terms = moved(values, world.values(paper, system), exactly=True)
    assert not terms, explained(paper, system, terms)


def test_a_number_that_moved_raises_a_version(world: World) -> None:
    """After those above: what the systems that moved have in common, and which runs a higher version makes stale."""
    terms = {run: moved(read(*run)[1], world.values(*run), exactly=False) for run in RUNS}
    found = {run: [term.term for term in each] for run, each in terms.items() if each}
    parts = {run: parts_of(settings_of(*run)) for run in RUNS}
    assert not found, advice(found, parts, catalog_runs())


def catalog_runs() -> list[RunSettings]:
    """All runs of all tiers and papers."""
    asked = (Request(tier=tier, papers=tuple(CATALOG.papers)) for tier in load_catalog().tiers.tiers)
    return [run for request in asked for run in make_plan(CATALOG, request).runs.values()]


def measured(paper: str, system: str, world: World) -> list[dict[str, Any]]:
    """The measurements of a system after its few steps."""
    world.values(paper, system)
    content = read_json(world.runs / settings_of(paper, system).name / "measurements.json")
    return list(content["measurements"])


# Printed are perplexities of its samples alone, and it has no prior to sample from.
WITHOUT = {("ivae", "ae")}


def numbers(paper: str, world: World) -> list[dict[str, Any]]:
    """All measurements of all kinds of systems."""
    return [number for system in KINDS[paper] for number in measured(paper, system, world)]


def definition_of(number: dict[str, Any]) -> tuple[str, str]:
    """The key of the definition: a number of samples does not belong to it."""
    return number["metric"], base(number["estimator"])


@pytest.mark.parametrize(("paper", "system"), UNLIKE)
def test_every_kind_of_system_trains_and_gives_numbers_of_a_known_kind(
    paper: str, system: str, world: World
) -> None:
    found, settings = measured(paper, system, world), settings_of(paper, system)
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
    run = read_json(world.runs / settings.name / "run.json")
    assert (run["state"], run["steps"]) == ("finished", settings.training.steps)
    validations = pandas.read_parquet(world.runs / settings.name / "validation.parquet")
    assert validations["best"].any()


@pytest.mark.parametrize(("paper", "system"), UNLIKE)
def test_what_is_measured_of_a_system_is_known_before(paper: str, system: str, world: World) -> None:
    """Every measure whose needs are met is made, and gives what it says, no more and no less."""
    given, settings = measured(paper, system, world), settings_of(paper, system)
    summary = read_json(world.prepared(settings) / "corpus.json")
    made = read_json(world.runs / settings.name / "measurements.json")["measures"]
    assert {name: one["version"] for name, one in made.items()} == wanted(settings, summary)
    assert {name: one["absent"] for name, one in made.items() if one["absent"]} == {}
    shown = read_json(world.runs / settings.name / "texts.json")
    kinds = [kind.name for name in made for kind in measures()[name].shows]
    assert [one["kind"] for one in shown] == kinds
    for name in made:
        declared = {(one.metric, one.estimator) for one in measures()[name].gives}
        assert {definition_of(n) for n in given if n["measure"] == name} <= declared


@pytest.mark.parametrize(("paper", "system"), UNLIKE)
def test_the_way_between_two_texts_is_the_one_that_is_shown(paper: str, system: str, world: World) -> None:
    world.values(paper, system)
    settings = settings_of(paper, system)
    folder = world.runs / settings.name
    shown = {one["kind"]: one["rows"] for one in read_json(folder / "texts.json")}
    if settings.conditions or "interpolations" not in shown:
        return
    first, last, *steps = shown["interpolations"][0]
    run, inner = read_json(folder / "run.json"), len(steps) - 2
    _, found = between(run, folder, settings, world.corpora, (first, last), inner, device="cpu", threads=1)
    assert found == steps


@pytest.mark.parametrize(("paper", "system"), UNLIKE)
def test_a_batch_in_parts_has_its_own_gradient_or_the_system_says_why_not(
    paper: str, system: str, world: World, tmp_path: Path
) -> None:
    settings = settings_of(paper, system)
    corpus = Prepared.load(world.prepared(settings))
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
    assert numbers(paper, world)
    settings = [settings_of(paper, system) for system in KINDS[paper]]
    records = load_records(world.folder, {s.name: s for s in settings})
    assert {record.state for record in records.runs} == {"finished"}
    assert not [fault for record in records.runs for fault in record.faults]
    cells = {
        c: list(measured_elsewhere(CATALOG, records, paper, c, ("own", "golden")))
        for c in {run.corpus for run in settings}
    }
    missing = {q.missing for table in CATALOG.papers[paper].tables for q in of(paper, table)}
    for system, run in zip(KINDS[paper], settings, strict=True):
        of_system = [cell for cell in cells[run.corpus] if cell.system == system]
        without = [cell for cell in of_system if cell.measured is None and cell.reason not in missing]
        assert (len(without) == len(of_system)) == ((paper, system) in WITHOUT), (
            f"{system} has no number at all"
        )
        known = ("without a measurement of", "the row is about the corpus")
        assert all(any(reason in cell.reason for reason in known) for cell in without), system


@pytest.mark.parametrize("paper", CATALOG.papers)
def test_every_quantity_of_a_paper_is_given_by_a_system_or_cannot_be_yet(paper: str, world: World) -> None:
    declared, found = CATALOG.papers[paper], numbers(paper, world)
    given = {(n["metric"], estimator) for n in found for estimator in (n["estimator"], None)}
    for column, quantity in declared.quantities.items():
        tables = [table for table in declared.tables if column in table.columns]
        assert tables, f"{column} stands in no table"
        buildable = {row.system for table in tables for row in table.rows} & set(KINDS[paper])
        is_given = (quantity.metric, quantity.estimator) in given
        assert is_given or not buildable or quantity.missing, column


def test_every_definition_is_of_a_number_that_some_system_gives(world: World) -> None:
    of_a_users_text = {key for key in definitions() if key[1] == "ngram-of-text"}  # in tests/metrics
    given = {definition_of(number) for run in RUNS for number in measured(*run, world)}
    assert set(definitions()) - of_a_users_text == given
