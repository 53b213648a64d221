"""BLEU beside whole texts, and of examples that the training split knows: against direct computations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from bench.base.errors import BenchError
from bench.base.text_rules import TextRules
from bench.catalog.catalog import load_catalog
from bench.corpora.entry import CorpusEntry
from bench.corpora.names import WHOLE
from bench.corpora.prepare import prepare
from bench.corpora.prepared import Prepared
from bench.corpora.vocabulary import EOS
from bench.metrics.context import Context
from bench.metrics.corpus_bleu import corpus_bleu, text_counts
from bench.metrics.measures import find_measure
from bench.metrics.record import Record
from bench.metrics.whole_bleu import known_pairs
from bench.planning.resolve import resolve
from bench.store.freshness import WEIGHTS
from bench.training.composition import compose

TRAIN = [("who sat", "the cat sat there"), ("who lay", "a dog"), ("where", "on the mat"), ("a dog", "where")]
TEST = [
    ("who sat", "the cat sat there"),  # a pair of the training split
    ("who sat", "a cat"),  # its first text
    ("who ran", "on the mat"),  # its second
    ("who ran", "the cat sat on the mat and a dog"),  # neither, and long
    ("on the mat", "a cat"),  # it is a text of the training split on the other side alone
]
KNOWN = {
    "pair": [True, *[False] * 4],
    "side": [True, True, True, False, False],
    "no-side": [*[False] * 3, True, True],
}
CUT = 4


@pytest.fixture
def corpus(tmp_path: Path) -> Prepared:
    """Pairs of which the reply of one is cut."""
    files = {"train": TRAIN, "valid": TRAIN[:2], "test": TEST}
    for split, pairs in files.items():
        text = "".join(f"{said}\t{answered}\n" for said, answered in pairs)
        (tmp_path / f"{split}.tsv").write_text(f"said\tanswered\n{text}", encoding="utf-8")
    columns = {"context": "said", "response": "answered"}
    paths = {f"c/{split}": tmp_path / f"{split}.tsv" for split in files}
    entry = CorpusEntry.model_validate(
        {
            "name": "c",
            "title": "c",
            "files": [{"path": path, "local": str(file)} for path, file in paths.items()],
            "reader": {
                "kind": "pairs",
                "separator": "\t",
                "columns": columns,
                **{s: f"c/{s}" for s in files},
            },
        }
    )
    prepare(entry, paths, TextRules(max_length=CUT), tmp_path / "prepared")
    return Prepared.load(tmp_path / "prepared")


@pytest.fixture
def context(corpus: Prepared, tmp_path: Path) -> Context:
    """An untrained encoder-decoder that writes something to each utterance."""
    changes: dict[str, Any] = {"initial": {"vectors": None}, "text": {"max_length": CUT}}
    run = resolve(load_catalog(), "demo", "stochastic-wae", "generated-pairs-tiny", "ved", 0, changes)
    torch.manual_seed(0)
    state = compose(run, corpus).state_dict()
    random = {
        name: torch.randn_like(weight) if weight.dim() == 2 else weight for name, weight in state.items()
    }
    save_file(random, tmp_path / WEIGHTS)
    return Context(run, corpus, tmp_path, torch.device("cpu"))


def made(context: Context, name: str) -> dict[tuple[str, ...], float]:
    record = Record(find_measure(name), "test", context.texts.lengths, 0)
    find_measure(name).function(context, record)
    keys = ("metric", "estimator", "part")
    return {tuple(one[key] for key in keys if one[key]): one["value"] for one in record.measurements}


def bleu(context: Context, which: list[bool], n: int, outputs: list[list[int]]) -> float:
    """BLEU of some pairs beside the replies of :data:`TEST`, word by word."""
    words = [context.corpus.vocabulary.decode(index for index in ids if index != EOS) for ids in outputs]
    pairs = [(o, reply.split()) for o, (_, reply), one in zip(words, TEST, which, strict=True) if one]
    return float(corpus_bleu(np.sum([text_counts(*pair) for pair in pairs], axis=0), n))


def test_texts_that_were_cut_are_kept_whole(corpus: Prepared) -> None:
    assert [len(text) for text in corpus.raw("test")] == [4, 2, 3, CUT, 2]
    assert corpus.whole("test") == [reply.split() for _, reply in TEST]
    assert corpus.whole("test", "context") == [said.split() for said, _ in TEST]
    assert corpus.whole("train") == corpus.raw("train")


def test_a_corpus_from_before_they_were_kept_is_told(corpus: Prepared) -> None:
    (corpus.folder / WHOLE).unlink()
    with pytest.raises(BenchError, match=r"before whole texts were kept(.|\n)*prepare the corpus again"):
        corpus.whole("test")


def test_bleu_beside_whole_texts(context: Context) -> None:
    found, everything = made(context, "whole-bleu"), [True] * len(TEST)
    sampled = [texts[0] for texts in context.reconstructions(unknown=True)]
    for code, outputs in (("sample", sampled), ("mean", context.mean_texts)):
        for n, metric in ((1, "bleu1"), (2, "bleu2"), (4, "bleu")):
            assert found[metric, f"whole-{code}"] == pytest.approx(bleu(context, everything, n, outputs))
    assert found["bleu1", "whole-mean"] > 0


def test_which_examples_the_training_split_knows(corpus: Prepared) -> None:
    assert {name: which.tolist() for name, which in known_pairs(corpus, "test").items()} == KNOWN


def test_bleu_of_the_examples_that_it_knows_and_of_the_others(context: Context) -> None:
    found = made(context, "overlap")
    outputs = [texts[0] for texts in context.reconstructions(unknown=True)]
    for name, which in KNOWN.items():
        assert found["overlap", "with-training", name] == sum(which) / len(TEST)
        for n, metric in ((2, "bleu2"), (4, "bleu")):
            assert found[metric, "whole-sample-known", name] == pytest.approx(
                bleu(context, which, n, outputs)
            )


def test_no_bleu_of_examples_that_there_are_not(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    none = {name: np.zeros(len(TEST), dtype=bool) for name in KNOWN}
    monkeypatch.setattr("bench.metrics.whole_bleu.known_pairs", lambda *_: none)
    assert made(context, "overlap") == {("overlap", "with-training", name): 0.0 for name in KNOWN}
