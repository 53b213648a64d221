"""A pack on a machine without kenlm, of systems whose updates take turns: the rest is measured at home."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bench.base.files import read_json
from bench.base.settings import RunSettings
from bench.catalog.catalog import load_catalog
from bench.corpora.prepare import prepare
from bench.metrics.evaluate import evaluate_run
from bench.metrics.measures import measures
from bench.metrics.needs import wanted
from bench.planning.pack import Outcome, Workers, pack
from bench.planning.plan import Plan, Request
from bench.planning.resolve import find_run, text_rules
from bench.store.freshness import next_stage
from bench.store.run_archives import archive, unpack
from bench.training.run import train_run
from tests.conftest import CORPUS
from tests.conftest import TINY as COMMON
from tests.ivae import TINY

CATALOG = load_catalog()
EVALUATION = COMMON["evaluation"] | {"reverse_samples": 20}
SETTINGS: dict[str, Any] = TINY | {"evaluation": EVALUATION}
IVAE, APO = NAMES = [f"demo/{one}/seed0" for one in (f"ivae/{CORPUS}/ivae-mi", f"apo-vae/{CORPUS}/apo-vae")]
OF_KENLM = {"released-ngrams", "reverse-budget", "sample-ppl"}


def run_of(name: str) -> RunSettings:
    return find_run(CATALOG, name, SETTINGS)


@dataclass(frozen=True)
class Packed:
    """Results of a pack without kenlm, its outcomes and those of a second call, and the same runs made alone."""

    results: Path
    outcomes: list[Outcome]
    again: list[Outcome]
    alone: Path


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    folder = tmp_path_factory.mktemp("elsewhere")
    results, alone, corpora = folder / "results", folder / "alone", folder / "results" / "corpora"
    for name in NAMES:
        paper = run_of(name).paper
        prepare(CATALOG.corpus(CORPUS), {}, text_rules(CATALOG, paper, CORPUS), corpora / paper / CORPUS)
    without = folder / "without"
    without.mkdir()
    (without / "sitecustomize.py").write_text("import sys\nsys.modules['kenlm'] = None\n", encoding="utf-8")
    plan = Plan(Request(settings=SETTINGS), {name: run_of(name) for name in NAMES})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(without))
        outcomes = pack(CATALOG, plan, corpora, results, Workers(2, "cpu", 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.metrics.measures.Measure.can_be_made", property(lambda one: not one.library))
        again = pack(CATALOG, plan, corpora, results, Workers(2, "cpu", 1))
    for name in NAMES:
        train_run(run_of(name), corpora, alone / "runs", alone / "state", device="cpu", threads=1)
        evaluate_run(run_of(name), corpora, alone / "runs", device="cpu", threads=1)
    return Packed(results, outcomes, again, alone)


def numbers(runs: Path, name: str, *, of_kenlm: bool) -> list[dict[str, Any]]:
    """The measurements of a run by the measures that need kenlm, or by the others; but for those by a clock."""
    found = read_json(runs / name / "measurements.json")["measurements"]
    return [
        one for one in found if (one["measure"] in OF_KENLM) == of_kenlm and one["measure"] != "training-time"
    ]


@pytest.mark.parametrize("name", NAMES)
def test_runs_whose_updates_take_turns_are_packed_as_if_alone(name: str, packed: Packed) -> None:
    assert {one.name: one.state for one in packed.outcomes} == dict.fromkeys(NAMES, "finished")
    weights = [folder / "runs" / name / "model.safetensors" for folder in (packed.results, packed.alone)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    ours, alone = (
        numbers(folder / "runs", name, of_kenlm=False) for folder in (packed.results, packed.alone)
    )
    assert ours == alone != []


def test_what_needs_kenlm_is_left_and_told_and_the_pack_is_done(packed: Packed) -> None:
    assert numbers(packed.results / "runs", IVAE, of_kenlm=True) == []
    log = (packed.results / "logs" / "train" / f"{IVAE}.log").read_text(encoding="utf-8")
    named = {"midway", "sample-ppl-of-text"}  # which this paper does not name
    assert {one.name for one in measures().values() if one.library == "kenlm"} == OF_KENLM | named
    for name in OF_KENLM:
        assert f"is not measured by {name} here: kenlm is not installed" in log
    assert [(one.state, one.reason) for one in packed.again] == [("finished", "")] * 2


def test_at_home_the_rest_is_measured_without_training(packed: Packed, tmp_path: Path) -> None:
    home, corpora = tmp_path / "results", packed.results / "corpora"
    shutil.copytree(corpora, home / "corpora")
    left = [name for name in NAMES if next_stage(run_of(name), packed.results, wanted) == "evaluate"]
    assert left == [IVAE]  # no measure of the other needs kenlm
    archive(packed.results, NAMES, tmp_path / "runs.tar.gz", unfinished=left)
    assert {one.state for one in unpack(tmp_path / "runs.tar.gz", home, run_of)} == {"taken"}
    assert [path.parent for path in home.rglob("model.safetensors")] == [home / "runs" / IVAE]
    assert next_stage(run_of(IVAE), home, wanted) == "evaluate"
    evaluate_run(run_of(IVAE), home / "corpora", home / "runs", device="cpu", threads=1)
    assert next_stage(run_of(IVAE), home, wanted) is None
    for of_kenlm in (True, False):
        expected = numbers(packed.alone / "runs", IVAE, of_kenlm=of_kenlm)
        assert numbers(home / "runs", IVAE, of_kenlm=of_kenlm) == expected != []
