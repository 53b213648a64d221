"""Pairs of texts, or examples of any other named fields: from a file per field, or from tables with a header.

A file per field:

    files:
      train: {context: train.post.txt, response: train.reply.txt}
      valid: {context: valid.post.txt, response: valid.reply.txt}
      test: {context: test.post.txt, response: test.reply.txt}

Tables:

    files: {train: train.csv, valid: valid.csv, test: test.csv}
    reader: {kind: pairs, columns: {context: post, response: reply}, label_columns: {style: mood}}
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from bench.base.errors import BenchError, unknown
from bench.base.text_rules import SPLITS
from bench.corpora.raw import RawCorpus, Texts, Treatments, cleaned, numbered_lines, read_bytes, tokens
from bench.corpora.readers import Files, ReaderOptions, reader

FieldFiles = Annotated[dict[str, str], Field(min_length=1)]
PairSource = FieldFiles | str


class PairsOptions(ReaderOptions):
    """Of each split either a file per field, the lines of one number being one example, or one table.

    ``columns`` names the column of each field in the tables and ``label_columns`` that of each label. The last
    field is the one that is decoded. ``separator`` stands between columns: by default a tab in files named
    ``.tsv``, where quotation marks are as any other character, and else a comma.
    """

    train: PairSource
    valid: PairSource
    test: PairSource
    columns: dict[str, str] = Field(default_factory=dict)
    label_columns: dict[str, str] = Field(default_factory=dict)
    separator: str | None = Field(None, min_length=1, max_length=1)

    @model_validator(mode="after")
    def _of_one_kind(self) -> Self:
        sources: list[PairSource] = [getattr(self, split) for split in SPLITS]
        tables = [isinstance(source, str) for source in sources]
        if any(tables) != all(tables):
            raise ValueError("some splits are a table and others a file per field: use one of both for all")
        if all(tables) and not self.columns:
            raise ValueError("columns is missing: it names the column of each field in the tables")
        if not any(tables) and (self.columns or self.label_columns):
            raise ValueError(
                "columns and label_columns are for tables; here each field has a file of its own"
            )
        for split, source in zip(SPLITS, sources, strict=True):
            if isinstance(source, dict) and tuple(source) != self.fields():
                raise ValueError(
                    f"{split} has the fields {list(source)} where train has {list(self.fields())}"
                )
        return self

    def sources(self) -> list[str]:
        """All paths."""
        named: list[PairSource] = [getattr(self, split) for split in SPLITS]
        return [path for one in named for path in ([one] if isinstance(one, str) else one.values())]

    def fields(self) -> tuple[str, ...]:
        """The columns, or those that have a file."""
        return tuple(self.columns if isinstance(self.train, str) else self.train)

    def labels(self) -> tuple[str, ...]:
        """The label columns."""
        return tuple(self.label_columns)


@reader("pairs", PairsOptions)
def read_pairs(name: str, options: PairsOptions, files: Files) -> RawCorpus:
    """Words separated by blanks. A text without words stays, for the rules to drop the example."""
    corpus = RawCorpus(
        name, fields={f: {} for f in options.fields()}, labels={label: {} for label in options.labels()}
    )
    for split in SPLITS:
        source: PairSource = getattr(options, split)
        if isinstance(source, str):
            _read_table(corpus, options, files[source], split)
        else:
            _read_files(corpus, {field: files[path] for field, path in source.items()}, split)
    return corpus


def _read_files(corpus: RawCorpus, paths: Mapping[str, Path], split: str) -> None:
    for field, path in paths.items():
        corpus.fields[field][split] = _texts(path, split, corpus.treatments)
    counts = {path: len(corpus.fields[field][split]) for field, path in paths.items()}
    if len(set(counts.values())) > 1:
        raise BenchError(
            f"the files of the {split} split have different numbers of lines: {', '.join(map(str, counts.values()))}",
            where=" and ".join(map(str, counts)),
            remedy="line n of each file belongs to example n: leave a line empty where a text is missing",
        )


def _texts(path: Path, split: str, treatments: Treatments) -> Texts:
    lines = numbered_lines(read_bytes(path), path)
    return [tokens(cleaned(line, split, number, treatments)) for number, line in lines]


def _read_table(corpus: RawCorpus, options: PairsOptions, path: Path, split: str) -> None:
    columns, classes = options.columns, options.label_columns
    for field in columns:
        corpus.fields[field][split] = []
    for label in classes:
        corpus.labels[label][split] = []
    for number, row in _rows(path, options.separator, split, corpus.treatments):
        for column in (*columns.values(), *classes.values()):
            if column not in row:
                raise unknown("column", column, row, where=path)
        for field, column in columns.items():
            corpus.fields[field][split].append(tokens(row[column]))
        for label, column in classes.items():
            if not row[column].strip():
                raise BenchError(f"line {number} has no {column}, the label {label!r}", where=path)
            corpus.labels[label][split].append(row[column].strip())


def _rows(
    path: Path, separator: str | None, split: str, treatments: Treatments
) -> Iterator[tuple[int, dict[str, str]]]:
    """(1-based number of its last line, cell by column) of each row after the header."""
    numbered = numbered_lines(read_bytes(path), path)
    lines = (cleaned(line, split, number, treatments) + "\n" for number, line in numbered)
    tabs = path.suffix == ".tsv"
    rows = csv.reader(
        lines,
        delimiter=separator or ("\t" if tabs else ","),
        quoting=csv.QUOTE_NONE if tabs else csv.QUOTE_MINIMAL,
        strict=True,
    )
    header: list[str] | None = None
    try:
        for row in rows:
            if not row:
                treatments.add("empty lines skipped", split, rows.line_num)
            elif header is None:
                header = _header(row, path)
            elif len(row) != len(header):
                raise BenchError(
                    f"line {rows.line_num} has {len(row)} columns where the header has {len(header)}",
                    where=path,
                )
            else:
                yield rows.line_num, dict(zip(header, row, strict=True))
    except csv.Error as error:
        raise BenchError(f"line {rows.line_num} is not a row of a table: {error}", where=path) from error
    if header is None:
        raise BenchError("the table is empty: its first line names the columns", where=path)


def _header(row: list[str], path: Path) -> list[str]:
    names = [name.strip() for name in row]
    if len(set(names)) < len(names):
        raise BenchError("the header names a column twice", where=path, allowed=sorted(set(names)))
    return names
