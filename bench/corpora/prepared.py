"""A prepared corpus as training and evaluation see it: ids mapped from disk, words, raw texts, labels, attributes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open

from bench.base.errors import BenchError, unknown
from bench.base.files import read_json
from bench.base.text_rules import SPLITS, TEXT, TextRules
from bench.corpora.names import WHOLE, id_keys, label_key, text_file
from bench.corpora.vocabulary import Vocabulary

if TYPE_CHECKING:
    import pandas

REMEDY = "delete the folder and prepare the corpus again"


@dataclass(frozen=True)
class Texts:
    """The texts of one split: ids of words only (no start, no end symbol), all in one flat tensor.

    Where the examples of the corpus have more than this field, ``others`` holds the other fields and
    ``labels`` the number of each example's class, int64 (texts,), by label; ``decodes`` is the name of this
    field, ``encodes`` that of the field that an encoder reads.
    """

    tokens: torch.Tensor  # int32, (words of the split,), mapped from the file
    offsets: torch.Tensor  # int64, (texts + 1,)
    others: dict[str, Texts] = field(default_factory=dict)
    labels: dict[str, torch.Tensor] = field(default_factory=dict)
    decodes: str = TEXT
    encodes: str = TEXT

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> torch.Tensor:
        """Ids of text ``index``, int32, (length,): a view, not a copy."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"text {index} of {len(self)}")
        index %= len(self)
        return self.tokens[int(self.offsets[index]) : int(self.offsets[index + 1])]

    def __iter__(self) -> Iterator[torch.Tensor]:
        bounds = self.offsets.tolist()
        return (self.tokens[a:b] for a, b in pairwise(bounds))

    @property
    def lengths(self) -> torch.Tensor:
        """Words per text, int64, (texts,)."""
        return self.offsets.diff()

    def first(self, count: int) -> Texts:
        """The first examples, at most ``count``, with all their fields and labels."""
        return replace(
            self,
            offsets=self.offsets[: count + 1],
            others={name: texts.first(count) for name, texts in self.others.items()},
            labels={name: classes[:count] for name, classes in self.labels.items()},
        )


@dataclass(frozen=True)
class Prepared:
    """What :func:`bench.corpora.prepare.prepare` wrote into ``folder``.

    ``splits`` holds the texts of the field that is decoded, and with them all other fields; ``vocabulary`` is
    that of this field, ``vocabularies`` those of all; ``labels`` holds the classes of each label, in the order
    of their numbers.
    """

    folder: Path
    name: str
    title: str
    comparable: bool
    rules: TextRules
    vocabularies: dict[str, Vocabulary]
    splits: dict[str, Texts]
    data_hash: str
    exact: dict[str, Any] | None
    labels: dict[str, list[str]]
    decodes: str
    encodes: str

    @classmethod
    def load(cls, folder: Path) -> Prepared:
        """Open a prepared folder. Raises :class:`BenchError` naming the file that is absent or damaged."""
        folder = Path(folder)
        summary: dict[str, Any] = {"fields": [TEXT], "decodes": TEXT, "encodes": TEXT, "labels": {}}
        fetch = f"bench fetch {folder.name} --out sources.json"
        prepare = f"bench prepare {folder.parent.name} {folder.name} --sources sources.json --out {folder}"
        summary |= read_json(folder / "corpus.json", absent=f"{fetch} && {prepare}")
        try:
            rules, vocabularies = _load_vocabularies(folder / "vocabulary.json", summary)
            return cls(
                folder=folder,
                rules=rules,
                vocabularies=vocabularies,
                splits=_load_ids(folder / "ids.safetensors", summary),
                **{key: summary[key] for key in ("name", "title", "comparable", "data_hash", "exact")},
                **{key: summary[key] for key in ("labels", "decodes", "encodes")},
            )
        except (KeyError, TypeError) as error:
            raise _damaged(folder / "corpus.json", f"{type(error).__name__} {error}") from error

    @property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary of the field that is decoded."""
        return self.vocabularies[self.decodes]

    def other_vocabularies(self, fields: Iterable[str]) -> dict[str, int]:
        """The sizes of the vocabularies of ``fields``, where they are not that of the decoded field."""
        read = {name: self.vocabularies[name] for name in fields}
        return {
            name: len(vocabulary) for name, vocabulary in read.items() if vocabulary is not self.vocabulary
        }

    def require(self, fields: Collection[str] = (), labels: Collection[str] = (), *, who: object) -> None:
        """Raise :class:`BenchError` if ``who`` needs a field or a label that the examples do not have."""
        for noun, needed, held in (("field", fields, self.vocabularies), ("label", labels, self.labels)):
            for name in needed:
                if name not in held:
                    raise unknown(f"{noun} of {self.name}", name, held, where=who)

    def raw(self, split: str, field: str | None = None) -> list[list[str]]:
        """The texts of a field, by default the decoded one, as kept: before unknown words were mapped."""
        path = self.folder / text_file(split, self.decodes if field is None else field)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise _damaged(path, error) from error
        texts = [line.split(" ") for line in text.split("\n")[:-1]]
        if len(texts) != len(self.splits[split]):
            raise _damaged(path, f"{len(texts)} texts where corpus.json says {len(self.splits[split])}")
        return texts

    def whole(self, split: str, field: str | None = None) -> list[list[str]]:
        """The texts of a field as :meth:`raw` has them, but those that were cut as they were before."""
        texts, path = self.raw(split, field), self.folder / WHOLE
        if not path.exists():
            raise _damaged(path, "it is from before whole texts were kept")
        for number, text in read_json(path).get(split, {}).get(field or self.decodes, {}).items():
            texts[int(number)] = text.split(" ")
        return texts

    def attributes(self, split: str) -> pandas.DataFrame | None:
        """One row per example of ``split``, its labels included; None if nothing is known of the examples."""
        import pandas

        table = self._attribute_table(split)
        if table is None and not self.labels:
            return None
        if table is None:
            table = pandas.DataFrame(index=range(len(self.splits[split])))
        for name, classes in self.labels.items():
            table[name] = pandas.Categorical.from_codes(
                self.splits[split].labels[name].tolist(), pandas.Index(classes)
            )
        return table

    def _attribute_table(self, split: str) -> pandas.DataFrame | None:
        import pandas
        import pyarrow

        path = self.folder / "attributes.parquet"
        if not path.exists():
            return None
        try:
            table = pandas.read_parquet(path)
        except (OSError, ValueError, pyarrow.ArrowException) as error:
            raise _damaged(path, error) from error
        rows = table[table["split"] == split].reset_index(drop=True)
        if len(rows) != len(self.splits[split]):
            raise _damaged(path, f"{len(rows)} rows for {len(self.splits[split])} texts of {split}")
        return rows.drop(columns=["split", "index"])


def _load_vocabularies(path: Path, summary: dict[str, Any]) -> tuple[TextRules, dict[str, Vocabulary]]:
    value, decodes = read_json(path), summary["decodes"]
    try:
        rules = TextRules.model_validate(value["rules"])
        vocabulary = Vocabulary(value["words"], rules.of(decodes).unknown)
        found = dict.fromkeys(summary["fields"], vocabulary)
        for name, words in value.get("others", {}).items():
            found[name] = Vocabulary(words, rules.of(name).unknown)
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, f"{type(error).__name__} {error}") from error
    if vocabulary.size != summary["vocabulary_size"]:
        raise _damaged(path, f"{vocabulary.size} words where corpus.json says {summary['vocabulary_size']}")
    return rules, found


def _load_ids(path: Path, summary: dict[str, Any]) -> dict[str, Texts]:
    decodes = summary["decodes"]
    splits: dict[str, Texts] = {}
    try:
        with safe_open(path, framework="pt") as handle:
            for split in SPLITS:
                texts = {
                    name: Texts(*(handle.get_tensor(key) for key in id_keys(split, name)))
                    for name in summary["fields"]
                }
                labels = {name: handle.get_tensor(label_key(split, name)) for name in summary["labels"]}
                splits[split] = replace(
                    texts.pop(decodes),
                    others=texts,
                    labels=labels,
                    decodes=decodes,
                    encodes=summary["encodes"],
                )
    except (OSError, SafetensorError) as error:
        raise _damaged(path, error) from error
    for name, texts_ in splits.items():
        _check_size(path, name, texts_, summary["sizes"][name])
    return splits


def _check_size(path: Path, split: str, texts: Texts, size: int) -> None:
    for one in (texts, *texts.others.values()):
        if len(one) != size or int(one.offsets[-1]) != len(one.tokens):
            raise _damaged(path, f"{len(one)} texts in {split} where corpus.json says {size}")
    for name, classes in texts.labels.items():
        if len(classes) != size:
            raise _damaged(path, f"{len(classes)} classes of {name} in {split} where corpus.json says {size}")


def _damaged(path: Path, error: object) -> BenchError:
    return BenchError(f"damaged file of a prepared corpus: {error}", where=path, remedy=REMEDY)
