"""What only a GPU can show: recordings, and products in a narrow type, on the device itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench.base.device import choose_device
from bench.corpora.prepared import Prepared
from bench.estimators.likelihood import text_likelihoods
from bench.training import update
from bench.training.loop import Trainer
from bench.training.update import ReplayedUpdate
from tests.conftest import tiny_settings

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
STEPS = 60


def trained(system: str, corpus: Prepared, folder: Path, *kinds: str) -> Trainer:
    """A run of 60 steps, whose updates are recorded on these kinds of device."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(update, "DEVICES", kinds)
        patch.setattr(update.Update, "multiple", ReplayedUpdate.multiple)
        settings = tiny_settings(system, training={"steps": STEPS, "precision": "auto"})
        trainer = Trainer(settings, corpus, folder, choose_device("cuda"))
    trainer.reporter.every = float("inf")
    for step in range(1, STEPS + 1):
        trainer.one_step(step)
    trainer.log.settle()
    return trainer


@pytest.mark.parametrize(
    "system", ["gru-lm", "dae", "coupled-vae-as-released", "coupled-vmf-vae", "coupled-wae-nf", "prefb-vae"]
)
def test_graphs_train_as_kernels_do(system: str, corpus: Prepared, tmp_path: Path) -> None:
    one, other = (
        trained(system, corpus, tmp_path / "one", "cuda"),
        trained(system, corpus, tmp_path / "other"),
    )
    assert isinstance(one.update, ReplayedUpdate)
    assert one.update.works
    assert one.update.replays > 0
    assert other.update.replays == 0
    for name, value in one.model.state_dict().items():
        torch.testing.assert_close(value, other.model.state_dict()[name], rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.parametrize("system", ["gru-lm", "coupled-vae", "wae"])
def test_narrow_products_move_the_nll_by_less_than_a_thousandth(
    system: str, corpus: Prepared, tmp_path: Path
) -> None:
    trainer = trained(system, corpus, tmp_path, "cuda")
    assert trainer.dtype == torch.bfloat16
    nll = [
        text_likelihoods(trainer.model, trainer.texts["valid"], 10, "check", dtype=dtype)["nll"].mean()
        for dtype in (torch.bfloat16, torch.float32)
    ]
    assert nll[0] == pytest.approx(nll[1], rel=1e-3)
