"""The catalog of corpora, and what is said of a wrong entry."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bench.base.errors import BenchError
from bench.base.text_rules import TextRules
from bench.corpora.entries import load_corpora, load_entry
from bench.corpora.fetch import fetch
from bench.corpora.prepare import prepare
from bench.corpora.prepared import Prepared

EXAMPLE = Path(__file__).parent / "example"
GOOD = """
name: c
title: C
files: [{path: c/a.txt, url: "https://example.org/a.txt", bytes: 3}]
reader: {kind: lines, train: c/a.txt, valid: c/a.txt, test: c/a.txt}
"""


def test_package_catalog() -> None:
    corpora = load_corpora()
    papers = {
        "ptb",
        "yahoo",
        "yelp",
        "yelp13",
        "yelp-sentiment",
        "snli",
        "dailydialog",
        "switchboard",
        "swda",
    }
    assert papers <= corpora.keys()
    for name, entry in corpora.items():
        stand_in = name.endswith(("-lite", "-captions", "swda-pairs")) or name.startswith("generated-")
        assert entry.comparable != stand_in, name
        assert entry.about, name
        assert entry.licence, name
        assert entry.citation, name
        for file in entry.files:
            assert file.url is not None, file.path
            assert file.sha256 or file.git_blob or file.git_tree, file.path  # a size alone proves little
    shared = {f.path: f.git_blob for name in ("yahoo", "dailydialog") for f in corpora[name].files}
    for name in ("yahoo-lite", "dailydialog-pairs"):  # one file, one identity, wherever it is named
        assert all(shared.get(f.path, f.git_blob) == f.git_blob for f in corpora[name].files)


def test_a_users_corpus_needs_a_name_a_title_and_three_paths(tmp_path: Path) -> None:
    entry = load_corpora(EXAMPLE)["mine"]
    assert (entry.is_local, entry.comparable) == (True, False)
    paths = fetch(entry, cache=tmp_path / "cache")
    assert prepare(entry, paths, TextRules(), tmp_path / "out")["sizes"] == {
        "train": 3,
        "valid": 2,
        "test": 2,
    }
    prepared = Prepared.load(tmp_path / "out")
    assert prepared.raw("test") == [["a", "cat", "sat"], ["the", "bird", "ran"]]
    assert prepared.vocabulary.decode(prepared.splits["test"][1]) == ["the", "<unk>", "ran"]


def test_a_relative_local_path_is_relative_to_the_yaml_file(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        GOOD.replace('url: "https://example.org/a.txt", bytes: 3', "local: sub/a.txt")
    )
    assert load_entry(tmp_path / "c.yaml").files[0].local == tmp_path / "sub" / "a.txt"


def test_a_users_file_that_is_absent_is_named(tmp_path: Path) -> None:
    shutil.copy(EXAMPLE / "mine.yaml", tmp_path)
    with pytest.raises(BenchError, match=r"not found") as caught:
        fetch(load_entry(tmp_path / "mine.yaml"), cache=tmp_path)
    assert str(tmp_path / "train.txt") in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("title: C", "title: C\ntitel: D", ["unknown key 'titel'", "c.yaml", "did you mean 'title'?"]),
        ("title: C", "", ["title is missing"]),
        ("title: C", "title: C\ncomparable: perhaps", ["comparable is 'perhaps'"]),
        ("title: C", "title: C\nexpect: {dev: 3}", ["expect", "train", "valid", "test"]),
        ("name: c", "name: d", ["'d' differs from the name of the file", "allowed: c"]),
        ("kind: lines", "kind: line", ["unknown reader 'line'", "did you mean 'lines'?"]),
        ("kind: lines", "kind: lines, labell: x", ["unknown key 'labell'", "did you mean 'label'?"]),
        ("train: c/a.txt", "train: c/b.txt", ["unknown file of this corpus 'c/b.txt'", "c/a.txt"]),
        ("train: c/a.txt, ", "", ["reader.train is missing"]),
        (", bytes: 3", "", ["none of sha256, git_blob, git_tree, bytes"]),
        ("bytes: 3", "sha256: abc", ["sha256 is 'abc'"]),
        ("path: c/a.txt", "path: c/../../a.txt", ["not of the form <corpus>/<file>"]),
        ("https:", "ftp:", ["url is 'ftp:"]),
        ("files: [{", "files: {train: a.txt, dev: b.txt} #", ["unknown split 'dev'"]),
        ("files: [{", "files: {train: a.txt, valid: b.txt} #", ["files lacks test"]),
        ("files: [{", "files: {train: 3, valid: b, test: c} #", ["files.train is 3"]),
        ("\nname", "\n- name", ["c.yaml"]),
    ],
)
def test_wrong_entries(tmp_path: Path, old: str, new: str, said: list[str]) -> None:
    assert old in GOOD
    (tmp_path / "c.yaml").write_text(GOOD.replace(old, new))
    with pytest.raises(BenchError) as caught:
        load_corpora(tmp_path)
    for words in (*said, str(tmp_path)):
        assert words in str(caught.value)


def test_two_corpora_of_one_name(tmp_path: Path) -> None:
    (tmp_path / "ptb.yaml").write_text(GOOD.replace("name: c", "name: ptb"))
    with pytest.raises(BenchError, match="two corpora are named 'ptb'") as caught:
        load_corpora(tmp_path)
    assert str(tmp_path / "ptb.yaml") in str(caught.value)


def test_a_folder_that_is_absent(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="folder of corpus entries not found"):
        load_corpora(tmp_path / "nowhere")
