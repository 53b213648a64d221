"""Corpora with one tokenised text per line: Penn Treebank, Yahoo, Yelp, Yelp sentiment, a user's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from bench.base.errors import BenchError
from bench.base.text_rules import SPLITS
from bench.corpora.raw import RawCorpus, Texts, Treatments, decoded_lines, read_bytes, tokens
from bench.corpora.readers import Files, ReaderOptions, reader


class FileSlice(BaseModel):
    """A file, or its lines ``first`` to ``last`` (1-based, both included), all with one ``label``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    first: int = Field(default=1, ge=1)
    last: int | None = Field(default=None, ge=1)
    label: str | None = None


def _parts(value: Any) -> Any:
    """A path, a part, or a list of either, as a list of parts."""
    values = value if isinstance(value, list | tuple) else [value]
    return [{"path": item} if isinstance(item, str) else item for item in values]


Parts = Annotated[tuple[FileSlice, ...], BeforeValidator(_parts), Field(min_length=1)]


class LinesOptions(ReaderOptions):
    """Files of each split, in order.

    ``label`` names the label of the texts, whose class stands in the parts or, if ``label_column``, before a
    tab at the beginning of every line. ``repair`` undoes a damage: {wrong substring: right one}, counted.
    """

    train: Parts
    valid: Parts
    test: Parts
    label: str | None = None
    label_column: bool = False
    repair: dict[str, str] = Field(default_factory=dict)

    def sources(self) -> list[str]:
        """All paths of the parts."""
        return [part.path for split in SPLITS for part in getattr(self, split)]

    def labels(self) -> tuple[str, ...]:
        """The one label, if it is named."""
        return () if self.label is None else (self.label,)


@reader("lines", LinesOptions)
def read_lines(name: str, options: LinesOptions, files: Files) -> RawCorpus:
    """One text per line, words separated by blanks; labels as ``options`` say."""
    corpus = RawCorpus(name, {})
    for split in SPLITS:
        corpus.splits[split] = []
        labels: list[str | None] = []
        for part in getattr(options, split):
            texts, found = _read_part(part, options, files[part.path], split, corpus.treatments)
            corpus.splits[split] += texts
            labels += found
        if options.label is not None:
            corpus.labels.setdefault(options.label, {})[split] = _all_given(labels, split, name)
    return corpus


def _all_given(labels: list[str | None], split: str, name: str) -> list[str]:
    given = [label for label in labels if label is not None]
    if len(given) < len(labels):
        raise BenchError(
            f"{len(labels) - len(given)} texts of the {split} split have no label",
            where=f"{name}: reader",
            remedy="give every part of the split a label, or name no label",
        )
    return given


def _read_part(
    part: FileSlice, options: LinesOptions, path: Path, split: str, treatments: Treatments
) -> tuple[Texts, list[str | None]]:
    texts: Texts = []
    labels: list[str | None] = []
    for number, text in decoded_lines(read_bytes(path), path, split, treatments, part.first, part.last):
        label = part.label
        if options.label_column:
            label, tab, text = text.partition("\t")
            if not tab:
                raise BenchError(f"line {number} has no tab between label and text", where=path)
        for wrong, right in options.repair.items():
            if wrong in text:
                treatments.add(f"{wrong!r} repaired to {right!r}", split, number, text.count(wrong))
                text = text.replace(wrong, right)
        texts.append(tokens(text))
        labels.append(label)
    return texts, labels
