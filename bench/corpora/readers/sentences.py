"""Sentences without a split of their own: shuffled and divided as the stochastic-WAE paper's program does."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from bench.base.errors import BenchError
from bench.base.text_rules import SPLITS
from bench.corpora.archives import read_gzip
from bench.corpora.raw import RawCorpus, Texts, Treatments, decoded_lines, read_bytes, tokens
from bench.corpora.readers import Files, ReaderOptions, reader
from bench.corpora.tokenise import treebank, without_symbols

SHUFFLE_SEED, SPLIT_SEED = 1337, 10
HELD_OUT = 0.1  # half of it for validation, half for test
Columns = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]


class SentencesOptions(ReaderOptions):
    """``distinct`` drops sentences seen before; ``cut`` keeps so many Treebank tokens.

    Sentences are the same if they are as they are written, case aside, or with ``words`` if they are after they were
    tokenised and cut: of sources one of which is tokenised already. ``columns`` are those of a file with tabs that
    hold sentences, the first being 1; a file whose name ends in ``.gz`` is decompressed.
    """

    paths: tuple[str, ...] = Field(min_length=1)
    columns: dict[str, Columns] = Field(default_factory=dict)
    distinct: bool | Literal["words"] = False
    cut: int | None = Field(default=20, ge=1)

    def sources(self) -> list[str]:
        """All paths."""
        return list(self.paths)

    @model_validator(mode="after")
    def _of_paths(self) -> Self:
        for path in self.columns:
            if path not in self.paths:
                raise ValueError(f"columns names {path!r}, which is not among paths")
        return self


@reader("sentences", SentencesOptions)
def read_sentences(name: str, options: SentencesOptions, files: Files) -> RawCorpus:
    """Tokenise, cut, remove symbols, then divide 90/5/5 by sentence.

    Near-duplicates (the hypotheses of one premise) can fall into different splits, as in the paper. Raises
    :class:`BenchError` for a line that lacks one of the columns.
    """
    corpus = RawCorpus(name, {})
    seen: set[str] = set()
    texts: Texts = []
    for path in options.paths:
        for number, line in _sentences(files[path], options.columns.get(path), corpus.treatments):
            words = without_symbols(treebank(line)[: options.cut])
            key = " ".join(words) if options.distinct == "words" else line.strip().lower()
            if options.distinct and key in seen:
                corpus.treatments.add("repeated sentences dropped before the split", "train", number)
                continue
            seen.add(key)
            texts.append(tokens(" ".join(words)))
    for split, indices in zip(SPLITS, divide(len(texts)), strict=True):
        corpus.splits[split] = [texts[index] for index in indices]
    return corpus


def _sentences(
    path: Path, columns: tuple[int, ...] | None, treatments: Treatments
) -> Iterator[tuple[int, str]]:
    """(1-based number of its line, sentence) of the lines of a file, or of some columns of each line."""
    data = read_gzip(path) if path.suffix == ".gz" else read_bytes(path)
    for number, line in decoded_lines(data, path, "train", treatments):
        if columns is None:
            yield number, line
            continue
        cells = line.split("\t")
        if len(cells) < max(columns):
            allowed = [f"{max(columns)} or more, separated by tabs"]
            raise BenchError(f"line {number} has {len(cells)} columns", where=path, allowed=allowed)
        for column in columns:
            if cells[column - 1].strip():
                yield number, cells[column - 1]
            else:
                treatments.add("empty fields skipped", "train", number)


def divide(count: int) -> tuple[list[int], list[int], list[int]]:
    """Indices of train, valid, test among ``count`` sentences.

    One shuffle with NumPy's legacy generator, then two random divisions, each of which permutes anew with
    the same seed and takes the held-out part from the front.
    """
    import numpy

    order = numpy.arange(count)
    numpy.random.RandomState(SHUFFLE_SEED).shuffle(order)
    held = math.ceil(HELD_OUT * count)
    first = numpy.random.RandomState(SPLIT_SEED).permutation(count)
    train, rest = order[first[held:]], order[first[:held]]
    second = numpy.random.RandomState(SPLIT_SEED).permutation(held)
    half = math.ceil(held / 2)
    return train.tolist(), rest[second[half:]].tolist(), rest[second[:half]].tolist()
