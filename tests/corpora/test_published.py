"""The published files themselves, where BENCH_MIRROR holds them: the counts known of them."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from bench.base.text_rules import TextRules
from bench.corpora.entries import load_corpora
from bench.corpora.fetch import fetch
from bench.corpora.prepare import prepare
from bench.corpora.prepared import Prepared
from bench.corpora.readers import read

MIRROR = os.environ.get("BENCH_MIRROR")  # read before conftest.py takes it away
pytestmark = pytest.mark.skipif(
    not MIRROR, reason="BENCH_MIRROR is not set: the published files are not at hand"
)


def prepared(name: str, folder: Path, **rules: Any) -> tuple[Prepared, dict[str, Any]]:
    entry = load_corpora()[name]
    paths = fetch(entry, mirror=MIRROR, cache=folder / "cache", progress=False)
    prepare(entry, paths, TextRules(**rules), folder / name)
    return Prepared.load(folder / name), json.loads((folder / name / "card.json").read_text())["splits"]


def test_penn_treebank(tmp_path: Path) -> None:
    start = time.perf_counter()
    corpus, card = prepared("ptb", tmp_path, oov="error")
    assert time.perf_counter() - start < 10
    assert {split: len(texts) for split, texts in corpus.splits.items()} == {
        "train": 42068, "valid": 3370, "test": 3761
    }  # fmt: skip
    assert corpus.vocabulary.size == 10002
    assert card["test"]["targets"] == 82430
    assert [card[s]["unknown_tokens"] for s in ("train", "valid", "test")] == [45020, 3485, 4794]
    assert [card[s]["length"]["max"] for s in ("train", "valid", "test")] == [82, 74, 77]


def test_yahoo_lite(tmp_path: Path) -> None:
    corpus, card = prepared("yahoo-lite", tmp_path)
    assert card["train"]["words"] == 790680
    assert card["valid"]["words"] + card["test"]["words"] == 788673
    assert card["train"]["length"]["max"] == 200
    unk = corpus.vocabulary.id("_UNK")
    assert unk > 3
    assert int((corpus.splits["train"].tokens == unk).sum()) == 33582
    assert not any("etorch" in word for word in corpus.vocabulary.words)


@pytest.mark.parametrize(
    "name",
    [
        "yelp-sentiment-lite",
        "snli-lite",
        "snli-captions",
        "swda",
        "swda-pairs",
        "dailydialog",
        "dailydialog-pairs",
        "dailydialog-pairs-official",
        "yelp13-lite",
    ],
)
def test_loads_with_the_expected_sizes(tmp_path: Path, name: str) -> None:
    _, card = prepared(name, tmp_path)
    if name == "dailydialog":
        assert [card[s]["dialogues"] for s in ("train", "valid", "test")] == [11118, 1000, 1000]
    if name == "swda":
        assert card["train"]["dialogues"] == 1115
    if name == "dailydialog-pairs-official":
        assert card["train"]["texts"] == 76053
    if name == "snli-lite":
        assert sum(card[s]["texts"] for s in ("train", "valid", "test")) == 25712


def test_switchboard_held_out(tmp_path: Path) -> None:
    """The training file is not needed to check the others: the validation file stands in for it."""
    entry = load_corpora()["switchboard"]
    files = {file.path: file for file in entry.files}
    held = entry.model_copy(update={"files": tuple(f for p, f in files.items() if "train" not in p)})
    paths = fetch(held, mirror=MIRROR, cache=tmp_path, progress=False)
    corpus = read(entry, paths | {"switchboard/train.jsonl": paths["switchboard/valid.jsonl"]})
    assert corpus.attributes is not None
    for split, pairs, targets, longest, same in (
        ("valid", 5105, 14.11, 73, 0.339),
        ("test", 5419, 14.468, 72, 0.356),
    ):
        lengths = [len(words) for words in corpus.splits[split]]
        assert (len(lengths), max(lengths)) == (pairs, longest)
        assert sum(lengths) / pairs + 1 == pytest.approx(targets, abs=0.005)
        assert corpus.attributes[split]["same_speaker"].mean() == pytest.approx(same, abs=0.0005)
