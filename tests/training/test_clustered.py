"""Centres of codes before the first step, and modules that are lent for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from bench.base.errors import BenchError
from bench.base.settings import RunSettings, Start
from bench.corpora.prepared import Prepared
from bench.training.clustered import Clustered, centres
from bench.training.composition import build_model
from bench.training.run import train_run
from tests.conftest import tiny_settings
from tests.plain import collator, small_model

LATENT = {"latent": 12}  # as large as a word, as the decoder of these systems reads it
FLOWS: dict[str, Any] = {"signal": {"kind": "planar-flow", "centres": 3}, "procedure": "clustered", **LATENT}


def test_the_centres_are_the_means_of_groups_that_lie_apart() -> None:
    random, means = np.random.default_rng(0), np.array([[0.0, 9.0], [9.0, 0.0], [-9.0, -9.0]])
    codes = np.concatenate([mean + random.normal(size=(20, 2)) for mean in means])
    found = centres(codes, 3)
    expected = codes.reshape(3, 20, 2).mean(1)
    np.testing.assert_allclose(found[found[:, 0].argsort()], expected[expected[:, 0].argsort()])
    with pytest.raises(BenchError, match="fewer than 3"):
        centres(codes[:2], 3)


@pytest.mark.parametrize("codes", ["means", "samples"])
def test_the_flows_get_the_centres_of_the_codes_of_the_texts(codes: Any) -> None:
    model = small_model("vae", **FLOWS)
    Clustered(4, codes=codes).prepare(model, collator([[4], [5, 6], [7], [8, 8]]))
    found = model.branch.signal.centres  # type: ignore[union-attr]
    assert found.shape == (3, 12)
    assert len(found.unique(dim=0)) == 3
    with pytest.raises(BenchError, match="no flow has centres"):
        Clustered(4).prepare(small_model("vae"), collator([[4]]))


def test_lent_modules_give_centres_and_training_begins_without_them(
    corpora: Path, corpus: Prepared, tmp_path: Path
) -> None:
    """With a rate that moves nothing, the trained run still shows what it began with."""

    def trained(settings: RunSettings) -> dict[str, torch.Tensor]:
        train_run(settings, corpora, tmp_path, tmp_path / "state", device="cpu", threads=1)
        return load_file(tmp_path / settings.name / "model.safetensors")

    few: dict[str, Any] = {"training": {"steps": 2, "validate_every": 1, "keep": "last"}}
    first = tiny_settings("vae", **few, **LATENT)
    trained(first)
    modules = ("embedding", "encoder", "branch.posterior")
    start = Start(system="vae", modules=modules, identity=first.training_identity, lent=True)
    settings = tiny_settings("beta-0.8-vae", **few, **FLOWS, optimiser={"learning_rate": 1e-30})
    settings = settings.model_copy(update={"starts_from": start})
    found, fresh = trained(settings), build_model(settings, len(corpus.vocabulary)).state_dict()
    assert found.pop("branch.signal.centres").abs().sum() > 0
    assert not fresh.pop("branch.signal.centres").any()
    for name, value in found.items():
        torch.testing.assert_close(value, fresh[name], rtol=0, atol=1e-12, msg=name)
