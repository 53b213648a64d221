"""Systems of one text on corpora whose examples have more than one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.base.errors import BenchError
from bench.base.settings import RunSettings
from bench.base.text_rules import TextRules
from bench.corpora.entries import load_corpora
from bench.corpora.prepare import prepare
from bench.corpora.prepared import Prepared, Texts
from bench.training.composition import compose
from bench.training.loop import Trainer
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


@pytest.mark.parametrize(
    ("asked", "separate"), [({"text": {"encodes": "context"}}, ()), ({"reads": "context"}, ("context",))]
)
def test_an_encoder_reads_the_field_that_is_encoded(
    asked: dict[str, Any], separate: tuple[str, ...], tmp_path: Path
) -> None:
    """Named by the rules or by the system, the contexts are read and the replies written.

    Where they have a vocabulary of their own, they have an embedding of its size.
    """
    asked = {"text": {}, **asked}
    text = {**asked.pop("text"), "separate": separate}
    prepare(load_corpora()["generated-pairs-tiny"], {}, TextRules.model_validate(text), tmp_path / "c")
    corpus = Prepared.load(tmp_path / "c")
    settings = tiny_settings("vae", text=text).model_copy(update=asked)
    trainer = Trainer(settings, corpus, tmp_path / "s", torch.device("cpu"))
    batch, model = trainer.batch(1), trainer.model.eval()
    context = batch.fields["context"]
    embedding: Any = model.embeddings["context"] if separate else model.embedding
    assert len(embedding.weight) == len(corpus.vocabularies["context"])
    expected = model.encoder(embedding(context.words), context.lengths, None).float()
    assert torch.equal(model.encode(batch), expected)
    assert context.words.shape != batch.words.shape or not torch.equal(context.words, batch.words)
    before = embedding.weight.clone()
    trainer.one_step(1)
    assert not torch.equal(embedding.weight, before)


def test_a_model_has_embeddings_of_what_it_reads_alone(tmp_path: Path) -> None:
    text = {"encodes": "context", "separate": ("context",)}
    prepare(load_corpora()["generated-pairs-tiny"], {}, TextRules.model_validate(text), tmp_path)
    corpus = Prepared.load(tmp_path)
    reader, writer = tiny_settings("vae", text=text), tiny_settings("gru-lm", text=text)
    other = reader.model_copy(update={"reads": corpus.decodes})
    found = [list(compose(one, corpus).model.embeddings) for one in (reader, writer, other)]
    assert found == [["context"], [], []]


def test_a_language_model_reads_nothing() -> None:
    settings = tiny_settings("gru-lm").model_dump(mode="json")
    with pytest.raises(ValueError, match="no encoder that could read it"):
        RunSettings.model_validate(settings | {"reads": "context"})


@pytest.mark.parametrize("text", [{}, {"decodes": "response", "fields": {"context": {"max_length": 5}}}])
def test_short_texts_are_told_by_a_length(text: dict[str, Any]) -> None:
    with pytest.raises(BenchError, match=r"text\.max_length is null"):
        tiny_settings("vae", text={**text, "max_length": None}, training={"ends": "short"})
    settings = tiny_settings("vae", text={**text, "max_length": 9}, training={"ends": "short"})
    assert settings.unended("response") == 9
