"""A step that does not fit into memory is taken in parts, if that changes nothing, and the run says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from bench.base.errors import BenchError
from bench.base.files import read_json
from bench.base.outputs import STATE, claim
from bench.base.settings import RunSettings
from bench.catalog.catalog import load_catalog
from bench.corpora.prepared import Prepared
from bench.models.forward import Forward
from bench.models.noise import Noise
from bench.objectives.objective import Objective, Terms, Weights, looks_across
from bench.planning.resolve import resolve
from bench.store.freshness import state_folder
from bench.training.loop import Trainer
from bench.training.run import train_run
from bench.training.turns import ALL, Turn
from bench.training.update import Step, Update
from tests.conftest import CORPUS

CPU = torch.device("cpu")
FEW = {"steps": 6, "validate_every": 3, "batch": 7, "log_every": 1}


def few(system: str, **changes: Any) -> RunSettings:
    """A few small batches, in the sizes of the demo."""
    changes |= {"training": {**FEW, "precision": "float32", "validation_samples": 2, "gradient_texts": 0}}
    return resolve(load_catalog(), "demo", "coupled-vae", CORPUS, system, 0, changes)


def gradient(trainer: Trainer, parts: int) -> tuple[Terms, dict[str, torch.Tensor]]:
    """The terms of the objective and the gradients of the first batch, taken in so many parts."""
    trainer.model.train().zero_grad()
    noise = Noise("noise", 0, device=CPU)
    terms = trainer.objective.backward(trainer.model, trainer.batch(1), noise, {"kl": 0.7}, parts)
    return terms, {n: p.grad.clone() for n, p in trainer.model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("parts", [2, 3, 7])
@pytest.mark.parametrize("system", ["gru-lm", "dae", "coupled-vae", "prefb-vae", "coupled-vmf-vae"])
def test_parts_of_a_batch_have_the_gradient_of_the_whole(
    system: str, parts: int, corpus: Prepared, tmp_path: Path
) -> None:
    trainer = Trainer(few(system), corpus, tmp_path, CPU)
    (whole, expected), (summed, found) = (gradient(trainer, n) for n in (1, parts))
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-6)
    for name, term in whole.items():
        torch.testing.assert_close(summed[name], term.detach(), rtol=1e-5, atol=1e-6)


ACROSS = {
    "wae": "a penalty on the aggregated posterior",
    "vae-nf": "batch normalisation",
    "cnn-vae": "batch normalisation",
    "sa-vae": "the clipping of the ascents of a batch",
}


@pytest.mark.parametrize("system", ACROSS)
def test_what_looks_at_a_batch_as_a_whole_is_known(system: str, corpus: Prepared, tmp_path: Path) -> None:
    trainer = Trainer(few(system), corpus, tmp_path, CPU)
    assert ACROSS[system] in looks_across(trainer.model, trainer.objective, trainer.procedure)
    with pytest.raises(BenchError, match=f"cannot be taken in parts, because .*{ACROSS[system]}"):
        trainer.smaller_parts()


def test_a_floor_on_the_mean_of_a_batch_looks_at_it_as_a_whole(corpus: Prepared, tmp_path: Path) -> None:
    trainer = Trainer(few("prefb-vae", objective={"kl": {"form": "batch"}}), corpus, tmp_path, CPU)
    assert looks_across(trainer.model, trainer.objective, trainer.procedure) == [
        "a floor on the mean KL of a batch"
    ]


def scarce(monkeypatch: pytest.MonkeyPatch, texts: int, after: int = 0) -> list[int]:
    """Let no batch of more than so many texts fit, after some that do; returns the sizes that were tried."""
    tried: list[int] = []
    original = Objective.__call__

    def call(self: Objective, forward: Forward, weights: Weights) -> Terms:
        tried.append(forward.texts)
        if forward.texts > texts and len(tried) > after:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(self, forward, weights)

    monkeypatch.setattr(Objective, "__call__", call)
    return tried


@pytest.mark.parametrize("system", ["coupled-vae", "lagging-vae"])
def test_a_run_that_meets_the_end_of_memory_goes_on_in_parts(
    system: str, corpora: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = few(system)
    done = {}
    for which in ("whole", "parts"):
        if which == "parts":
            tried = scarce(monkeypatch, 2, after=2)
        where = (corpora, tmp_path / which / "runs", tmp_path / which / "state")
        done[which] = train_run(settings, *where, device="cpu", threads=1)
    assert done["whole"]["provenance"]["accumulation"] is None
    told = read_json(tmp_path / "parts" / "runs" / settings.name / "run.json")["provenance"]["accumulation"]
    assert told == {"from_step": 1, "parts": 4, "reason": "out of memory at step 1"}
    assert max(tried[-8:]) == 2
    weights = [load_file(tmp_path / w / "runs" / settings.name / "model.safetensors") for w in done]
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=1e-2, atol=1e-3)


def test_recordings_are_given_up_before_a_batch_is_taken_in_parts(
    corpora: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The memory ends while recordings are held: without them a whole batch fits, of a system that has no parts too."""
    made: list[Update] = []

    class Holding(Update):
        recordings = 1

        def __call__(self, step: Step, turn: Turn = ALL) -> tuple[Terms, torch.Tensor]:
            if step.number > 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().__call__(step, turn)

    original = Trainer._update

    def update(self: Trainer, without: str | None) -> Update:
        if without is None:
            made.append(Holding(self.model, self.objective, self.stepper, self.dtype))
            return made[-1]
        return original(self, without)

    monkeypatch.setattr(Trainer, "_update", update)
    where = (corpora, tmp_path / "runs", tmp_path / "state")
    told = train_run(few("wae"), *where, device="cpu", threads=1)["provenance"]
    assert len(made) == 1
    assert told["accumulation"] is None
    assert told["without_graphs"] == "out of memory at step 3"


def test_it_goes_on_from_its_checkpoint_and_remembers(
    corpus: Prepared, corpora: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = few("vae")
    state = claim(tmp_path / "state", STATE)
    trainer = Trainer(settings, corpus, state_folder(state, settings, corpus.data_hash), CPU)
    for step in (1, 2, 3, 4):
        trainer.one_step(step)
    trainer.save()
    scarce(monkeypatch, 4)
    done = train_run(settings, corpora, tmp_path / "runs", tmp_path / "state", device="cpu", threads=1)
    assert done["provenance"]["accumulation"]["from_step"] == 5
    assert done["provenance"]["accumulation"]["parts"] == 2
    trainer.progress.accumulation = done["provenance"]["accumulation"]
    trainer.save()
    assert Trainer(settings, corpus, trainer.folder, CPU).parts == 2


@pytest.mark.parametrize(
    ("system", "why"), [("gru-lm", "parts of one text already"), ("wae", "looks at them")]
)
def test_a_run_that_cannot_be_made_smaller_fails_and_says_why(
    system: str, why: str, corpora: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scarce(monkeypatch, 0)
    where = (corpora, tmp_path / "runs", tmp_path / "state")
    with pytest.raises(BenchError, match=f"out of memory; .*{why}"):
        train_run(few(system), *where, device="cpu", threads=1)
    (status,) = (tmp_path / "state").glob("*/status.json")
    assert (read_json(status)["state"], why in read_json(status)["reason"]) == ("failed", True)


def test_another_fault_is_not_taken_for_the_end_of_memory(
    corpus: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("shapes do not fit")

    trainer = Trainer(few("vae"), corpus, tmp_path, CPU)
    monkeypatch.setattr(trainer, "procedure", fail)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        trainer.one_step(1)


def test_the_library_is_understood_when_memory_is_gone() -> None:
    from bench.base.device import out_of_memory

    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert out_of_memory(caught.value)
    assert not out_of_memory(RuntimeError("shapes do not fit"))
