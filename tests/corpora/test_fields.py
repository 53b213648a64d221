"""Examples of several fields and labels: rules for each, vocabularies, what is written, batches."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.numpy import load_file

from bench.base.errors import BenchError
from bench.base.text_rules import TextRules
from bench.corpora.batches import STEPS, Collator
from bench.corpora.prepare import prepare
from bench.corpora.prepared import Prepared
from bench.corpora.vocabulary import EOS, GO, PAD, UNK

Make = Callable[..., Any]
CONTEXTS = "hi there\nhow are you today\ny\nz z\n"
RESPONSES = "hello\nfine\ny and x\nhi hi hi hi\n"
COLUMNS = {"columns": {"context": "post", "response": "reply"}, "label_columns": {"style": "mood"}}
TABLE = b"post,reply,mood\nhi there,hello,up\nhow are you today,fine,down\ny,y and x,up\nz z,hi hi hi hi,up\n"


@pytest.fixture
def make_pairs(make_entry: Make, tmp_path: Path) -> Make:
    """``make(rules, table)``: the pairs above, prepared; the same table for each split."""

    def make(rules: dict[str, Any] | None = None, table: bytes = TABLE) -> Prepared:
        reader = {"kind": "pairs", "train": "c/a.csv", "valid": "c/a.csv", "test": "c/a.csv", **COLUMNS}
        entry, paths = make_entry(reader, {"a.csv": table})
        prepare(entry, paths, TextRules.model_validate(rules or {}), tmp_path / "out")
        return Prepared.load(tmp_path / "out")

    return make


def card_of(corpus: Prepared) -> dict[str, Any]:
    card: dict[str, Any] = json.loads((corpus.folder / "card.json").read_text())
    return card


def test_what_is_written_and_read_back(make_pairs: Make) -> None:
    corpus = make_pairs()
    assert (corpus.decodes, corpus.encodes) == ("response", "response")
    assert corpus.labels == {"style": ["down", "up"]}
    assert corpus.vocabularies["context"] is corpus.vocabulary
    assert corpus.vocabulary.words[4:10] == ["hi", "there", "how", "are", "you", "today"]
    assert corpus.raw("test") == [["hello"], ["fine"], ["y", "and", "x"], ["hi"] * 4]
    assert corpus.raw("test", "context")[:2] == [["hi", "there"], ["how", "are", "you", "today"]]
    texts = corpus.splits["test"]
    assert corpus.vocabulary.decode(texts[2]) == ["y", "and", "x"]
    assert corpus.vocabulary.decode(texts.others["context"][0]) == ["hi", "there"]
    assert texts.labels["style"].tolist() == [1, 0, 1, 1]
    attributes = corpus.attributes("test")
    assert attributes["style"].tolist() == ["up", "down", "up", "up"]
    names = {path.name for path in corpus.folder.iterdir()}
    assert {"train.context.txt", "train.response.txt"} <= names
    assert not {"train.txt", "attributes.parquet"} & names
    ids = load_file(corpus.folder / "ids.safetensors")
    assert {key for key in ids if key.startswith("test")} == {
        *(f"test.{name}.{kind}" for name in ("context", "response") for kind in ("tokens", "offsets")),
        "test:style",
    }
    first = texts.first(2)
    assert (len(first), len(first.others["context"]), first.labels["style"].tolist()) == (2, 2, [1, 0])


def test_a_corpus_needs_the_fields_and_labels_that_are_asked_of_it(make_pairs: Make) -> None:
    corpus = make_pairs()
    corpus.require(fields=["context"], labels=["style"], who="system cvae")
    with pytest.raises(BenchError, match=r"unknown field of c 'contxt'(.|\n)*system cvae"):
        corpus.require(fields=["contxt"], who="system cvae")
    with pytest.raises(BenchError, match=r"unknown label of c 'mood'(.|\n)*style"):
        corpus.require(labels=["mood"], who="system cvae")


@pytest.mark.parametrize(
    ("rules", "contexts", "treated"),
    [
        ({"max_length": 3}, 4, {"texts of context cut to 3 words": 1, "texts of response cut to 3 words": 1}),
        ({"fields": {"context": {"max_length": 3}}}, 4, {"texts of context cut to 3 words": 1}),
        (
            {"fields": {"context": {"max_length": 3, "overlong": "drop"}, "response": {"min_length": 3}}},
            2,
            {
                "examples with a response of fewer than 3 words dropped": 1,
                "examples with a context of more than 3 words dropped": 1,
            },
        ),
    ],
)
def test_rules_of_a_field(
    make_pairs: Make, rules: dict[str, Any], contexts: int, treated: dict[str, int]
) -> None:
    corpus = make_pairs(rules)
    assert len(corpus.splits["train"]) == contexts
    assert len(corpus.raw("train", "context")) == len(corpus.splits["train"].labels["style"]) == contexts
    found = {t["what"]: t["count"] for t in card_of(corpus)["treatments"] if t["split"] == "train"}
    assert found == treated


def test_vocabularies_apart(make_pairs: Make) -> None:
    corpus = make_pairs({"separate": ["context"], "fields": {"context": {"min_count": 2, "lowercase": True}}})
    assert corpus.vocabularies["context"].words[4:] == ["z"]
    assert corpus.vocabulary.words[4:] == ["hello", "fine", "y", "and", "x", "hi"]
    assert corpus.rules.of("context").min_count == 2
    texts = corpus.splits["test"].others["context"]
    assert [ids.tolist() for ids in texts] == [[UNK, UNK], [UNK] * 4, [UNK], [4, 4]]
    [kept] = [t for t in card_of(corpus)["treatments"] if t["split"] == "test"]
    assert (kept["what"], kept["count"]) == ("texts of context of unknown words alone kept", 3)
    assert card_of(corpus)["fields"]["context"]["vocabulary_size"] == 5


def test_what_is_decoded_and_encoded_can_be_named(make_pairs: Make) -> None:
    corpus = make_pairs({"decodes": "context", "encodes": "response"})
    assert (corpus.decodes, corpus.encodes) == ("context", "response")
    assert corpus.raw("test")[0] == ["hi", "there"]
    batch = Collator(corpus.splits["test"])([0, 1])
    assert (batch.words.shape, batch.fields[batch.encodes].words.shape) == ((4, 2), (1, 2))
    assert card_of(corpus)["splits"]["test"]["words"] == 9


def test_the_hash_covers_fields_labels_and_their_roles(make_pairs: Make) -> None:
    hashes = [
        make_pairs().data_hash,
        make_pairs(table=TABLE.replace(b"how are", b"are how")).data_hash,
        make_pairs(table=TABLE.replace(b"fine,down", b"fine,up")).data_hash,
        make_pairs(table=TABLE.replace(b",up", b",top")).data_hash,
        make_pairs({"encodes": "context"}).data_hash,
        make_pairs({"separate": ["context"]}).data_hash,
    ]
    assert len(set(hashes)) == len(hashes)
    assert make_pairs({"max_length": 100}).data_hash == hashes[0]


def test_the_card_compares_whole_examples_and_each_field(make_pairs: Make) -> None:
    card = card_of(make_pairs(table=TABLE + b"hi there,hello there,up\n"))
    assert card["splits"]["test"]["duplicates"] == 0
    assert card["splits"]["test"]["shared"]["train"] == 5
    assert [card["fields"][name]["splits"]["test"]["duplicates"] for name in ("context", "response")] == [
        1,
        0,
    ]
    assert card["labels"]["style"]["train"] == {"down": 1, "up": 4}


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"fields": {"contxt": {"max_length": 3}}}, "unknown field of this corpus 'contxt'"),
        ({"separate": ["text"]}, "unknown field of this corpus 'text'"),
        ({"encodes": "source"}, "unknown field of this corpus 'source'"),
    ],
)
def test_rules_for_a_field_that_is_not_there(make_pairs: Make, rules: dict[str, Any], said: str) -> None:
    with pytest.raises(BenchError, match=said) as caught:
        make_pairs(rules)
    assert "context, response" in str(caught.value)


def test_a_shared_vocabulary_has_one_rule() -> None:
    with pytest.raises(ValidationError, match="min_count of the field 'context' differs"):
        TextRules.model_validate({"fields": {"context": {"min_count": 2}}})
    rules = TextRules.model_validate({"max_length": 9, "fields": {"context": {"overlong": "drop"}}})
    assert (rules.of("context").max_length, rules.of("context").overlong) == (9, "drop")
    assert (rules.of("response").max_length, rules.of("response").overlong) == (9, "truncate")
    assert TextRules.model_validate(rules.model_dump(mode="json")) == rules


def test_rules_of_texts_alone_are_written_as_ever() -> None:
    """They are a part of every run's identity."""
    assert list(TextRules().model_dump(mode="json")) == [
        "min_count", "max_words", "vocabulary_from", "unknown", "oov", "max_length", "overlong", "lowercase",
        "min_length",
    ]  # fmt: skip


def test_a_class_that_no_training_example_has(make_entry: Make, tmp_path: Path) -> None:
    reader = {"kind": "pairs", "train": "c/a.csv", "valid": "c/a.csv", "test": "c/b.csv", **COLUMNS}
    files = {"a.csv": TABLE, "b.csv": TABLE.replace(b"fine,down", b"fine,sideways")}
    entry, paths = make_entry(reader, files)
    with pytest.raises(BenchError, match=r"line 2 of the test split .* has the style 'sideways'"):
        prepare(entry, paths, TextRules(), tmp_path / "out")


# --- batches -----------------------------------------------------------------------------------------


def test_a_batch_has_all_fields_and_labels(make_pairs: Make) -> None:
    corpus = make_pairs()
    batch = Collator(corpus.splits["test"])([3, 1])
    hi, fine = (corpus.vocabulary.id(word) for word in ("hi", "fine"))
    assert batch.words.t().tolist() == [[hi] * 4, [fine, PAD, PAD, PAD]]
    context = batch.fields["context"]
    assert context.lengths.tolist() == [2, 4]
    assert corpus.vocabulary.decode(context.words[:, 1]) == ["how", "are", "you", "today"]
    assert context.words[:, 0].tolist()[2:] == [PAD, PAD]
    assert context.inputs[0].tolist() == [GO, GO]
    assert context.targets[2:, 0].tolist() == [EOS, PAD, PAD]
    assert context.real.sum(0).tolist() == [3, 5]
    assert batch.labels["style"].tolist() == [1, 0]
    assert batch.labels["style"].dtype == torch.int64
    whole = batch.fields["response"]
    for name in ("words", "lengths", "inputs", "targets", "real"):
        assert torch.equal(getattr(whole, name), getattr(batch, name))
    assert batch.fields[batch.encodes].words is batch.words
    part = batch.part(slice(1, 2))
    assert (part.labels["style"].tolist(), part.tokens, part.index.tolist()) == ([0], 2, [1])
    assert torch.equal(part.fields["context"].words, context.words[:, 1:])


def test_a_batch_of_another_shape_is_never_copied_in_silence(make_pairs: Make) -> None:
    """One context word would be broadcast over four; batches of one shape are those that fit in all tensors."""
    collate = Collator(make_pairs().splits["test"])
    short, long = collate([0, 2]).part(slice(0, 1)), collate([1, 2]).part(slice(0, 1))
    assert short.words.shape == long.words.shape
    assert short.shape != long.shape
    with pytest.raises(ValueError, match="does not fit"):
        long.copy().copy_(short)
    one, other = collate([0, 3]), collate([3, 0])
    copied = one.copy()
    copied.copy_(other)
    assert one.shape == other.shape
    assert torch.equal(copied.fields["context"].words, other.fields["context"].words)
    assert torch.equal(copied.labels["style"], other.labels["style"])
    assert one.index.tolist() == [0, 3]


def test_shapes_are_few_where_updates_are_recorded(make_pairs: Make) -> None:
    collate = Collator(make_pairs().splits["test"], multiple=64)
    assert collate([0, 1]).fields["context"].words.shape == (STEPS, 2)
    assert collate([0, 2]).fields["context"].words.shape == (STEPS, 2)
    assert collate([0, 2]).fields["context"].lengths.tolist() == [2, 1]


def test_every_example_is_reproduced(make_entry: Make, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    lines = [
        [" ".join(f"w{i}" for i in random.integers(0, 30, size=n)) for n in random.integers(1, 9, 40)]
        for _ in "ab"
    ]
    files = {name: "\n".join(side).encode() for name, side in zip("ab", lines, strict=True)}
    both = {"source": "c/a", "target": "c/b"}
    entry, paths = make_entry({"kind": "pairs", "train": both, "valid": both, "test": both}, files)
    prepare(entry, paths, TextRules(), tmp_path / "out")
    corpus = Prepared.load(tmp_path / "out")
    batch = Collator(corpus.splits["train"])(random.permutation(40))
    for column, number in enumerate(batch.index.tolist()):
        for name, side in zip(("source", "target"), lines, strict=True):
            one = batch.fields[name]
            words = corpus.vocabulary.decode(one.words[: one.lengths[column], column])
            assert " ".join(words) == side[number]
