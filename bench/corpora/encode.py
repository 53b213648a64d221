"""From words to ids: the vocabularies of a corpus, its fields and labels as numbers, and the hash of all of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.base.errors import BenchError
from bench.base.text_rules import SPLITS, TEXT, TextRules
from bench.corpora.names import id_keys, label_key
from bench.corpora.raw import RawCorpus
from bench.corpora.vocabulary import Vocabulary, build_vocabulary

if TYPE_CHECKING:
    import numpy

Ids = dict[str, "numpy.ndarray[Any, Any]"]


@dataclass(frozen=True)
class Encoded:
    """A corpus as a model sees it.

    ``ids`` holds, by the names of :mod:`bench.corpora.names`, all texts of a field end to end, int32, their
    offsets, int64 (texts + 1), and the classes of a label, int64 (texts).
    """

    vocabularies: dict[str, Vocabulary]
    ids: Ids
    classes: dict[str, list[str]]
    decodes: str
    encodes: str

    @property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary of the field that is decoded."""
        return self.vocabularies[self.decodes]

    @property
    def structure(self) -> dict[str, Any]:
        """Fields and labels, for ``corpus.json``; empty for a corpus of texts alone."""
        if list(self.vocabularies) == [TEXT] and not self.classes:
            return {}
        return {
            "fields": list(self.vocabularies),
            "decodes": self.decodes,
            "encodes": self.encodes,
            "labels": self.classes,
        }

    @property
    def other_words(self) -> dict[str, list[str]]:
        """The words of the fields whose vocabulary is not that of the decoded field."""
        return {name: v.words for name, v in self.vocabularies.items() if v is not self.vocabulary}

    def vocabulary_file(self, rules: TextRules) -> dict[str, Any]:
        """The content of ``vocabulary.json``."""
        others = {"others": self.other_words} if self.other_words else {}
        return {"words": self.vocabulary.words, "rules": rules.model_dump(mode="json"), **others}

    @property
    def data_hash(self) -> str:
        """Hex sha256 over words, ids and classes: equal if and only if a model would see the same data."""
        digest = hashlib.sha256(json.dumps(self.vocabulary.words, ensure_ascii=True).encode())
        for key in sorted(self.ids):
            digest.update(f"\0{key}:{len(self.ids[key])}\0".encode())
            digest.update(self.ids[key].astype(self.ids[key].dtype.newbyteorder("<")).tobytes())
        if self.structure:
            digest.update(json.dumps([self.structure, self.other_words], ensure_ascii=True).encode())
        return digest.hexdigest()


def encode(corpus: RawCorpus, rules: TextRules) -> Encoded:
    """Words and classes as numbers. Raises :class:`BenchError` for a class that no training example has."""
    vocabularies = build_vocabularies(corpus, rules)
    ids: Ids = {}
    for split in SPLITS:
        for name, splits in corpus.fields.items():
            ids.update(zip(id_keys(split, name), _flat(splits[split], vocabularies[name]), strict=True))
    classes = {}
    for name, values in corpus.labels.items():
        classes[name] = sorted(set(values["train"]))
        for split in SPLITS:
            ids[label_key(split, name)] = _numbers(corpus.name, name, split, values[split], classes[name])
    decodes = rules.decodes or next(reversed(corpus.fields))
    return Encoded(vocabularies, ids, classes, decodes, rules.encodes or decodes)


def build_vocabularies(corpus: RawCorpus, rules: TextRules) -> dict[str, Vocabulary]:
    """The vocabulary of each field, in the order of the fields; those that share one have the same object."""
    shared = [name for name in corpus.fields if name not in rules.separate]
    together = build_vocabulary(_texts(corpus, shared, rules.vocabulary_from), rules) if shared else None
    found = {}
    for name in corpus.fields:
        own = rules.of(name)
        found[name] = (
            together
            if together is not None and name in shared
            else build_vocabulary(_texts(corpus, [name], own.vocabulary_from), own)
        )
    return found


def _texts(corpus: RawCorpus, names: Sequence[str], splits: Sequence[str]) -> Iterator[list[str]]:
    """Split by split, field by field."""
    return (text for split in splits for name in names for text in corpus.fields[name][split])


def _flat(texts: Sequence[Sequence[str]], vocabulary: Vocabulary) -> tuple[Any, Any]:
    import numpy

    flat = [index for words in texts for index in vocabulary.encode(words)]
    lengths = numpy.fromiter((len(words) for words in texts), dtype=numpy.int64, count=len(texts))
    offsets = numpy.concatenate([numpy.zeros(1, numpy.int64), numpy.cumsum(lengths)])
    return numpy.array(flat, dtype=numpy.int32), offsets


def _numbers(corpus: str, label: str, split: str, values: Sequence[str], classes: Sequence[str]) -> Any:
    import numpy

    number = {value: index for index, value in enumerate(classes)}
    for line, value in enumerate(values, 1):
        if value not in number:
            raise BenchError(
                f"{corpus}: line {line} of the {split} split (counting kept lines) has the {label} {value!r}, "
                "which no training example has",
                allowed=classes,
            )
    return numpy.array([number[value] for value in values], dtype=numpy.int64)
