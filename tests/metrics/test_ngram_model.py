"""An n-gram model as an evaluator: made once, with a record of its own, and what it says of samples."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.base.errors import BenchError
from bench.base.files import read_json, sha256_file
from bench.base.settings import RunSettings
from bench.corpora.prepared import Prepared
from bench.corpora.vocabulary import EOS, GO, PAD, UNK, Vocabulary
from bench.metrics.context import SPLIT, Context
from bench.metrics.evaluate import evaluate_run
from bench.metrics.measures import find_measure
from bench.metrics.ngram_model import ARPA, NgramModel, perplexity, write_model
from bench.metrics.record import Record
from bench.store.evaluators import RECORD, evaluator_identity, load_evaluator, make_evaluator
from tests.conftest import tiny_settings

NGRAM = {"ngram": {"kind": "kneser-ney", "order": 3}}


def settings(**evaluators: Any) -> RunSettings:
    return tiny_settings("vae", evaluation={"evaluators": evaluators or NGRAM})


def declared(**options: Any) -> Any:
    return settings(ngram={"kind": "kneser-ney", **options}).evaluation.evaluators["ngram"]


@pytest.fixture(scope="module")
def folder(corpus: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluators") / "ngram"
    make_evaluator(declared(order=3), corpus, folder)
    return folder


def test_symbols_that_no_text_holds_are_unknown_words(corpus: Prepared, tmp_path: Path) -> None:
    """A model that has learned next to nothing writes symbols of padding and of begin."""
    texts = [[5, PAD, GO, 6], [PAD], [7, 8]]
    meant = [[5, UNK, UNK, 6], [UNK], [7, 8]]
    models = []
    for name, each in (("found", texts), ("meant", meant)):
        write_model(each, corpus.vocabulary, 2, tmp_path / name)
        models.append(NgramModel(tmp_path / name, corpus.vocabulary))
    assert (tmp_path / "found").read_bytes() == (tmp_path / "meant").read_bytes()
    assert [models[0].loss(text) for text in texts] == [models[1].loss(text) for text in meant]


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "ngram"))


def test_it_is_a_run_with_a_record_of_its_own(folder: Path, corpus: Prepared) -> None:
    record = read_json(folder / RECORD)
    assert record["settings"] == {"kind": "kneser-ney", "options": {"order": 3}}
    assert record["data_hash"] == corpus.data_hash
    assert record["identity"] == evaluator_identity(declared(order=3), corpus.data_hash)
    assert record["files"] == {ARPA: sha256_file(folder / ARPA)}
    assert record["facts"]["texts"] == len(corpus.splits["train"])
    estimated = [one["estimated"] for one in record["facts"]["orders"]]
    assert estimated == [False, True, True]  # no word of this corpus follows two others alone
    assert {"code_version", "dirty", "started", "finished"} <= set(record["provenance"])


def test_it_is_made_once_and_again_only_if_it_is_another(copy: Path, corpus: Prepared) -> None:
    before = (copy / RECORD).read_bytes()
    make_evaluator(declared(order=3), corpus, copy)
    assert (copy / RECORD).read_bytes() == before
    made = make_evaluator(declared(order=2), corpus, copy)
    assert len(made["facts"]["orders"]) == 2
    assert read_json(copy / RECORD) == made


def test_a_damaged_file_is_refused(copy: Path, corpus: Prepared) -> None:
    with (copy / ARPA).open("a") as file:
        file.write("more")
    with pytest.raises(BenchError, match=r"damaged file of an evaluator(.|\n)*evaluator.json"):
        load_evaluator(declared(order=3), corpus, copy)


@pytest.mark.parametrize("wrong", [{"order": 1}, {"order": 7}, {"orders": 3}])
def test_options_are_checked_when_they_are_read(wrong: dict[str, Any]) -> None:
    with pytest.raises(BenchError, match="order"):
        settings(ngram={"kind": "kneser-ney", **wrong})


def test_an_unknown_evaluator_is_an_error() -> None:
    with pytest.raises(BenchError, match=r"unknown evaluator 'kneser'(.|\n)*kneser-ney"):
        settings(ngram="kneser")


def test_perplexity_is_that_of_words_and_ends(folder: Path, corpus: Prepared) -> None:
    model = NgramModel(folder / ARPA, corpus.vocabulary)
    texts = [text.tolist() for text in corpus.splits["test"]]
    found = perplexity(model, texts)
    losses = sum(model.loss(text) for text in texts)
    assert found.value == pytest.approx(math.exp(losses / sum(len(text) + 1 for text in texts)), rel=1e-9)
    assert found.low < found.value < found.high
    assert found.texts == len(texts)
    assert perplexity(model, [[EOS]]).value == perplexity(model, [[]]).value  # a decoder that ends at once
    assert math.isfinite(model.loss([UNK, UNK]))
    train = [text.tolist() for text in corpus.splits["train"]]
    assert perplexity(model, train).value < found.value < len(corpus.vocabulary)


def test_samples_are_measured_with_it_and_no_other_measure_changes(
    runs: Path, corpora: Path, tmp_path: Path
) -> None:
    run = settings()
    assert run.identity == tiny_settings("vae").identity
    target = tmp_path / "results" / "runs" / run.name
    shutil.copytree(runs / run.name, target, ignore=shutil.ignore_patterns("measure*", "sent*", "texts*"))
    plain = evaluate_run(
        tiny_settings("vae"), corpora, tmp_path / "results" / "runs", device="cpu", threads=1
    )
    assert "sample-ppl" not in plain["measures"]
    content = evaluate_run(run, corpora, tmp_path / "results" / "runs", device="cpu", threads=1)
    added = [m for m in content["measurements"] if m["measure"] == "sample-ppl"]
    assert [m["metric"] for m in added] == ["sample_ppl", "held_out_ppl"]
    assert [m for m in content["measurements"] if m not in added] == plain["measurements"]
    assert (tmp_path / "results" / "evaluators" / run.paper / run.corpus / "ngram" / RECORD).exists()
    assert all(1 < m["low"] <= m["value"] <= m["high"] for m in added)
    again = evaluate_run(settings(ngram={"kind": "kneser-ney", "order": 2}), corpora, tmp_path / "results" / "runs",
                         device="cpu", threads=1)  # fmt: skip
    other = [m for m in again["measurements"] if m["measure"] == "sample-ppl"]
    assert [m["value"] for m in other] != [m["value"] for m in added]
    assert again["measures"]["likelihood"] == content["measures"]["likelihood"]


def test_an_evaluator_that_is_not_declared_is_named(runs: Path, corpus: Prepared) -> None:
    context = Context(tiny_settings("vae"), corpus, runs / settings().name, torch.device("cpu"))
    with pytest.raises(BenchError, match="the paper declares no evaluator 'ngram'"):
        context.evaluator("ngram")


def text_model(path: Path, **options: Any) -> Any:
    declared = {"kind": "kneser-ney-text", "text": str(path), "order": 3, **options}
    return settings(text=declared).evaluation.evaluators["text"]


def test_a_text_of_the_users_gives_a_model_over_the_words_of_the_corpus(
    corpus: Prepared, folder: Path, runs: Path, tmp_path: Path
) -> None:
    """Of the training texts themselves it is the model of the corpus; a changed text makes it another."""
    path = tmp_path / "text.txt"
    lines = [" ".join(corpus.vocabulary.decode(text)) for text in corpus.splits["train"]]
    path.write_text("\n".join(lines), encoding="utf-8")
    model = load_evaluator(text_model(path), corpus, tmp_path / "text")
    test = [text.tolist() for text in corpus.splits["test"]]
    assert (
        perplexity(model, test).value == perplexity(NgramModel(folder / ARPA, corpus.vocabulary), test).value
    )
    before = evaluator_identity(text_model(path), corpus.data_hash)
    path.write_text("\n".join([*lines, "", "zebra " + lines[0]]), encoding="utf-8")
    assert evaluator_identity(text_model(path), corpus.data_hash) != before
    facts = make_evaluator(text_model(path), corpus, tmp_path / "text")["facts"]
    assert (facts["texts"], facts["unknown_words"]) == (len(lines) + 1, 1)
    context = Context(settings(text=text_model(path)), corpus, runs / settings().name, torch.device("cpu"))
    record = Record(find_measure("sample-ppl-of-text"), SPLIT, context.texts.lengths, 0)
    find_measure("sample-ppl-of-text").function(context, record)
    assert [(one["metric"], one["estimator"]) for one in record.measurements] == [
        ("sample_ppl", "ngram-of-text"),
        ("held_out_ppl", "ngram-of-text"),
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no words"),
        ("ein Satz\nnoch einer", "4 of 4 words are not in the vocabulary"),
        (None, "cannot read"),
    ],
)
def test_a_text_that_gives_no_model_is_refused(
    content: str | None, said: str, corpus: Prepared, tmp_path: Path
) -> None:
    path = tmp_path / "text.txt"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(BenchError, match=said):
        make_evaluator(text_model(path), corpus, tmp_path / "text")


def test_a_model_of_another_vocabulary_is_refused(folder: Path, corpus: Prepared) -> None:
    other = Vocabulary([*corpus.vocabulary.words, "zebra", "yak"])
    with pytest.raises(BenchError, match=r"another vocabulary: it lacks 2 of \d+ words, as 'zebra'"):
        NgramModel(folder / ARPA, other)
