"""A prepared corpus as training and evaluation see it: ids mapped from disk, words, raw texts, attributes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open

from bench.base.errors import BenchError
from bench.base.files import read_json
from bench.base.text_rules import SPLITS, TextRules
from bench.corpora.vocabulary import Vocabulary

if TYPE_CHECKING:
    import pandas

REMEDY = "delete the folder and prepare the corpus again"


@dataclass(frozen=True)
class Texts:
    """The texts of one split: ids of words only (no start, no end symbol), all in one flat tensor."""

    tokens: torch.Tensor  # int32, (words of the split,), mapped from the file
    offsets: torch.Tensor  # int64, (texts + 1,)

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


@dataclass(frozen=True)
class Prepared:
    """What :func:`bench.corpora.prepare.prepare` wrote into ``folder``."""

    folder: Path
    name: str
    title: str
    comparable: bool
    rules: TextRules
    vocabulary: Vocabulary
    splits: dict[str, Texts]
    data_hash: str
    exact: dict[str, Any] | None

    @classmethod
    def load(cls, folder: Path) -> Prepared:
        """Open a prepared folder. Raises :class:`BenchError` naming the file that is absent or damaged."""
        folder = Path(folder)
        summary = read_json(folder / "corpus.json")
        try:
            rules, vocabulary = _load_vocabulary(folder / "vocabulary.json", summary["vocabulary_size"])
            return cls(
                folder=folder,
                name=summary["name"],
                title=summary["title"],
                comparable=summary["comparable"],
                rules=rules,
                vocabulary=vocabulary,
                splits=_load_ids(folder / "ids.safetensors", summary["sizes"]),
                data_hash=summary["data_hash"],
                exact=summary["exact"],
            )
        except (KeyError, TypeError) as error:
            raise _damaged(folder / "corpus.json", f"{type(error).__name__} {error}") from error

    def raw(self, split: str) -> list[list[str]]:
        """The texts of ``split`` as kept, before unknown words were mapped."""
        path = self.folder / f"{split}.txt"
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise _damaged(path, error) from error
        texts = [line.split(" ") for line in text.split("\n")[:-1]]
        if len(texts) != len(self.splits[split]):
            raise _damaged(path, f"{len(texts)} texts where corpus.json says {len(self.splits[split])}")
        return texts

    def attributes(self, split: str) -> pandas.DataFrame | None:
        """One row per text of ``split``, or None for a corpus without attributes."""
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


def _load_vocabulary(path: Path, size: int) -> tuple[TextRules, Vocabulary]:
    value = read_json(path)
    try:
        rules = TextRules.model_validate(value["rules"])
        vocabulary = Vocabulary(value["words"], rules.unknown)
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, f"{type(error).__name__} {error}") from error
    if vocabulary.size != size:
        raise _damaged(path, f"{vocabulary.size} words where corpus.json says {size}")
    return rules, vocabulary


def _load_ids(path: Path, sizes: dict[str, int]) -> dict[str, Texts]:
    try:
        with safe_open(path, framework="pt") as handle:
            splits: dict[str, Texts] = {
                split: Texts(handle.get_tensor(f"{split}.tokens"), handle.get_tensor(f"{split}.offsets"))
                for split in SPLITS
            }
    except (OSError, SafetensorError) as error:
        raise _damaged(path, error) from error
    for split, texts in splits.items():
        if len(texts) != sizes[split] or int(texts.offsets[-1]) != len(texts.tokens):
            raise _damaged(path, f"{len(texts)} texts in {split} where corpus.json says {sizes[split]}")
    return splits


def _damaged(path: Path, error: object) -> BenchError:
    return BenchError(f"damaged file of a prepared corpus: {error}", where=path, remedy=REMEDY)
