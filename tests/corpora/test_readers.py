"""The readers of the corpora with formats of their own, on small files of the same format."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.base.errors import BenchError
from bench.corpora.readers import kinds, read, reader
from bench.corpora.readers.sentences import divide, read_sentences

Make = Callable[..., Any]
SPLITS = ("train", "valid", "test")


def rows(corpus: Any, split: str, *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in corpus.attributes[split][list(columns)].itertuples(index=False)]


# --- Yelp13 ------------------------------------------------------------------------------------------

REVIEW = " ".join(f"w{i}" for i in range(60))


def yelp13(make_entry: Make, make_zip: Make, tmp_path: Path, files: dict[str, str], **options: Any) -> Any:
    archive = make_zip(tmp_path / "y.zip", {f"yelp/{name}": text.encode() for name, text in files.items()})
    reader = {"kind": "yelp13", "archive": "c/y.zip", **options}
    return read(*make_entry(reader, {"y.zip": archive.read_bytes()}))


@pytest.mark.parametrize("rating_word", [False, True])
@pytest.mark.parametrize("form", ["prepared", "source"])
def test_yelp13(make_entry: Make, make_zip: Make, tmp_path: Path, form: str, rating_word: bool) -> None:
    cut = " ".join(REVIEW.split()[:50])
    if form == "prepared":
        files = {f"{split}.txt": f"3 {cut}\n0 so <unk> .\n" for split in SPLITS}
    else:
        text = f"u\tp\tx\t4\t4\tx\t{REVIEW}\nu\tp\tx\t1\t1\tx\tso <sssss> <unk> .\n"
        files = {f"yelp-{split}.txt": text for split in SPLITS}
    corpus = yelp13(make_entry, make_zip, tmp_path, files, rating_word=rating_word)
    expected = [cut.split(), ["so", "<unk>", "."]]
    if rating_word:
        expected = [["3", *expected[0]], ["0", *expected[1]]]  # 51 words: the digit is not counted
    for split in SPLITS:
        assert corpus.splits[split] == expected
        assert rows(corpus, split, "stars") == [(4,), (1,)]
    cuts = [t["count"] for t in corpus.treatments.as_list()]
    assert cuts == ([] if form == "prepared" else [1, 1, 1])


def test_yelp13_keeps_a_review_without_words_for_the_rules_to_drop(
    make_entry: Make, make_zip: Make, tmp_path: Path
) -> None:
    corpus = yelp13(make_entry, make_zip, tmp_path, {f"{split}.txt": "4 \n2 fine\n" for split in SPLITS})
    assert corpus.splits["test"] == [[], ["fine"]]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"train.txt": "5 good\n"}, "'5' instead of its rating"),
        ({"yelp-train.txt": "u\tp\t4\tgood\n"}, "a review has 4 columns"),
        ({"yelp-train.txt": "u\tp\tx\t4\t9\tx\tgood\n"}, "the rating is '9'"),
        ({"train.txt": "3 good\n"}, "holds 0 files named 'valid.txt'"),
    ],
)
def test_yelp13_malformed(
    make_entry: Make, make_zip: Make, tmp_path: Path, files: dict[str, str], said: str
) -> None:
    with pytest.raises(BenchError, match=said):
        yelp13(make_entry, make_zip, tmp_path, files)


# --- sentences (SNLI) --------------------------------------------------------------------------------


def test_sentences_are_tokenised_cut_and_divided(make_entry: Make) -> None:
    lines = [f"A dog no. {i} can't run." for i in range(98)] + [REVIEW, 'he says "tripe".']
    reader = {"kind": "sentences", "paths": ["c/a", "c/b"]}
    entry, paths = make_entry(
        reader, {"a": "\n".join(lines[:50]).encode(), "b": "\n".join(lines[50:]).encode()}
    )
    corpus = read(entry, paths)
    assert {split: len(corpus.splits[split]) for split in SPLITS} == {"train": 90, "valid": 5, "test": 5}
    texts = {" ".join(words) for split in SPLITS for words in corpus.splits[split]}
    assert len(texts) == 100
    assert {"a dog no. 7 ca n't run .", "he says tripe '' .", " ".join(REVIEW.split()[:20])} <= texts


def test_repeated_sentences_are_dropped_before_the_division(make_entry: Make) -> None:
    lines = [f"sentence {i // 2}" if i % 2 else f"Sentence {i // 2} " for i in range(80)]
    reader = {"kind": "sentences", "paths": ["c/a"], "distinct": True}
    corpus = read(*make_entry(reader, {"a": "\n".join(lines).encode()}))
    texts = [tuple(words) for split in SPLITS for words in corpus.splits[split]]
    assert sorted(texts) == sorted(("sentence", str(i)) for i in range(40))
    assert corpus.treatments.as_list()[0]["count"] == 40


def test_sentences_of_a_table_and_of_a_gzip_file_are_pooled_and_distinct_as_tokenised(
    make_entry: Make,
) -> None:
    """The premise of a pair is the caption that it was, which another release has in words already."""
    table = "1\t1\tA dog can't run.\tAn animal sits\n2\t2\tA cat.\t \n"
    captions = "".join(f"A dog no. {i} runs.\n" for i in range(20)) + "A CAT .\n"
    words = "a dog ca n't run . \nhe said `` tripe '' .\nHe said \"tripe\".\n"
    reader = {
        "kind": "sentences",
        "paths": ["c/pairs.csv", "c/captions.gz", "c/words"],
        "columns": {"c/pairs.csv": [3, 4]},
        "distinct": "words",
    }
    files = {
        "pairs.csv": table.encode(),
        "captions.gz": gzip.compress(captions.encode()),
        "words": words.encode(),
    }
    corpus = read(*make_entry(reader, files))
    texts = [" ".join(text) for split in SPLITS for text in corpus.splits[split]]
    others = ["a dog ca n't run .", "an animal sits", "a cat .", "he said tripe '' ."]
    assert sorted(texts) == sorted([*(f"a dog no. {i} runs ." for i in range(20)), *others])
    counts = {treatment["what"]: treatment["count"] for treatment in corpus.treatments.as_list()}
    assert counts == {"empty fields skipped": 1, "repeated sentences dropped before the split": 3}


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("pairs.csv", b"1\t1\ta dog\ta cat\n1\t1\ta dog\n", "line 2 has 3 columns"),
        ("captions.gz", gzip.compress(b"a dog\n", mtime=0)[:-5], "damaged gzip file"),
        ("captions.gz", b"a dog\n", "damaged gzip file"),
    ],
)
def test_malformed_sources_of_sentences(make_entry: Make, name: str, data: bytes, said: str) -> None:
    reader: dict[str, Any] = {"kind": "sentences", "paths": [f"c/{name}"]}
    if name == "pairs.csv":
        reader["columns"] = {"c/pairs.csv": [3, 4]}
    with pytest.raises(BenchError, match=said):
        read(*make_entry(reader, {name: data}))


def test_the_columns_of_a_file_that_is_no_source_are_refused(make_entry: Make) -> None:
    reader = {"kind": "sentences", "paths": ["c/a"], "columns": {"c/b": [3]}}
    with pytest.raises(BenchError, match="not among paths"):
        read(*make_entry(reader, {"a": b"a dog\n"}))


def test_the_division_is_that_of_the_papers_program() -> None:
    """Expected: ``numpy.random.shuffle``, seed 1337, then scikit-learn's train_test_split twice, seed 10."""
    train, valid, test = divide(30)
    assert sorted(train + valid + test) == list(range(30))
    assert (len(train), len(valid), len(test)) == (27, 1, 2)
    assert (train[:5], valid, test) == ([0, 12, 20, 14, 8], [15], [27, 11])


# --- Switchboard -------------------------------------------------------------------------------------


def conversation(*turns: tuple[str, str, str]) -> str:
    utterances = [[speaker, text, [act, [0.0, 1.0, 0.0, 0.0]]] for speaker, text, act in turns]
    return json.dumps({"A": {}, "B": {}, "topic": "t", "prompt": "p", "utts": utterances})


TALK = conversation(
    ("A", "Hello there", "fp"), ("A", "it's me", "sd"), ("B", "Uh-huh.", "b"), ("A", "bye", "fc")
)


def switchboard(make_entry: Make, text: str, form: str) -> Any:
    reader = {"kind": "switchboard", "form": form} | {split: f"c/{split}" for split in SPLITS}
    return read(*make_entry(reader, {split: text.encode() for split in SPLITS}))


def test_switchboard_pairs_leave_out_the_first_and_the_last_utterance(make_entry: Make) -> None:
    corpus = switchboard(make_entry, f"{TALK}\n{TALK}\n", "pairs")
    assert corpus.fields["response"]["test"] == [["it", "'", "s", "me"], ["uh", "-", "huh", "."]] * 2
    assert corpus.fields["context"]["test"] == [["hello", "there"], ["it", "'", "s", "me"]] * 2
    assert rows(corpus, "test", "dialogue", "turn", "same_speaker", "act") == [
        (0, 1, True, "sd"),
        (0, 2, False, "b"),
        (1, 1, True, "sd"),
        (1, 2, False, "b"),
    ]


def test_switchboard_utterances_are_all_there_in_order(make_entry: Make) -> None:
    corpus = switchboard(make_entry, TALK, "utterances")
    assert [" ".join(words) for words in corpus.splits["valid"]] == [
        "hello there", "it ' s me", "uh - huh .", "bye"
    ]  # fmt: skip
    assert rows(corpus, "valid", "dialogue", "turn", "speaker") == [(0, i, s) for i, s in enumerate("AABA")]


@pytest.mark.parametrize(
    "line", ["{", '{"x": 1}', '{"utts": [["A", "hi"]]}', '{"utts": [["A", 3, ["x"]]]}', "[]"]
)
def test_switchboard_malformed(make_entry: Make, line: str) -> None:
    with pytest.raises(BenchError, match="line 2 is not a dialogue"):
        switchboard(make_entry, f"{TALK}\n{line}\n", "pairs")


def test_swda(
    make_entry: Make, make_tar: Make, tmp_path: Path, git_folder: tuple[dict[str, bytes], str]
) -> None:
    inside = {f"x-1/data/train/{name}": data for name, data in git_folder[0].items()}
    archive = make_tar(tmp_path / "t.tar.xz", inside).read_bytes()
    files = {"t": archive, "v": b"A|Okay, uh,|%\n", "e": b"B|Well, it's hard.|^h\n"}
    reader = {"kind": "swda", "train": "c/t", "folder": "data/train", "valid": "c/v", "test": "c/e"}
    entry, paths = make_entry(reader, files)
    corpus = read(entry, paths)
    assert [" ".join(words) for words in corpus.splits["train"]] == ["bye , now !", "bye .", "hi there ."]
    assert rows(corpus, "train", "dialogue", "turn", "speaker", "act") == [
        (0, 0, "B", "fc"), (0, 1, "A", "fc"), (1, 0, "A", "fp")
    ]  # fmt: skip
    assert corpus.splits["test"] == [["well", ",", "it", "'", "s", "hard", "."]]
    assert corpus.attributes is not None
    assert corpus.attributes["test"]["dialogue"].isna().all()
    paths["c/v"].write_bytes(b"A|Okay|uh|%\n")
    with pytest.raises(BenchError, match="line 1 has 4 columns"):
        read(entry, paths)


# --- generated ---------------------------------------------------------------------------------------


def test_generated_corpora_need_no_file(make_entry: Make) -> None:
    corpus = read(*make_entry({"kind": "generated", "size": "tiny"}, {}))
    assert corpus.exact is not None
    assert corpus.exact["entropy"] > 0
    assert corpus.attributes is not None
    assert all(len(corpus.attributes[split]) == len(corpus.splits[split]) for split in SPLITS)
    assert read(*make_entry({"kind": "generated", "size": "tiny"}, {})).splits == corpus.splits


def test_every_reader_is_registered() -> None:
    assert sorted(kinds()) == sorted(
        [
            "dailydialog",
            "dailydialog-pairs",
            "generated",
            "generated-pairs",
            "generated-styles",
            "lines",
            "pairs",
            "sentences",
            "swda",
            "switchboard",
            "yelp13",
        ]
    )


def test_two_readers_of_one_name_are_told_apart() -> None:
    lines = kinds()["lines"]
    with pytest.raises(BenchError, match=r"two readers are named 'lines'(.|\n)*lines\.py and .*sentences"):
        reader("lines", lines.options)(read_sentences)
    assert kinds()["lines"] == lines
