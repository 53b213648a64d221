"""Embeddings that begin with word vectors: those of word2vec and of a file, what keeps them, and what is refused."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from gensim.models import Word2Vec
from safetensors.torch import load_file

from bench.base.errors import BenchError
from bench.base.files import read_json, sha256_file
from bench.base.settings import RunSettings
from bench.corpora.prepared import Prepared
from bench.corpora.vocabulary import SPECIALS
from bench.planning.resolve import resolve
from bench.store.evaluators import RECORD
from bench.training.composition import build_model, compose
from bench.training.run import train_run
from bench.training.vectors import VECTORS, give_vectors
from tests.conftest import tiny_settings
from tests.declared import CATALOG

SIZE = 12  # of the embedding of the tiny settings
WORD2VEC: dict[str, Any] = {"kind": "word2vec", "epochs": 3}
FROZEN = {"words": {"modules": ["embedding", "embeddings"], "frozen": True}}


def with_vectors(vectors: Any, **more: Any) -> RunSettings:
    return tiny_settings("vae", initial={"embedding": 0.05, "vectors": vectors}, **more)


def given(settings: RunSettings, corpus: Prepared, evaluators: Path) -> torch.Tensor:
    """The embedding of a model with its vectors."""
    model = build_model(settings, len(corpus.vocabulary))
    give_vectors(model, settings, corpus, evaluators)
    return model.embedding.weight.detach()


def of_file(path: Path, lines: list[str], **more: Any) -> RunSettings:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return with_vectors({"kind": "word-vectors", "text": str(path), "sha256": sha256_file(path), **more})


def line(word: str, value: float, size: int = SIZE) -> str:
    return " ".join([word, *[str(value)] * size])


def test_word2vec_is_that_of_gensim_with_the_settings_of_the_released_code(
    corpus: Prepared, tmp_path: Path
) -> None:
    """It names a size, that no word is too rare, and 50 epochs; the rest is as gensim has it, but for its threads."""
    found = given(with_vectors("word2vec"), corpus, tmp_path)
    texts = corpus.raw("train")
    made = Word2Vec(texts, vector_size=SIZE, min_count=1, epochs=50, workers=1)
    words = corpus.vocabulary.words[len(SPECIALS) :]
    expected = torch.stack([torch.tensor(made.wv[word]) for word in words])
    torch.testing.assert_close(found[len(SPECIALS) :], expected, rtol=0, atol=0)


def test_special_symbols_keep_the_values_that_they_have_without_vectors(
    corpus: Prepared, tmp_path: Path
) -> None:
    settings = with_vectors(WORD2VEC)
    without = build_model(settings, len(corpus.vocabulary)).embedding.weight
    found = given(settings, corpus, tmp_path)
    assert torch.equal(found[: len(SPECIALS)], without[: len(SPECIALS)])
    assert not torch.isclose(found[len(SPECIALS) :], without[len(SPECIALS) :]).all(1).any()


@pytest.mark.parametrize("frozen", [True, False])
def test_they_stay_in_training_where_they_are_frozen_and_there_alone(
    frozen: bool, corpora: Path, corpus: Prepared, tmp_path: Path
) -> None:
    settings = with_vectors(WORD2VEC, groups=FROZEN if frozen else {})
    runs = tmp_path / "runs"
    run = train_run(settings, corpora, runs, tmp_path / "state", device="cpu", threads=1)
    first = given(settings, corpus, tmp_path / "evaluators")
    last = load_file(runs / settings.name / "model.safetensors")["embedding.weight"]
    assert torch.equal(first, last) == frozen
    folder = tmp_path / "evaluators" / settings.paper / settings.corpus / run["vectors"]["evaluator"]
    record = read_json(folder / RECORD)
    assert run["vectors"]["files"] == record["files"]
    assert record["files"][VECTORS] == sha256_file(folder / VECTORS)
    assert record["settings"]["options"] == {"epochs": 3, "window": 5, "negative": 5, "seed": 1}
    assert record["facts"]["texts"] == len(corpus.splits["train"])
    assert {"code_version", "started", "finished"} <= set(record["provenance"])


def test_runs_of_another_size_have_vectors_of_their_own(corpus: Prepared, tmp_path: Path) -> None:
    for size in (SIZE, SIZE + 1, SIZE):
        assert given(with_vectors(WORD2VEC, embedding=size), corpus, tmp_path).shape[1] == size
    assert len(list(tmp_path.rglob(RECORD))) == 2


def test_a_field_with_a_vocabulary_of_its_own_has_the_same_vectors(
    corpus_for: Callable[[str], Prepared], tmp_path: Path
) -> None:
    corpus = corpus_for("cvae")
    settings = resolve(CATALOG, "demo", "stochastic-wae", corpus.name, "ded", 0)
    assert corpus.vocabularies["context"] is corpus.vocabularies["response"]
    model = build_model(settings, len(corpus.vocabulary), {"context": len(corpus.vocabulary)})
    give_vectors(model, settings, corpus, tmp_path)
    both = model.embedding.weight, model.embeddings["context"].get_parameter("weight")
    assert torch.equal(both[0][len(SPECIALS) :], both[1][len(SPECIALS) :])
    assert not torch.isclose(both[0][: len(SPECIALS)], both[1][: len(SPECIALS)]).any()


def test_an_encoder_with_embeddings_of_its_own_has_the_same_vectors(corpus: Prepared, tmp_path: Path) -> None:
    settings = with_vectors(WORD2VEC, encoder={"kind": "lstm", "hidden": 8, "own_table": True})
    model = build_model(settings, len(corpus.vocabulary))
    give_vectors(model, settings, corpus, tmp_path)
    both = model.embedding.weight[len(SPECIALS) :], model.encoder.table.weight[len(SPECIALS) :]
    assert torch.equal(*both)


def test_the_released_protocol_freezes_them_and_one_setting_trains_them(corpus: Prepared) -> None:
    """In a corpus of one vocabulary too, where no field has an embedding of its own."""
    for changes, trained in (({}, False), ({"groups": {"words": {"frozen": False}}}, True)):
        settings = resolve(CATALOG, "demo", "stochastic-wae", corpus.name, "wae-gan", 0, changes)
        assert settings.initial.vectors is not None
        assert settings.initial.vectors.kind == "word2vec"
        assert settings.groups["words"].frozen != trained
        compose(settings, corpus)


def test_gensim_that_is_not_there_is_told(
    corpus: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gensim", None)
    with pytest.raises(BenchError, match=r"word2vec needs gensim(.|\n)*pip install gensim"):
        given(with_vectors(WORD2VEC), corpus, tmp_path)


def test_a_file_gives_the_words_that_it_has_their_vectors(corpus: Prepared, tmp_path: Path) -> None:
    first, second = corpus.vocabulary.words[len(SPECIALS) : len(SPECIALS) + 2]
    lines = [f"3 {SIZE}", line(first, 0.5), line("no-word-of-it", 1.0), line(second, -0.25)]
    settings = of_file(tmp_path / "words.txt", lines)
    found = given(settings, corpus, tmp_path)
    without = build_model(settings, len(corpus.vocabulary)).embedding.weight
    assert found[corpus.vocabulary.id(first)].tolist() == [0.5] * SIZE
    assert found[corpus.vocabulary.id(second)].tolist() == [-0.25] * SIZE
    assert torch.equal(found[len(SPECIALS) + 2 :], without[len(SPECIALS) + 2 :])
    record = read_json(next(tmp_path.rglob(RECORD)))
    assert record["facts"]["words_without"] == len(corpus.vocabulary) - len(SPECIALS) - 2


def test_vectors_of_another_size_are_refused(corpus: Prepared, tmp_path: Path) -> None:
    word = corpus.vocabulary.words[-1]
    settings = of_file(tmp_path / "words.txt", [line(word, 1.0), line("other", 1.0, SIZE + 3)])
    expected = r"a word vector of 15 numbers for an embedding of 12(.|\n)*line 2(.|\n)*set embedding to 15"
    with pytest.raises(BenchError, match=expected):
        given(settings, corpus, tmp_path)
    assert not list(tmp_path.rglob(RECORD))


@pytest.mark.parametrize(
    ("lines", "more", "expected"),
    [
        ([line("{word}", 1.0)], {"sha256": "0" * 64}, "another file of vectors than is meant: its sha256 is"),
        ([line("{word}", 1.0).replace("1.0", "one", 1)], {}, "not a vector"),
        ([line("{word}", float("nan"))], {}, "not all finite"),
        ([line("no-word-of-it", 1.0)], {}, "no word of generated-tiny has a vector"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(
    lines: list[str], more: dict[str, str], expected: str, corpus: Prepared, tmp_path: Path
) -> None:
    word = corpus.vocabulary.words[-1]
    settings = of_file(tmp_path / "words.txt", [text.format(word=word) for text in lines], **more)
    with pytest.raises(BenchError, match=expected):
        given(settings, corpus, tmp_path)


def test_a_file_that_is_not_there_is_told(corpus: Prepared, tmp_path: Path) -> None:
    settings = with_vectors({"kind": "word-vectors", "text": str(tmp_path / "none.txt"), "sha256": ""})
    with pytest.raises(BenchError, match=r"cannot read the text of an evaluator(.|\n)*none.txt"):
        given(settings, corpus, tmp_path)


def test_they_are_part_of_what_a_run_is() -> None:
    identities = {
        with_vectors(vectors).training_identity
        for vectors in (None, "word2vec", WORD2VEC, {"kind": "word-vectors", "text": "a", "sha256": "b"})
    }
    assert len(identities) == 4
    full = {"kind": "word2vec", "options": {"epochs": 50, "window": 5, "negative": 5, "seed": 1}}
    assert with_vectors(full).training_identity == with_vectors("word2vec").training_identity
