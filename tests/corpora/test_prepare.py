"""Preparation: rules, files, the card, and what it refuses."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from bench.base.errors import BenchError
from bench.base.files import sha256_file
from bench.base.text_rules import TextRules
from bench.corpora.card import rank_frequency
from bench.corpora.prepare import prepare

Make = Callable[..., Any]
TRAIN, VALID, TEST = "b a b\na <unk> c\na <unk> c\n", "c a\nb\n", "a d e d\nb a b\n"


def texts_of(out: Path, split: str) -> list[str]:
    return (out / f"{split}.txt").read_text().splitlines()


def test_everything_that_is_written(lines_entry: Make, tmp_path: Path) -> None:
    entry, paths = lines_entry(TRAIN, VALID, TEST)
    out = tmp_path / "out"
    summary = prepare(entry, paths, TextRules(), out)
    words = ["<pad>", "<go>", "<eos>", "<unk>", "b", "a", "c"]
    assert json.loads((out / "vocabulary.json").read_text()) == {
        "words": words,
        "rules": TextRules().model_dump(mode="json"),
    }
    ids = load_file(out / "ids.safetensors")
    assert {key: value.tolist() for key, value in ids.items()} == {
        "train.tokens": [4, 5, 4, 5, 3, 6, 5, 3, 6], "train.offsets": [0, 3, 6, 9],
        "valid.tokens": [6, 5, 4], "valid.offsets": [0, 2, 3],
        "test.tokens": [5, 3, 3, 3, 4, 5, 4], "test.offsets": [0, 4, 7],
    }  # fmt: skip
    assert ids["train.tokens"].dtype == np.int32
    assert ids["train.offsets"].dtype == np.int64
    assert texts_of(out, "test") == ["a d e d", "b a b"]
    assert summary == json.loads((out / "corpus.json").read_text())
    assert summary["sources"] == {path: sha256_file(paths[path]) for path in paths}
    assert (summary["sizes"], summary["vocabulary_size"]) == ({"train": 3, "valid": 2, "test": 2}, 7)
    assert summary["exact"] is None
    assert not (out / "attributes.parquet").exists()


def test_the_card(lines_entry: Make, tmp_path: Path) -> None:
    entry, paths = lines_entry(TRAIN, VALID, TEST, expect={"train": 3})
    prepare(entry, paths, TextRules(), tmp_path / "out")
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    test = card["splits"]["test"]
    assert test == {
        "texts": 2, "words": 7, "targets": 9,
        "length": {"min": 3, "mean": 3.5, "median": 3.5, "max": 4},
        "histogram": {"bin_width": 1, "counts": [0, 0, 0, 1, 1]},
        "unknown_tokens": 3, "unknown_share": 3 / 7, "oov_types": 2, "oov_tokens": 3,
        "duplicates": 0, "shared": {"train": 1, "valid": 0},
    }  # fmt: skip
    train = card["splits"]["train"]
    assert (train["unknown_tokens"], train["oov_tokens"], train["duplicates"]) == (2, 0, 1)
    assert card["expected"] == {"train": {"expected": 3, "read": 3, "matches": True}}
    counts = [(f["rank"], f["word"], f["count"]) for f in card["frequencies"]]
    assert counts == [(1, "a", 3), (2, "b", 2), (3, "<unk>", 2), (4, "c", 2)]


def test_long_histograms_and_many_ranks_stay_small(lines_entry: Make, tmp_path: Path) -> None:
    long = " ".join(f"w{i}" for i in range(1000))
    entry, paths = lines_entry(f"{long}\na\n", VALID, TEST)
    prepare(entry, paths, TextRules(max_length=None), tmp_path / "out")
    histogram = json.loads((tmp_path / "out" / "card.json").read_text())["splits"]["train"]["histogram"]
    assert histogram["bin_width"] == 21  # 1,001 lengths, 0 included, in at most 50 bins
    assert (histogram["counts"][0], histogram["counts"][1000 // 21], sum(histogram["counts"])) == (1, 1, 2)
    ranks = [row["rank"] for row in rank_frequency([long.split()])]
    assert ranks[:12] == [*range(1, 11), 13, 16]
    assert (ranks[-1], len(ranks)) == (1000, 30)
    assert all(math.isclose(b / a, 10**0.1, rel_tol=0.05) for a, b in pairwise(ranks[9:]))


@pytest.mark.parametrize(
    ("rules", "train", "treated"),
    [
        ({"max_length": 2}, ["a B", "c", "d e", "x y"], [("texts cut to 2 words", 2, [1, 3])]),
        (
            {"max_length": 2, "overlong": "drop", "min_length": 1},
            ["c", "x y"],
            [("texts of more than 2 words dropped", 2, [1, 3])],
        ),
        ({"min_length": 2}, ["a B c", "d e f g", "x y"], [("texts of fewer than 2 words dropped", 1, [2])]),
        ({"lowercase": True}, ["a b c", "c", "d e f g", "x y"], []),
        ({"max_length": None}, ["a B c", "c", "d e f g", "x y"], []),
    ],
)
def test_rules(
    lines_entry: Make, tmp_path: Path, rules: dict[str, Any], train: list[str], treated: list[tuple[Any, ...]]
) -> None:
    texts = ["a B c", "c", "d e f g", "x y"]
    entry, paths = lines_entry("\n".join(texts), "a\nb c\nd e", "a\nb c\nd e")
    prepare(entry, paths, TextRules.model_validate(rules), tmp_path / "out")
    assert texts_of(tmp_path / "out", "train") == train
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    found = [(t["what"], t["count"], t["lines"]) for t in card["treatments"] if t["split"] == "train"]
    assert found == treated


def test_labels_follow_their_texts(make_entry: Make, tmp_path: Path) -> None:
    reader = {"kind": "lines", "label": "mood", "label_column": True}
    entry, paths = make_entry(
        {**reader, "train": "c/a", "valid": "c/a", "test": "c/a"}, {"a": b"x\ta b\ny\ta b c\nz\tc\n"}
    )
    summary = prepare(entry, paths, TextRules(max_length=2, overlong="drop"), tmp_path / "out")
    ids = load_file(tmp_path / "out" / "ids.safetensors")
    assert {key: ids[key].tolist() for key in ids if ":" in key} == {
        "train:mood": [0, 1], "valid:mood": [0, 1], "test:mood": [0, 1]
    }  # fmt: skip
    assert ids["train:mood"].dtype == np.int64
    assert (summary["attributes"], summary["labels"]) == ([], {"mood": ["x", "z"]})
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["labels"]["mood"]["test"] == {"x": 1, "z": 1}


def test_attributes_follow_their_texts(make_entry: Make, tmp_path: Path) -> None:
    import pandas

    talk = json.dumps({"utts": [["A", word, [word, []]] for word in ("a", "b b b", "c", "d")]})
    reader = {"kind": "switchboard", "form": "utterances", "train": "c/a", "valid": "c/a", "test": "c/a"}
    entry, paths = make_entry(reader, {"a": talk.encode()})
    summary = prepare(entry, paths, TextRules(max_length=2, overlong="drop"), tmp_path / "out")
    table = pandas.read_parquet(tmp_path / "out" / "attributes.parquet")
    assert list(table.columns) == ["split", "index", "dialogue", "turn", "speaker", "act"]
    assert table[["split", "index", "act"]].to_numpy().tolist()[:4] == [
        ["train", 0, "a"], ["train", 1, "c"], ["train", 2, "d"], ["valid", 0, "a"]
    ]  # fmt: skip
    assert summary["attributes"] == ["dialogue", "turn", "speaker", "act"]


@pytest.mark.parametrize("split", ["train", "valid", "test"])
@pytest.mark.parametrize(("text", "count"), [("", 0), ("a\n", 1), ("\n\n", 0)])
def test_a_split_of_less_than_two_texts(
    lines_entry: Make, tmp_path: Path, split: str, text: str, count: int
) -> None:
    entry, paths = lines_entry(**({"train": TRAIN, "valid": VALID, "test": TEST} | {split: text}))
    with pytest.raises(BenchError, match=rf"the {split} split of c has {count} text\(s\)"):
        prepare(entry, paths, TextRules(), tmp_path / "out")
    assert not (tmp_path / "out" / "corpus.json").exists()


def test_a_word_outside_the_vocabulary_can_be_an_error(lines_entry: Make, tmp_path: Path) -> None:
    entry, paths = lines_entry(TRAIN, VALID, "a b\na <unk> d\n")
    with pytest.raises(
        BenchError, match=r"line 2 of the test split .* has 'd', which is not in the vocab"
    ) as caught:
        prepare(entry, paths, TextRules(oov="error"), tmp_path / "out")
    assert caught.value.where == "a <unk> d"
    prepare(entry, paths, TextRules(oov="error", vocabulary_from=("train", "test")), tmp_path / "out")


def test_reserved_symbols_in_a_text(lines_entry: Make, tmp_path: Path) -> None:
    entry, paths = lines_entry(TRAIN, "a <eos>\nb\n", TEST)
    with pytest.raises(BenchError, match=r"line 1 of the valid split .* the reserved symbol '<eos>'"):
        prepare(entry, paths, TextRules(), tmp_path / "out")
    prepare(entry, paths, TextRules(unknown=("<eos>",)), tmp_path / "out")


def test_another_number_of_texts_than_expected(lines_entry: Make, tmp_path: Path) -> None:
    entry, paths = lines_entry(TRAIN, VALID, TEST, expect={"train": 3, "test": 5})
    with pytest.raises(BenchError, match="the test split has 2 texts where the catalog expects 5"):
        prepare(entry, paths, TextRules(), tmp_path / "out")
    own = entry.model_copy(
        update={"files": tuple(f.model_copy(update={"local": paths[f.path]}) for f in entry.files)}
    )
    prepare(own, paths, TextRules(), tmp_path / "out")
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["expected"]["test"] == {"expected": 5, "read": 2, "matches": False}


def test_a_failure_takes_the_old_result_back(lines_entry: Make, tmp_path: Path) -> None:
    """``corpus.json`` says that the folder is whole, so it goes first and comes last."""
    entry, paths = lines_entry(TRAIN, VALID, TEST)
    prepare(entry, paths, TextRules(), tmp_path / "out")
    paths["c/test.txt"].write_text("")
    with pytest.raises(BenchError):
        prepare(entry, paths, TextRules(), tmp_path / "out")
    assert not (tmp_path / "out" / "corpus.json").exists()


def test_the_hash_names_the_data_and_only_the_data(lines_entry: Make, tmp_path: Path) -> None:
    def hashed(train: str, rules: TextRules) -> str:
        entry, paths = lines_entry(train, VALID, TEST)
        value: str = prepare(entry, paths, rules, tmp_path / "out")["data_hash"]
        return value

    base = hashed(TRAIN, TextRules())
    assert base == hashed(TRAIN.replace("\n", "\r\n"), TextRules())  # other bytes, same texts
    assert base == hashed(TRAIN, TextRules(max_length=None))  # other rules, same effect
    others = [hashed(TRAIN.replace("c\na", "a\nc"), TextRules()), hashed(TRAIN, TextRules(max_length=2))]
    others.append(hashed(TRAIN, TextRules(vocabulary_from=("test", "train"))))
    assert len({base, *others}) == 4


def test_preparing_does_not_import_torch() -> None:
    import subprocess

    code = "import sys, bench.corpora.prepare, bench.corpora.fetch; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
