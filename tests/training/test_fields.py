"""Systems of one text on corpora whose examples have more than one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.base.errors import BenchError
from bench.base.text_rules import TextRules
from bench.corpora.entries import load_corpora
from bench.corpora.prepare import prepare
from bench.corpora.prepared import Prepared, Texts
from bench.training.loop import Trainer
from bench.training.run import train_run
from tests.conftest import tiny_settings

CORPORA = ("generated-pairs-tiny", "generated-styles-tiny")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Prepared]:
    folder = tmp_path_factory.mktemp("fields")
    for name in CORPORA:
        prepare(load_corpora()[name], {}, TextRules(), folder / name)
    return {name: Prepared.load(folder / name) for name in CORPORA}


def weights_after(corpus: Prepared, system: str, folder: Path, steps: int = 3) -> dict[str, Any]:
    trainer = Trainer(tiny_settings(system), corpus, folder, torch.device("cpu"))
    for step in range(1, steps + 1):
        trainer.one_step(step)
    return dict(trainer.model.state_dict())


@pytest.mark.parametrize("name", CORPORA)
@pytest.mark.parametrize("system", ["gru-lm", "vae", "coupled-vae"])
def test_a_system_of_one_text_sees_the_decoded_field_alone(
    prepared: dict[str, Prepared], name: str, system: str, tmp_path: Path
) -> None:
    """Bit for bit as on a corpus that has nothing else."""
    corpus = prepared[name]
    alone = replace(
        corpus, splits={split: Texts(texts.tokens, texts.offsets) for split, texts in corpus.splits.items()}
    )
    found = [weights_after(one, system, tmp_path / str(i)) for i, one in enumerate((corpus, alone))]
    assert found[0].keys() == found[1].keys()
    assert all(torch.equal(found[0][key], found[1][key]) for key in found[0])


def test_an_encoder_reads_the_field_that_is_encoded(tmp_path: Path) -> None:
    """Named so by the rules, it reads the contexts, and the decoder writes the replies."""
    rules = TextRules(encodes="context")
    prepare(load_corpora()["generated-pairs-tiny"], {}, rules, tmp_path / "c")
    corpus = Prepared.load(tmp_path / "c")
    trainer = Trainer(
        tiny_settings("vae", text={"encodes": "context"}), corpus, tmp_path / "s", torch.device("cpu")
    )
    batch, model = trainer.batch(1), trainer.model.eval()
    context = batch.fields["context"]
    expected = model.encoder(model.embedding(context.words), context.lengths, None).float()
    assert torch.equal(model.encode(batch), expected)
    assert context.words.shape != batch.words.shape or not torch.equal(context.words, batch.words)
    trainer.one_step(1)


def test_an_encoded_field_with_a_vocabulary_of_its_own_is_refused(tmp_path: Path) -> None:
    text = {"encodes": "context", "separate": ["context"]}
    settings = tiny_settings("vae", text=text)
    settings = settings.model_copy(update={"corpus": "generated-pairs-tiny"})
    folder = tmp_path / "corpora" / settings.paper / settings.corpus
    prepare(load_corpora()["generated-pairs-tiny"], {}, settings.text, folder)
    with pytest.raises(
        BenchError, match="'context', which is encoded, has another vocabulary than 'response'"
    ):
        train_run(
            settings, tmp_path / "corpora", tmp_path / "runs", tmp_path / "state", device="cpu", threads=1
        )
