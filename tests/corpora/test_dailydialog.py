"""DailyDialog: utterances with their codes, leaks, and the pairs of the stochastic-WAE paper."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.base.errors import BenchError
from bench.corpora.readers import read
from bench.corpora.readers.dailydialog import OFFICIAL, clean

Make = Callable[..., Any]
TRAIN = "Hi , Tom ! __eou__ It's $ 5.50 . __eou__ Thanks . __eou__\nYes . __eou__ No . __eou__\n"
TEST = "Hi , Tom ! __eou__ It's $ 5.50 . __eou__ Why ? __eou__ Yes . __eou__\nOh ? __eou__ Thanks . __eou__\n"
CODES = {"train": "1 2 3\n1 2 3\n", "valid": "3 1 2 4\n1 1\n", "test": "3 1 2 4\n1 1\n"}
TEXTS = {"train": TRAIN, "valid": TEST, "test": TEST}


@pytest.fixture
def archives(make_zip: Make, tmp_path: Path) -> dict[str, bytes]:
    """The three archives; the second training dialogue has one code too many."""
    found = {}
    for split, name in OFFICIAL.items():
        files = {
            f"{name}/dialogues_{name}.txt": TEXTS[split],
            f"{name}/dialogues_act_{name}.txt": CODES[split],
            f"{name}/dialogues_emotion_{name}.txt": CODES[split],
        }
        path = make_zip(tmp_path / f"{name}.zip", {key: text.encode() for key, text in files.items()})
        found[split] = path.read_bytes()
    return found


def reader(kind: str, **options: str) -> dict[str, str]:
    return {"kind": kind, "train": "c/train", "valid": "c/valid", "test": "c/test", **options}


def test_utterances(make_entry: Make, archives: dict[str, bytes]) -> None:
    corpus = read(*make_entry(reader("dailydialog"), archives))
    assert corpus.attributes is not None
    assert corpus.splits["train"][1] == ["it", "'", "s", "$", "5", ".", "50", "."]
    assert {split: len(texts) for split, texts in corpus.splits.items()} == {
        "train": 5,
        "valid": 6,
        "test": 6,
    }
    test = corpus.attributes["test"]
    assert list(test["dialogue"]) == [0, 0, 0, 0, 1, 1]
    assert list(test["speaker"]) == ["A", "B", "A", "B", "A", "B"]
    assert list(test["act"][:4]) == ["directive", "inform", "question", "commissive"]
    assert list(test["emotion"][:4]) == ["fear", "anger", "disgust", "happiness"]
    assert list(test["leaked"]) == [True, False, False, False, False, False]
    assert not corpus.attributes["train"]["leaked"].any()
    assert corpus.attributes["train"]["act"].isna().tolist() == [False, False, False, True, True]
    [misfit] = corpus.treatments.as_list()
    assert (misfit["split"], misfit["count"], misfit["lines"]) == ("train", 1, [2])


@pytest.mark.parametrize(
    ("turn", "cleaned"),
    [
        ("I'd like it !", "id like it"),
        ("It's $ 5.50 , OK ?", "its   NUM  , ok ?"),
        ("at 8 o'clock", "at  NUM oclock"),  # the character after the digits is swallowed
        ("flight mu235, 20%", "flight  NUM   NUM "),
    ],
)
def test_cleaning(turn: str, cleaned: str) -> None:
    assert clean(turn) == cleaned


def test_pairs_with_a_side_of_a_training_pair_are_dropped(
    make_entry: Make, archives: dict[str, bytes]
) -> None:
    corpus = read(*make_entry(reader("dailydialog-pairs"), archives))
    assert corpus.attributes is not None
    sides = [map(" ".join, corpus.fields[name]["train"]) for name in ("context", "response")]
    assert list(zip(*sides, strict=True)) == [
        ("hi , tom", "its num ."),
        ("its num .", "thanks ."),
        ("yes .", "no ."),
    ]
    # "hi/its", "its/why": the line is known; "oh/thanks": the reply; in "why/yes" neither, for "yes ." only
    # begins a training dialogue and replies to nothing
    assert corpus.fields["response"]["test"] == [["yes", "."]]
    assert corpus.fields["context"]["test"] == [["why", "?"]]
    assert corpus.attributes["test"].to_dict("records") == [{"dialogue": 0, "turn": 3}]
    assert [(t["split"], t["count"]) for t in corpus.treatments.as_list()[1:]] == [("valid", 3), ("test", 3)]


def test_the_official_pairs_are_all_kept(make_entry: Make, archives: dict[str, bytes]) -> None:
    corpus = read(*make_entry(reader("dailydialog-pairs") | {"deduplicated": False}, archives))
    kept = read(*make_entry(reader("dailydialog-pairs"), archives))
    assert {split: len(texts) for split, texts in corpus.splits.items()} == {
        "train": 3,
        "valid": 4,
        "test": 4,
    }
    assert corpus.splits["train"] == kept.splits["train"]
    assert [t["what"] for t in corpus.treatments.as_list() if "dropped" in t["what"]] == []


@pytest.mark.parametrize("row", ["why ?,yes .", "why ?,no .", "why ?,yes .\nwhy ?,yes ."])
def test_pairs_are_compared_with_the_published_ones(
    make_entry: Make, archives: dict[str, bytes], row: str
) -> None:
    options = reader("dailydialog-pairs", published_test="c/pairs.csv")
    made = make_entry(options, {**archives, "pairs.csv": f"line,reply\n{row}\n".encode()})
    if row == "why ?,yes .":
        assert read(*made).splits["test"] == [["yes", "."]]
    else:
        with pytest.raises(BenchError, match=r"differ from the \d published ones"):
            read(*made)


def test_archives_that_do_not_fit(
    make_entry: Make, make_zip: Make, archives: dict[str, bytes], tmp_path: Path
) -> None:
    files = {
        "dialogues_test.txt": b"a __eou__\n",
        "dialogues_act_test.txt": b"1\n1\n",
        "dialogues_emotion_test.txt": b"0\n",
    }
    archives["test"] = make_zip(tmp_path / "t.zip", files).read_bytes()
    with pytest.raises(BenchError, match=r"have \[1, 2, 1\] lines"):
        read(*make_entry(reader("dailydialog"), archives))
