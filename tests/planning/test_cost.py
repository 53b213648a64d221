"""What a plan would cost: the estimate grows with what is asked for, and says what it assumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.base.errors import BenchError
from bench.base.settings import RunSettings
from bench.base.times import span
from bench.catalog.catalog import Catalog, load_catalog
from bench.planning import cost as cost_module
from bench.planning.cost import downloads, estimate, sizes_of
from bench.planning.plan import Request, make_plan
from bench.planning.summary import recorded_summary
from bench.store.costs import TIMED, Cost, CostRecord, CostRecords
from bench.store.provenance import describe_device
from tests.conftest import CORPUS, TINY

CATALOG: Catalog = load_catalog()


def costs(corpora: Path, **values: object) -> list[Cost]:
    request = Request.model_validate({"corpora": CORPUS, "settings": TINY, **values})
    return list(estimate(CATALOG, make_plan(CATALOG, request), corpora, "cpu", 1))


def test_seeds_are_timed_once_and_counted_each(corpora: Path) -> None:
    first, second = costs(corpora, systems="vae", seeds=(0, 1))
    assert (first.name, second.name) == tuple(f"demo/coupled-vae/{CORPUS}/vae/seed{seed}" for seed in (0, 1))
    assert first.seconds == second.seconds
    assert first.seconds == first.training + first.validation + first.evaluation
    assert min(first.training, first.validation, first.evaluation) > 0
    assert not first.assumed


def test_twice_the_parameters_need_more_disk_and_a_language_model_less_time(corpora: Path) -> None:
    language_model, vae, coupled = costs(corpora, systems="gru-lm,vae,coupled-vae")
    assert language_model.disk < vae.disk < coupled.disk
    assert language_model.evaluation < vae.evaluation


def test_a_corpus_that_is_not_prepared_is_assumed(tmp_path: Path) -> None:
    (cost,) = costs(tmp_path, systems="gru-lm")
    assert cost.assumed
    assert cost.training > 0


def test_what_the_catalog_knows_is_not_assumed() -> None:
    assert sizes_of(CATALOG.corpus("ptb")).texts == {"train": 42068, "valid": 3370, "test": 3761}
    tiny = sizes_of(CATALOG.corpus(CORPUS))
    assert tiny.texts == {"train": 600, "valid": 100, "test": 100}
    assert 80 <= tiny.words <= 99
    assert 5 <= tiny.mean <= 12


def test_a_run_that_others_begin_with_is_trained_and_not_measured(corpora: Path) -> None:
    prefb, dae = costs(corpora, systems="prefb-vae")
    assert [cost.name.split("/")[-2] for cost in (prefb, dae)] == ["prefb-vae", "dae"]
    assert dae.training > 0 == dae.evaluation


def test_a_device_that_is_not_there_is_told(corpora: Path) -> None:
    plan = make_plan(CATALOG, Request(systems=("vae",), corpora=(CORPUS,)))
    with pytest.raises(BenchError, match="unknown device 'tpu'"):
        list(estimate(CATALOG, plan, corpora, "tpu", 1))


def test_only_what_is_not_in_the_cache_is_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))
    plan = make_plan(CATALOG, Request(tier="quick", systems=("vae", "dae"), seeds=(0, 1)))
    assert downloads(CATALOG, plan) == (5_101_618 + 399_782 + 449_945, 0)
    (tmp_path / "ptb").mkdir()
    (tmp_path / "ptb" / "train.txt").write_text("")
    assert downloads(CATALOG, plan) == (399_782 + 449_945, 0)
    yahoo = make_plan(CATALOG, Request(tier="paper", systems=("vae",), corpora=("yahoo",)))
    assert downloads(CATALOG, yahoo) == (3_683_525 + 3_679_941, 1)
    assert downloads(CATALOG, make_plan(CATALOG, Request(systems=("vae",)))) == (0, 0)


def test_what_was_timed_is_kept_for_the_next_plan_and_for_like_systems(
    corpora: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = Request(systems=("beta-0.8-vae", "beta-1.2-vae"), corpora=(CORPUS,), settings=TINY)
    plan = make_plan(CATALOG, request)
    timed: list[str] = []
    calibrate = cost_module._calibrate

    def counted(run: RunSettings, *more: Any) -> CostRecord:
        timed.append(run.name)
        return calibrate(run, *more)

    monkeypatch.setattr(cost_module, "_calibrate", counted)
    first = list(estimate(CATALOG, plan, corpora, "cpu", 1, tmp_path))
    assert len(timed) == 1  # they differ in a weight alone
    assert first == list(estimate(CATALOG, plan, corpora, "cpu", 1, tmp_path))
    assert len(timed) == 1
    assert {cost.basis for cost in first} == {"timed"}
    said = recorded_summary(CATALOG, plan, tmp_path, "cpu")
    assert said.startswith(f"2 runs, 80 steps, {span(sum(cost.seconds for cost in first))} of one process")
    (tmp_path / TIMED).write_text("{broken")
    assert next(estimate(CATALOG, plan, tmp_path, "cpu", 1, tmp_path)).assumed
    assert len(timed) == 2
    assert not next(estimate(CATALOG, plan, corpora, "cpu", 1, tmp_path)).assumed  # it is prepared by now
    assert len(timed) == 3


def test_what_was_timed_is_of_so_many_threads_and_not_kept_of_a_busy_machine(
    corpora: Path, tmp_path: Path
) -> None:
    plan = make_plan(CATALOG, Request(systems=("gru-lm",), corpora=(CORPUS,), settings=TINY))
    list(estimate(CATALOG, plan, corpora, "cpu", 1, tmp_path, keep=False))
    assert not (tmp_path / TIMED).exists()
    list(estimate(CATALOG, plan, corpora, "cpu", 1, tmp_path))
    (run,) = plan.runs.values()
    device = describe_device("cpu")
    assert CostRecords(tmp_path, device, 1).like(run) is not None
    assert CostRecords(tmp_path, device, 2).like(run) is None
    assert CostRecords(tmp_path, device).like(run) is not None  # a dry run knows of no threads
