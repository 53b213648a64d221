"""Word dropout: what the decoder reads becomes padding, as often as the schedule says, and nothing else changes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench.base.settings import WordDropout
from bench.corpora.prepared import Prepared
from bench.corpora.vocabulary import GO, PAD
from bench.training.loop import Trainer
from tests.conftest import tiny_settings
from tests.plain import collator


@pytest.mark.parametrize(
    ("epoch", "share"), [(1, 0.0), (2, 0.05), (3, 0.10), (10, 0.45), (11, 0.50), (12, 0.50), (20, 0.50)]
)
def test_the_share_rises_by_epoch_to_a_half(epoch: int, share: float) -> None:
    schedule = WordDropout(rise=0.05, every=4220, most=0.5)
    first, last = (epoch - 1) * 4220 + 1, epoch * 4220
    assert schedule.share(first) == schedule.share(last) == pytest.approx(share)


def test_words_that_the_decoder_reads_become_padding_and_go_stays() -> None:
    batch = collator([[4, 5, 6, 7]] * 2000)(range(2000))
    dropped = batch.without_words(0.3, torch.Generator().manual_seed(0))
    assert bool((dropped.inputs[0] == GO).all())
    gone = dropped.inputs[1:] == PAD
    assert abs(float(gone.float().mean()) - 0.3) < 5 * (0.3 * 0.7 / gone.numel()) ** 0.5
    assert torch.equal(dropped.inputs[1:][~gone], batch.inputs[1:][~gone])
    for name in ("words", "targets", "lengths", "places", "index"):
        assert torch.equal(getattr(dropped, name), getattr(batch, name)), name
    assert torch.equal(batch.without_words(0.0, torch.Generator()).inputs, batch.inputs)


def test_the_batch_of_a_step_is_the_same_whenever_it_is_asked_for(corpus: Prepared, tmp_path: Path) -> None:
    dropout = {"rise": 0.25, "every": 2, "most": 0.5}
    settings = tiny_settings("vae", training={"word_dropout": dropout})
    one, other = (Trainer(settings, corpus, tmp_path / name, torch.device("cpu")) for name in ("a", "b"))
    plain = Trainer(tiny_settings("vae"), corpus, tmp_path / "c", torch.device("cpu"))
    one.batch(1)
    for step, changes in ((5, True), (2, False)):
        found, words = one.batch(step), plain.batch(step)
        assert torch.equal(found.inputs, other.batch(step).inputs)
        assert torch.equal(found.inputs, words.inputs) != changes
        assert torch.equal(found.words, words.words)
