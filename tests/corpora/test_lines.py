"""The reader of lines: parts, labels, repairs, and what it does to odd lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench.base.errors import BenchError
from bench.corpora.entries import load_corpora
from bench.corpora.raw import Treatments, decoded_lines, tokens
from bench.corpora.readers import read

Make = Callable[..., Any]
SAME = {"valid": "c/a", "test": "c/a"}


def test_odd_lines_are_treated_and_counted() -> None:
    treatments = Treatments()
    data = "\ufeffone\r\n\n \t \ntw\x00o\x07 three\nfour\u2028five\n".encode()
    lines = list(decoded_lines(data, "a.txt", "train", treatments))
    assert lines == [(1, "one"), (4, "two three"), (5, "four\u2028five")]
    assert treatments.as_list() == [
        {"what": "control characters removed", "split": "train", "count": 3, "lines": [1, 4]},
        {"what": "empty lines skipped", "split": "train", "count": 2, "lines": [2, 3]},
    ]


@pytest.mark.parametrize("white", "\f\v\r\x1c\x1d\x1e\x1f\x85")
def test_white_space_of_any_kind_never_joins_two_words(white: str) -> None:
    treatments = Treatments()
    [(_, text)] = decoded_lines(f"one{white}two\n".encode(), "a.txt", "train", treatments)
    assert tokens(text) == ["one", "two"]
    [treatment] = treatments.as_list()
    assert (treatment["what"], treatment["count"]) == (
        "control characters between words replaced by blanks",
        1,
    )


def test_the_first_lines_only_are_kept_as_examples() -> None:
    treatments = Treatments()
    assert list(decoded_lines(b"\n" * 9, "a.txt", "train", treatments)) == []
    assert treatments.as_list()[0] == {
        "what": "empty lines skipped", "split": "train", "count": 9, "lines": [1, 2, 3, 4, 5]
    }  # fmt: skip


def test_bytes_that_are_not_utf8() -> None:
    with pytest.raises(BenchError, match=r"line 2 is not UTF-8 \(byte 4: 0xe9\)") as caught:
        list(decoded_lines(b"one\ncaf\xe9\n", "a.txt", "train", Treatments()))
    assert caught.value.where == "a.txt"


def test_parts_of_files_with_labels(make_entry: Make) -> None:
    train = [{"path": "c/a", "last": 2, "label": "x"}, {"path": "c/b", "label": "y"}]
    reader = {
        "kind": "lines",
        "train": train,
        "valid": {"path": "c/a", "first": 3, "label": "z"},
        "test": {"path": "c/a", "label": "y"},
        "label": "kind",
    }
    entry, paths = make_entry(reader, {"a": b"a b\n\nc\nd\n", "b": b"e\n"})
    corpus = read(entry, paths)
    assert corpus.splits["train"] == [["a", "b"], ["e"]]
    assert corpus.splits["valid"] == [["c"], ["d"]]
    assert corpus.labels == {"kind": {"train": ["x", "y"], "valid": ["z", "z"], "test": ["y", "y", "y"]}}
    assert [(t["split"], t["lines"]) for t in corpus.treatments.as_list()] == [("train", [2]), ("test", [2])]
    entry, paths = make_entry({**reader, "test": "c/a"}, {"a": b"a b\n\nc\nd\n", "b": b"e\n"})
    with pytest.raises(BenchError, match="3 texts of the test split have no label"):
        read(entry, paths)


def test_a_label_before_a_tab(make_entry: Make) -> None:
    reader = {"kind": "lines", "train": "c/a", **SAME, "label": "label", "label_column": True}
    entry, paths = make_entry(reader, {"a": b"4\tgood food\n0\tbad _UNK\n"})
    corpus = read(entry, paths)
    assert corpus.splits["test"] == [["good", "food"], ["bad", "_UNK"]]
    assert corpus.labels["label"]["test"] == ["4", "0"]
    paths["c/a"].write_bytes(b"4\tgood\nbad\n")
    with pytest.raises(BenchError, match="line 2 has no tab"):
        read(entry, paths)


def test_the_damage_of_yahoo_is_undone_and_its_unknown_word_is_a_word(tmp_path_factory: Any) -> None:
    entry = load_corpora()["yahoo"]
    path = tmp_path_factory.mktemp("yahoo") / "lines.txt"
    path.write_text("what is a _UNK ?\ncats , dogs , etorch.. and etorch.\n")
    corpus = read(entry, {file.path: path for file in entry.files})
    assert corpus.splits["valid"] == [
        ["what", "is", "a", "_UNK", "?"],
        ["cats", ",", "dogs", ",", "etc..", "and", "etc."],
    ]
    repaired = [t for t in corpus.treatments.as_list() if t["split"] == "valid"]
    assert repaired == [{"what": "'etorch' repaired to 'etc'", "split": "valid", "count": 2, "lines": [2]}]


def test_the_lite_corpora_never_read_one_line_twice(tmp_path_factory: Any) -> None:
    """Each line of each file of the stand-ins is in exactly one split."""
    folder = tmp_path_factory.mktemp("lite")
    sizes = {"yahoo": 10000, "dev.0": 25278, "dev.1": 38205, "test.0": 50278, "test.1": 76392}
    for name in ("yahoo-lite", "yelp-sentiment-lite"):
        entry, paths = load_corpora()[name], {}
        for file in entry.files:
            stem = file.path.replace("/", "-")
            size = next(n for key, n in sizes.items() if stem.startswith(key) or stem.endswith(key))
            paths[file.path] = folder / stem
            paths[file.path].write_text("".join(f"{stem}:{i}\n" for i in range(size)))
        corpus = read(entry, paths)
        words = [words[0] for texts in corpus.splits.values() for words in texts]
        assert len(words) == len(set(words)) == sum(len(p.read_text().split()) for p in paths.values())
        assert {split: len(texts) for split, texts in corpus.splits.items()} == entry.expect


def test_no_path_was_given(make_entry: Make) -> None:
    entry, _ = make_entry({"kind": "lines", "train": "c/a", **SAME}, {"a": b"x\n"})
    with pytest.raises(BenchError, match="no path given for c/a"):
        read(entry, {})
