"""A run that is killed or stopped goes on and ends with the same parameters, bit for bit."""

from __future__ import annotations

import itertools
import resource
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas
import pytest
import torch
from safetensors.torch import load_file

from bench.base.errors import BenchError
from bench.base.files import read_json
from bench.base.locks import locked
from bench.base.outputs import RUNS, claim
from bench.base.settings import RunSettings
from bench.corpora.batches import Collator
from bench.corpora.prepared import Prepared
from bench.models.model import TextModel
from bench.store.freshness import state_folder
from bench.training import loop, run
from bench.training import state as saved
from bench.training.loop import Interrupted, Trainer
from bench.training.procedures import Standard
from bench.training.run import train_run
from tests.conftest import tiny_settings
from tests.training.resuming import assert_same, stop_after

CPU = torch.device("cpu")


def finished(settings: RunSettings, corpus: Prepared, folder: Path) -> Trainer:
    trainer = Trainer(settings, corpus, folder, CPU)
    trainer.train()
    return trainer


@pytest.fixture(scope="module")
def undisturbed(
    corpus: Prepared, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[RunSettings], Trainer]:
    """Trains a run that nothing stops, once for all that are compared with it."""
    kept: dict[str, Trainer] = {}

    def trained(settings: RunSettings) -> Trainer:
        if settings.identity not in kept:
            kept[settings.identity] = finished(settings, corpus, tmp_path_factory.mktemp("whole"))
        return kept[settings.identity]

    return trained


@pytest.mark.parametrize("system", ["gru-lm", "vae", "coupled-beta-1.2-vae"])
@pytest.mark.parametrize("stop", [1, 17, 20, 39])
def test_stopping_at_any_step_changes_nothing(
    system: str,
    stop: int,
    undisturbed: Callable[[RunSettings], Trainer],
    corpus: Prepared,
    tmp_path: Path,
) -> None:
    settings = tiny_settings(system)
    whole = undisturbed(settings)
    first = Trainer(settings, corpus, tmp_path / "parts", CPU)
    stop_after(first, stop)
    with pytest.raises(Interrupted):
        first.train()
    second = finished(settings, corpus, tmp_path / "parts")
    assert second.progress.attempts == 2
    assert_same(whole, second)


LOOKS_BACK = {"kind": "peak-stopped", "start": 12, "length": 30, "smooth": 2, "patience": 3}


@pytest.mark.parametrize("stop", [1, 5, 17, 20, 39])
def test_stopping_changes_nothing_where_a_weight_looks_back(
    stop: int, undisturbed: Callable[[RunSettings], Trainer], corpus: Prepared, tmp_path: Path
) -> None:
    objective = {"kl": {"weight": LOOKS_BACK}}
    settings = tiny_settings("coupled-vae", objective=objective, optimiser={"learning_rate": 0.05})
    whole = undisturbed(settings)
    assert whole.progress.weights == {}  # it was never saved
    weights = [row["kl_weight"] for row in whole.progress.history]
    assert whole.objective.state["kl"]["stopped"]
    assert len(set(weights)) > 1
    assert weights[-1] == whole.objective.state["kl"]["peak"]
    first = Trainer(settings, corpus, tmp_path / "parts", CPU)
    stop_after(first, stop)
    with pytest.raises(Interrupted):
        first.train()
    second = finished(settings, corpus, tmp_path / "parts")
    assert_same(whole, second)
    assert whole.objective.state == second.objective.state


def test_a_run_is_prepared_once_before_its_first_step(
    corpora: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared: list[tuple[int, bool]] = []

    def prepare(self: Standard, model: TextModel, texts: Collator) -> None:
        prepared.append((len(texts.lengths), model.embedding.weight.requires_grad))
        with torch.no_grad():
            model.embedding.weight.zero_()

    monkeypatch.setattr(Standard, "prepare", prepare)
    settings = tiny_settings("gru-lm")
    original, calls = Trainer.one_step, itertools.count()

    def one_step(self: Trainer, step: int) -> None:
        if step == 1:
            assert not self.model.embedding.weight.any()
        if next(calls) == 7:
            self._stop = 15
        original(self, step)

    monkeypatch.setattr(Trainer, "one_step", one_step)
    where = (corpora, tmp_path / "runs", tmp_path / "state")
    with pytest.raises(Interrupted):
        train_run(settings, *where, device="cpu", threads=1)
    train_run(settings, *where, device="cpu", threads=1)
    assert prepared == [(600, True)]


def test_a_preparation_that_took_long_is_saved_and_not_made_again(
    corpora: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor are the weights that a run begins with put over it."""
    prepared: list[int] = []

    def prepare(self: Standard, model: TextModel, texts: Collator) -> None:
        prepared.append(len(prepared))
        self.state["centres"] = 3
        with torch.no_grad():
            model.embedding.weight.fill_(1 / 3)

    monkeypatch.setattr(Standard, "prepare", prepare)
    monkeypatch.setenv("BENCH_CHECKPOINT_SECONDS", "0")
    settings = tiny_settings("gru-lm")

    def killed(self: Trainer, step: int) -> None:
        assert step == 1
        assert self.procedure.state == {"centres": 3}
        assert torch.equal(self.model.embedding.weight, torch.full_like(self.model.embedding.weight, 1 / 3))
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "one_step", killed)
    where = (corpora, tmp_path / "runs", tmp_path / "state")
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train_run(settings, *where, device="cpu", threads=1)
    assert prepared == [0]


def test_a_checkpoint_of_another_run_is_refused(corpus: Prepared, tmp_path: Path) -> None:
    Trainer(tiny_settings("vae"), corpus, tmp_path, CPU).save()
    with pytest.raises(BenchError, match="another configuration"):
        Trainer(tiny_settings("vae", seed=1), corpus, tmp_path, CPU)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_truncated_checkpoint_is_told_and_the_run_starts_again(
    share: float,
    undisturbed: Callable[[RunSettings], Trainer],
    corpus: Prepared,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = tiny_settings("gru-lm", training={"steps": 4})
    trainer = Trainer(settings, corpus, tmp_path / "killed", CPU)
    trainer.one_step(1)
    trainer.save()
    path = tmp_path / "killed" / saved.FILE
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    again = finished(settings, corpus, tmp_path / "killed")
    assert "starts again from its first step: damaged checkpoint" in capsys.readouterr().err
    assert_same(undisturbed(settings), again)


def test_a_disk_that_fills_keeps_the_last_checkpoint(
    undisturbed: Callable[[RunSettings], Trainer],
    corpus: Prepared,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = tiny_settings("vae")
    monkeypatch.setenv("BENCH_CHECKPOINT_SECONDS", "0")  # one after each step
    trainer = Trainer(settings, corpus, tmp_path / "filled", CPU)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    original = trainer.one_step

    def one_step(step: int) -> None:
        if step == 7:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, hard))
        original(step)

    monkeypatch.setattr(trainer, "one_step", one_step)
    try:
        with pytest.raises(BenchError, match=r"cannot write checkpoint\.safetensors: File too large"):
            trainer.train()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    again = Trainer(settings, corpus, tmp_path / "filled", CPU)
    assert again.progress.step == 6
    again.train()
    assert_same(undisturbed(settings), again)


def test_a_clock_that_goes_backwards_changes_no_result(
    corpora: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Durations are taken from clocks that only go on; the time of day is only written down."""
    hours = itertools.count()

    class Backwards(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Backwards:
            return cls.fromtimestamp(1e9 - 3600 * next(hours), tz)

    settings, done = tiny_settings("vae"), {}
    for which in ("usual", "backwards"):
        if which == "backwards":
            monkeypatch.setattr(time, "time", lambda: 1e9 - 3600 * next(hours))
            for module in (loop, run):
                monkeypatch.setattr(module, "datetime", Backwards)
        where = (corpora, tmp_path / which / "runs", tmp_path / which / "state")
        done[which] = train_run(settings, *where, device="cpu", threads=1)
    provenance = done["backwards"]["provenance"]
    assert provenance["finished"] < provenance["started"]  # it did go backwards
    assert done["backwards"]["cost"]["seconds"] > 0
    assert done["backwards"]["cost"]["tokens_per_second"] > 0
    weights = [tmp_path / which / "runs" / settings.name / "model.safetensors" for which in done]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_a_second_process_on_the_same_run_is_refused(corpora: Path, corpus: Prepared, tmp_path: Path) -> None:
    settings = tiny_settings("gru-lm")
    folder = state_folder(tmp_path / "state", settings, corpus.data_hash)
    with (
        locked(folder, settings.name),
        pytest.raises(BenchError, match="another process is working on demo/"),
    ):
        train_run(settings, corpora, tmp_path / "runs", tmp_path / "state", device="cpu", threads=1)


def test_a_second_process_told_to_wait_takes_what_the_first_leaves(
    corpora: Path, corpus: Prepared, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tiny_settings("gru-lm", training={"steps": 4})
    where = (corpora, tmp_path / "runs", tmp_path / "state")
    first = train_run(settings, *where, device="cpu", threads=1)
    held = threading.Event()

    def hold() -> None:
        with locked(state_folder(tmp_path / "state", settings, corpus.data_hash), settings.name):
            held.set()
            time.sleep(0.5)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    second = train_run(settings, *where, device="cpu", threads=1, wait=True)
    holder.join()
    assert "waiting for it" in capsys.readouterr().err
    assert second == first  # not trained again: even the times are those of the first
    assert not list((tmp_path / "state").glob("*/"))
    assert train_run(settings, *where, device="cpu", threads=1, wait=True) != first  # nobody to wait for


def test_a_run_is_not_written_while_another_process_works_on_its_folder(
    corpora: Path, tmp_path: Path, held: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tiny_settings("gru-lm", training={"steps": 4})
    folder, seen = tmp_path / "runs" / settings.name, list[list[str]]()
    claim(tmp_path / "runs", RUNS)
    folder.mkdir(parents=True)
    (folder / ".model.safetensors.abcdefgh.part").touch()  # of the other process
    held(folder, lambda: seen.append(sorted(path.name for path in folder.iterdir())))
    done = train_run(settings, corpora, tmp_path / "runs", tmp_path / "state", device="cpu", threads=1)
    assert "waiting for it" in capsys.readouterr().err
    assert seen == [[".lock", ".model.safetensors.abcdefgh.part"]]
    assert read_json(folder / "run.json") == done
    assert sorted(path.name for path in folder.iterdir()) == sorted(["run.json", *run.FILES])


def test_the_weights_written_are_the_best_of_the_validations(corpora: Path, tmp_path: Path) -> None:
    settings = tiny_settings("dae")
    done = train_run(settings, corpora, tmp_path / "runs", tmp_path / "state", device="cpu", threads=1)
    table = pandas.read_parquet(tmp_path / "runs" / settings.name / "validation.parquet")
    assert done["best"]["step"] == table["step"][table["reconstruction"].argmin()]
    assert done["best"]["criterion"] == "validation reconstruction"
    assert load_file(tmp_path / "runs" / settings.name / "model.safetensors")


def test_a_corpus_prepared_under_other_rules_is_refused(corpora: Path, tmp_path: Path) -> None:
    settings = tiny_settings("gru-lm", text={"min_count": 2})
    with pytest.raises(BenchError, match="prepared under other rules"):
        train_run(settings, corpora, tmp_path / "runs", tmp_path / "state", device="cpu", threads=1)
