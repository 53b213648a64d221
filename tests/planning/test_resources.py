"""What a job asks of a cluster follows its corpus, its steps, its procedure and its device."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.base.files import write_json
from bench.base.settings import RunSettings
from bench.base.upgrade import upgraded
from bench.catalog.catalog import load_catalog
from bench.planning.resolve import resolve
from bench.planning.resources import DAY, Sizes, evaluation_needs, passes, sizes_of, training_needs
from tests.conftest import CORPUS

PTB = Sizes(mean=21.1, longest=82, words=10_002, texts={"valid": 3_370, "test": 3_761})
LONG = Sizes(mean=79.1, longest=200, words=20_000, texts={"valid": 10_000, "test": 10_000})
ROOT = Path(__file__).parents[2]


def run(system: str = "vae", tier: str = "quick", **settings: Any) -> RunSettings:
    return resolve(load_catalog(), tier, "coupled-vae", "ptb", system, 0, settings)


def minutes(system: str = "vae", sizes: Sizes = PTB, device: str = "cpu", **settings: Any) -> int:
    return training_needs(run(system, **settings), sizes, device, 1).minutes


def test_what_costs_more_asks_for_more() -> None:
    usual = minutes()
    assert minutes(training={"steps": 6_000}) > usual
    assert minutes(training={"batch": 64}) > usual
    assert minutes(training={"validate_every": 10}) > usual
    assert minutes(sizes=LONG) > 3 * usual  # texts four times as long
    assert minutes("coupled-vae") > usual
    assert minutes("sa-vae") > minutes("coupled-vae")
    assert minutes("lagging-vae", device="cuda") > 5 * minutes(device="cuda")
    assert minutes(device="cuda") < usual
    assert minutes(device="auto") == usual  # nobody knows whether there will be a card


def test_passes_of_a_step() -> None:
    assert passes(run()) == 1
    assert passes(run("coupled-vae")) == 2
    assert passes(run("lagging-vae")) == 1 + 99 // 2
    assert passes(run("lagging-vae", procedure={"inner": 5})) == 6
    assert passes(run("sa-vae", procedure={"ascents": 20})) == 1 + 2 * 20
    assert passes(run(objective={"bound": {"kind": "importance-bound", "codes": 4}})) == 4


def test_each_attempt_asks_for_more_and_the_first_for_a_day_at_most() -> None:
    asked = [training_needs(run("sa-vae", "paper"), LONG, "cpu", attempt) for attempt in (1, 2, 3)]
    assert [needs.minutes for needs in asked] == [DAY, 2 * DAY, 3 * DAY]
    assert [needs.mem_mb for needs in asked] == [asked[0].mem_mb * attempt for attempt in (1, 2, 3)]


def test_memory_follows_the_longest_texts_and_the_graphs_that_are_held() -> None:
    def memory(system: str, sizes: Sizes) -> int:
        return training_needs(run(system), sizes, "cpu", 1).mem_mb

    assert memory("vae", LONG) > memory("vae", PTB)
    assert memory("sa-vae", PTB) > memory("vae", PTB)
    assert evaluation_needs(run("sa-vae"), PTB, "cpu", 1).mem_mb == memory("vae", PTB)


def test_an_evaluation_follows_its_samples() -> None:
    def asked(**evaluation: int) -> int:
        return evaluation_needs(run(evaluation=evaluation), PTB, "cpu", 1).minutes

    assert asked(samples=1000) > asked(samples=100) > asked(samples=10)
    assert asked(reconstructions=100) > asked(reconstructions=1)


@pytest.mark.parametrize("published", sorted(ROOT.glob("results/published/runs/*/*/*/*/*/run.json")))
def test_what_was_measured_stays_within_what_would_be_asked_for(published: Path) -> None:
    trained = json.loads(published.read_text())
    measured = json.loads(published.with_name("measurements.json").read_text())
    card = ROOT / "results/published/corpora" / "/".join(trained["name"].split("/")[1:3]) / "card.json"
    settings, sizes = RunSettings.model_validate(upgraded(trained["settings"])), sizes_of(card)
    assert trained["cost"]["seconds"] < 60 * training_needs(settings, sizes, "cpu", 1).minutes
    assert trained["cost"]["peak_memory_mb"] < training_needs(settings, sizes, "cpu", 1).mem_mb
    assert measured["seconds"] < 60 * evaluation_needs(settings, sizes, "cpu", 1).minutes


def test_sizes_are_those_of_the_card_once_there_is_one(corpora: Path, tmp_path: Path) -> None:
    found = sizes_of(corpora / "coupled-vae" / CORPUS / "card.json")
    assert (found.texts["valid"], found.texts["test"]) == (100, 100)
    assert found.mean < found.longest < 40 < found.words < 1000
    assert sizes_of(tmp_path / "card.json") == Sizes()
    write_json(tmp_path / "card.json", {})
    assert sizes_of(tmp_path / "card.json") == Sizes()
