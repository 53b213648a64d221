"""A run that begins with trained modules of another: which weights it takes, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from bench.base.errors import BenchError
from bench.base.files import read_json, sha256_file, write_json
from bench.base.settings import RunSettings, Start
from bench.catalog.catalog import load_catalog
from bench.corpora.prepared import Prepared
from bench.planning.resolve import resolve
from bench.store.freshness import state_folder, trained_record
from bench.training.composition import build_model
from bench.training.loop import Trainer
from bench.training.run import _begin, train_run
from tests.conftest import tiny_settings

MODULES = ("embedding", "encoder", "branch.posterior.mean")


def beginning(system: str = "vae", modules: tuple[str, ...] = MODULES, **changes: Any) -> RunSettings:
    """A tiny run that begins with the tiny DAE; ``changes`` are those of the DAE that it expects."""
    identity = tiny_settings("dae", **changes).training_identity
    start = Start(system="dae", modules=modules, identity=identity)
    return tiny_settings(system).model_copy(update={"starts_from": start})


@pytest.fixture
def runs(corpora: Path, tmp_path: Path) -> Path:
    """A folder with a trained DAE."""
    train(tiny_settings("dae"), corpora, tmp_path)
    return tmp_path


def train(settings: RunSettings, corpora: Path, runs: Path) -> dict[str, Any]:
    return train_run(settings, corpora, runs, runs / "state", device="cpu", threads=1)


def weights(runs: Path, settings: RunSettings) -> dict[str, torch.Tensor]:
    return load_file(runs / settings.name / "model.safetensors")


@pytest.mark.parametrize("system", ["vae", "coupled-vae"])
def test_the_named_modules_are_taken_and_all_others_are_fresh(
    system: str, corpora: Path, runs: Path, corpus: Prepared
) -> None:
    # With a rate that moves nothing, the trained run still shows what it began with.
    still = {"learning_rate": 1e-30}
    settings = beginning(system)
    settings = settings.model_copy(update={"optimiser": settings.optimiser.model_copy(update=still)})
    train(settings, corpora, runs)
    found, first = weights(runs, settings), weights(runs, tiny_settings("dae"))
    fresh = build_model(settings, len(corpus.vocabulary)).state_dict()
    for name, value in found.items():
        taken = name.startswith(MODULES)
        torch.testing.assert_close(value, (first if taken else fresh)[name], rtol=0, atol=1e-12, msg=name)
        if taken:
            assert not torch.allclose(value, fresh[name]), name


@pytest.mark.parametrize(("paper", "name"), [("prefb", "prefb-8"), ("flow-prior", "pre-vae-fb")])
def test_a_decoder_begins_anew_with_its_embedding(
    paper: str, name: str, corpora: Path, corpus: Prepared, tmp_path: Path
) -> None:
    changes = {"training": {"steps": 4, "validate_every": 2, "validation_samples": 1, "gradient_texts": 0}}
    first, settings = (
        resolve(load_catalog(), "demo", paper, "generated-tiny", one, 0, changes)
        for one in ("autoencoder", name)
    )
    (tmp_path / "corpora").mkdir()
    (tmp_path / "corpora" / paper).symlink_to(corpora / "coupled-vae")
    train(first, tmp_path / "corpora", tmp_path / "runs")
    trainer = Trainer(settings, corpus, tmp_path / "state", torch.device("cpu"))
    fresh = {key: value.clone() for key, value in trainer.model.state_dict().items()}
    _begin(trainer, tmp_path / "runs")
    taken = {key for key, value in trainer.model.state_dict().items() if not torch.equal(value, fresh[key])}
    assert taken == {key for key in fresh if key.startswith(("encoder.", "branch.posterior."))}
    assert "encoder.table.weight" in taken  # and not "embedding.weight", which is the decoder's


def test_it_changes_what_is_trained(corpora: Path, runs: Path) -> None:
    train(tiny_settings("vae"), corpora, runs)
    alone = weights(runs, tiny_settings("vae"))
    train(beginning(), corpora, runs)
    begun = weights(runs, beginning())
    assert not torch.allclose(alone["branch.output.weight"], begun["branch.output.weight"])


def trained_anew(runs: Path) -> str:
    """The DAE gets other weights; their hash."""
    folder = runs / tiny_settings("dae").name
    changed = {name: value / 2 for name, value in weights(runs, tiny_settings("dae")).items()}
    save_file(changed, folder / "model.safetensors")
    content = read_json(folder / "run.json")
    content["files"]["model.safetensors"] = found = sha256_file(folder / "model.safetensors")
    write_json(folder / "run.json", content)
    return found


def test_a_run_is_finished_as_long_as_what_it_began_with_is_there(
    corpora: Path, runs: Path, corpus: Prepared
) -> None:
    settings, dae = beginning(), tiny_settings("dae").name
    done = train(settings, corpora, runs)
    first = sha256_file(runs / dae / "model.safetensors")
    assert read_json(runs / dae / "run.json")["begun_with"] is None
    assert done["begun_with"] == {"run": dae, "weights_sha256": first}
    assert trained_record(settings, runs, corpus.data_hash) == done
    assert trained_anew(runs) != first
    assert trained_record(settings, runs, corpus.data_hash) is None
    path = runs / settings.name / "run.json"
    before = {
        key: value for key, value in done.items() if key != "begun_with"
    }  # as earlier versions wrote it
    write_json(path, before)
    assert trained_record(settings, runs, corpus.data_hash) == before
    write_json(path, done)
    (runs / dae / "run.json").unlink()
    assert trained_record(settings, runs, corpus.data_hash) == done


@pytest.mark.parametrize("anew", [False, True])
def test_a_resumed_run_keeps_what_it_began_with_and_starts_again_with_other_weights(
    anew: bool, corpora: Path, runs: Path, corpus: Prepared, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = beginning()
    folder = state_folder(runs / "state", settings, corpus.data_hash)
    trainer = Trainer(settings, corpus, folder, torch.device("cpu"))
    _begin(trainer, runs)
    trainer.one_step(1)
    trainer.save()
    now = trained_anew(runs) if anew else sha256_file(runs / tiny_settings("dae").name / "model.safetensors")
    assert train(settings, corpora, runs)["begun_with"]["weights_sha256"] == now
    assert ("dae/seed0 has other weights now" in capsys.readouterr().err) == anew


def test_what_cannot_be_begun_with_is_refused(corpora: Path, runs: Path) -> None:
    folder = runs / tiny_settings("dae").name
    with pytest.raises(BenchError, match="another configuration"):
        train(beginning(optimiser={"learning_rate": 0.5}), corpora, runs)
    with pytest.raises(BenchError, match="no module 'decoder' to begin with"):
        train(beginning(modules=("decoder",)), corpora, runs)
    save_file({"embedding.weight": torch.zeros(1)}, folder / "model.safetensors")
    with pytest.raises(BenchError, match="weights to begin with are damaged"):
        train(beginning(), corpora, runs)
    (folder / "run.json").unlink()
    with pytest.raises(BenchError, match=r"begins with another run(.|\n)*bench train .*/dae/seed0"):
        train(beginning(), corpora, runs)


def test_a_module_of_another_size_is_refused_by_name(corpora: Path, runs: Path) -> None:
    folder = runs / tiny_settings("dae").name
    smaller = {name: value[:1] for name, value in weights(runs, tiny_settings("dae")).items()}
    save_file(smaller, folder / "model.safetensors")
    content = read_json(folder / "run.json")
    content["files"]["model.safetensors"] = sha256_file(folder / "model.safetensors")
    write_json(folder / "run.json", content)
    with pytest.raises(BenchError, match="no module 'embedding' to begin with"):
        train(beginning(), corpora, runs)
