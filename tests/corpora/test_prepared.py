"""A prepared folder read back, and what damage it notices."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.base.errors import BenchError
from bench.base.text_rules import TextRules
from bench.corpora.prepare import prepare
from bench.corpora.prepared import Prepared


def utterances(*texts: str) -> bytes:
    return json.dumps({"utts": [["A", text, [text, []]] for text in texts]}).encode()


@pytest.fixture
def folder(make_entry: Callable[..., Any], tmp_path: Path) -> Path:
    reader = {"kind": "switchboard", "form": "utterances", "train": "c/a", "valid": "c/b", "test": "c/b"}
    files = {"a": utterances("b a b", "a _unk c"), "b": utterances("c", "a other b c")}
    entry, paths = make_entry(reader, files, comparable=True)
    prepare(entry, paths, TextRules(unknown=("_unk",)), tmp_path / "out")
    return tmp_path / "out"


def test_what_is_read_back(folder: Path) -> None:
    prepared = Prepared.load(folder)
    assert (prepared.name, prepared.title, prepared.comparable, prepared.exact) == ("c", "C", True, None)
    assert prepared.rules == TextRules(unknown=("_unk",))
    assert prepared.vocabulary.words[4:] == ["b", "a", "c"]
    assert prepared.vocabulary.id("_unk") == 3
    assert len(prepared.data_hash) == 64
    texts = prepared.splits["test"]
    assert (len(texts), texts.tokens.dtype, texts.offsets.dtype) == (2, torch.int32, torch.int64)
    assert texts.lengths.tolist() == [1, 4]
    assert [text.tolist() for text in texts] == [[6], [5, 3, 4, 6]]
    assert texts[-1].tolist() == texts[1].tolist() == [5, 3, 4, 6]
    assert prepared.vocabulary.decode(texts[1]) == ["a", "<unk>", "b", "c"]
    assert prepared.raw("test") == [["c"], ["a", "other", "b", "c"]]
    assert (prepared.decodes, prepared.encodes, prepared.labels) == ("text", "text", {})
    attributes = prepared.attributes("test")
    assert attributes is not None
    assert attributes["act"].tolist() == ["c", "a other b c"]
    for index in (2, -3):
        with pytest.raises(IndexError):
            texts[index]


def test_a_text_is_a_view_of_the_flat_tensor(folder: Path) -> None:
    texts = Prepared.load(folder).splits["train"]
    assert texts[1].untyped_storage().data_ptr() == texts.tokens.untyped_storage().data_ptr()


@pytest.mark.parametrize("name", ["corpus.json", "vocabulary.json", "ids.safetensors"])
@pytest.mark.parametrize("damage", ["absent", "truncated", "empty", "other"])
def test_damage_is_noticed_on_loading(folder: Path, name: str, damage: str) -> None:
    path = folder / name
    data = path.read_bytes()
    path.unlink()
    if damage != "absent":
        path.write_bytes({"truncated": data[:-9], "empty": b"", "other": b"{}"}[damage])
    with pytest.raises(BenchError) as caught:
        Prepared.load(folder)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("damage", ["absent", "truncated", "empty"])
def test_damaged_texts_and_attributes(folder: Path, damage: str) -> None:
    prepared = Prepared.load(folder)
    for name, read in (("test.txt", prepared.raw), ("attributes.parquet", prepared.attributes)):
        path = folder / name
        data = path.read_bytes()
        path.unlink()
        if damage != "absent":
            path.write_bytes({"truncated": data[:-6], "empty": b""}[damage])
        elif name == "attributes.parquet":
            continue  # a corpus need not have any
        with pytest.raises(BenchError) as caught:
            read("test")
        assert str(path) in str(caught.value)


def test_a_corpus_without_attributes(folder: Path) -> None:
    (folder / "attributes.parquet").unlink()
    assert Prepared.load(folder).attributes("test") is None
