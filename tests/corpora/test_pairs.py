"""A user's own pairs: from a file per field, from tables, and what is said of bad ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.base.errors import BenchError
from bench.base.text_rules import TextRules
from bench.corpora.entries import load_entry
from bench.corpora.fetch import fetch
from bench.corpora.prepare import prepare
from bench.corpora.prepared import Prepared
from bench.corpora.readers import read
from bench.corpora.vocabulary import UNK

Make = Callable[..., Any]
POSTS, REPLIES = b"how are you\nhi\nwho is it\n", b"fine\nhello you\nme\n"
FILES = """
name: mine
title: My dialogues
files:
  train: {context: train.post.txt, response: train.resp.txt}
  valid: {context: valid.post.txt, response: valid.resp.txt}
  test: {context: test.post.txt, response: test.resp.txt}
"""
TABLES = """
name: mine
title: My dialogues
files: {train: train.csv, valid: valid.csv, test: test.csv}
reader: {kind: pairs, columns: {context: post, response: reply}}
"""
SPLITS = ("train", "valid", "test")


def user_folder(folder: Path, declared: str = FILES, **files: bytes) -> Path:
    """A folder as a user has it; ``files`` replaces those of the training split by their suffix."""
    for split in SPLITS:
        (folder / f"{split}.post.txt").write_bytes(POSTS)
        (folder / f"{split}.resp.txt").write_bytes(REPLIES)
        (folder / f"{split}.csv").write_bytes(b"post,reply\n" + b'"how, are you",fine\nhi,"hello ""you"""\n')
    for name, data in files.items():
        (folder / f"train.{name.replace('_', '.')}").write_bytes(data)
    (folder / "mine.yaml").write_text(declared)
    return folder / "mine.yaml"


def prepared(path: Path) -> tuple[Prepared, dict[tuple[str, str], int]]:
    entry = load_entry(path)
    prepare(entry, fetch(entry, cache=path.parent / "cache"), TextRules(), path.parent / "out")
    treatments = json.loads((path.parent / "out" / "card.json").read_text())["treatments"]
    counted = {(t["what"], t["split"]): t["count"] for t in treatments}
    return Prepared.load(path.parent / "out"), counted


def test_a_file_per_field_is_declared_in_a_few_lines(tmp_path: Path) -> None:
    corpus, counted = prepared(user_folder(tmp_path))
    assert list(corpus.vocabularies) == ["context", "response"]
    assert corpus.raw("valid", "context") == [["how", "are", "you"], ["hi"], ["who", "is", "it"]]
    assert corpus.raw("valid") == [["fine"], ["hello", "you"], ["me"]]
    assert not counted


def test_a_table_is_declared_in_a_few_lines(tmp_path: Path) -> None:
    corpus, _ = prepared(user_folder(tmp_path, TABLES))
    assert corpus.raw("train", "context") == [["how,", "are", "you"], ["hi"]]
    assert corpus.raw("train") == [["fine"], ["hello", '"you"']]


def test_quotation_marks_are_plain_between_tabs(tmp_path: Path) -> None:
    path = user_folder(tmp_path, TABLES.replace(".csv", ".tsv"))
    for split in SPLITS:
        (tmp_path / f"{split}.tsv").write_bytes(b'reply\tpost\n"fine"\thow, "are" you\nhello "\thi\n')
    assert prepared(path)[0].raw("train") == [['"fine"'], ["hello", '"']]
    semicolons = TABLES.replace("reply}}", 'reply}, separator: ";"}')
    path = user_folder(tmp_path, semicolons)
    for split in SPLITS:
        (tmp_path / f"{split}.csv").write_bytes(b'post;reply\nhi;"hello\nyou"\nhi, you;me\n')
    assert prepared(path)[0].raw("train") == [["hello", "you"], ["me"]]


def test_a_pair_without_a_reply_is_dropped_and_counted(tmp_path: Path) -> None:
    corpus, counted = prepared(
        user_folder(tmp_path, post_txt=POSTS + b"so\n \n", resp_txt=REPLIES + b"\nwell\n")
    )
    assert corpus.raw("train") == [["fine"], ["hello", "you"], ["me"]]
    assert counted == {
        ("examples with a response of fewer than 1 words dropped", "train"): 1,
        ("examples with a context of fewer than 1 words dropped", "train"): 1,
    }
    (tmp_path / "train.csv").write_bytes(b"post,reply\nhow are you,fine\nso,\nhi,hello\n\n")
    (tmp_path / "mine.yaml").write_text(TABLES)
    corpus, counted = prepared(tmp_path / "mine.yaml")
    assert corpus.raw("train") == [["fine"], ["hello"]]
    assert counted == {
        ("empty lines skipped", "train"): 1,
        ("examples with a response of fewer than 1 words dropped", "train"): 1,
    }


def test_a_post_of_unknown_words_and_a_reply_of_one_word_are_kept_and_counted(tmp_path: Path) -> None:
    path = user_folder(tmp_path)
    (tmp_path / "test.post.txt").write_bytes(b"nobody knows these\nhi\nwho is it\n")
    corpus, card = prepared(path)[0], json.loads((tmp_path / "out" / "card.json").read_text())
    assert corpus.splits["test"].others["context"][0].tolist() == [UNK, UNK, UNK]
    assert card["fields"]["context"]["splits"]["test"]["unknown_tokens"] == 3
    assert corpus.raw("test") == [["fine"], ["hello", "you"], ["me"]]
    assert card["fields"]["response"]["splits"]["test"]["length"]["min"] == 1


@pytest.mark.parametrize("white", ["\f", "\v", "\r", "\x1f", "\x85"])
def test_odd_white_space_neither_joins_words_nor_moves_lines(tmp_path: Path, white: str) -> None:
    odd = f"how{white}are you\nhi\nwho is it\n".encode()
    corpus, counted = prepared(user_folder(tmp_path, post_txt=odd))
    assert corpus.raw("train", "context")[0] == ["how", "are", "you"]
    assert counted == {("control characters between words replaced by blanks", "train"): 1}
    (tmp_path / "train.csv").write_bytes(f"post,reply\nhow{white}are you,fine\nhi,hello\n".encode())
    (tmp_path / "mine.yaml").write_text(TABLES)
    assert prepared(tmp_path / "mine.yaml")[0].raw("train", "context")[0] == ["how", "are", "you"]


@pytest.mark.parametrize(
    ("declared", "files", "said"),
    [
        (
            FILES,
            {"resp_txt": b"fine\nhello\n"},
            [r"train split have different numbers of lines: 3, 2", "resp.txt"],
        ),
        (FILES, {"resp_txt": b"fine\ncaf\xe9\nme\n"}, [r"line 2 is not UTF-8 \(byte 4: 0xe9\)", "resp.txt"]),
        (TABLES, {"csv": b"post,answer\nhi,hello\nhi,you\n"}, ["unknown column 'reply'", "answer, post"]),
        (TABLES, {"csv": b"post,reply\nhi,hello\nwell, so,me\n"}, ["line 3 has 3 columns .* header has 2"]),
        (TABLES, {"csv": b"post,reply\nhi,hello\nwell\n"}, ["line 3 has 1 columns"]),
        (TABLES, {"csv": b'post,reply\nhi,"hello\nwell,me\n'}, ["not a row of a table", "unexpected end"]),
        (TABLES, {"csv": b"post,reply\nhi,hello\ncaf\xe9,me\n"}, ["line 3 is not UTF-8"]),
        (TABLES, {"csv": b"post,reply,post\nhi,hello,you\n"}, ["names a column twice"]),
        (TABLES, {"csv": b""}, ["the table is empty"]),
        (TABLES, {"csv": b"post,reply\n"}, [r"has 0 text\(s\)"]),
    ],
)
def test_bad_files(tmp_path: Path, declared: str, files: dict[str, bytes], said: list[str]) -> None:
    path = user_folder(tmp_path, declared)
    for name, data in files.items():
        (tmp_path / f"train.{name.replace('_', '.')}").write_bytes(data)
    for words in said:
        with pytest.raises(BenchError, match=f"(?s){words}"):
            prepared(path)


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        (TABLES.replace("columns", "colums"), "unknown key 'colums'.*did you mean 'columns'"),
        (TABLES.replace(", columns: {context: post, response: reply}", ""), "columns is missing"),
        (FILES.replace("  test: {context: test.post.txt, response", "  test: {source: test.post.txt, response"),
         "test has the fields"),
        (FILES.replace("{context: test.post.txt, response: test.resp.txt}", "test.csv"), "some splits are a table"),
        (FILES.replace("test.resp.txt", "3"), "files.test is"),
        (FILES + "reader: {kind: pairs, columns: {context: post}}", "columns and label_columns are for tables"),
        (FILES.replace("response", "Response!"), "'Response!' cannot be the name of a field"),
    ],
)  # fmt: skip
def test_bad_declarations(tmp_path: Path, declared: str, said: str) -> None:
    with pytest.raises(BenchError, match=f"(?s){said}"):
        prepared(user_folder(tmp_path, declared))


def test_a_file_that_is_absent_is_named(tmp_path: Path) -> None:
    path = user_folder(tmp_path)
    (tmp_path / "valid.resp.txt").unlink()
    with pytest.raises(BenchError, match=r"valid\.resp\.txt"):
        prepared(path)


def test_labels_stand_in_columns(make_entry: Make) -> None:
    reader = {"kind": "pairs", "columns": {"text": "review"}, "label_columns": {"style": "stars"}}
    files = {"a.csv": b"stars,review\n5,good food\n1,bad food\n"}
    entry, paths = make_entry({**reader, **dict.fromkeys(SPLITS, "c/a.csv")}, files)
    corpus = read(entry, paths)
    assert (corpus.splits["test"], corpus.labels["style"]["test"]) == (
        [["good", "food"], ["bad", "food"]],
        ["5", "1"],
    )
    paths["c/a.csv"].write_bytes(b"stars,review\n5,good food\n ,bad food\n")
    with pytest.raises(BenchError, match="line 3 has no stars, the label 'style'"):
        read(entry, paths)
