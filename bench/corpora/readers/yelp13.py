"""Yelp 2013 reviews cut to 50 words, in either of the forms in which they were published.

Prepared form: ``train.txt``, ... with a digit (stars - 1), a blank, and the words, rare ones as ``<unk>``.
Source form: ``yelp-train.txt``, ... with seven tab-separated columns, the fifth the stars, the seventh the
text with ``<sssss>`` between sentences. The source form is brought to the other, except for the rare words.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from pydantic import Field

from bench.base.errors import BenchError
from bench.base.text_rules import SPLITS
from bench.corpora.archives import member, read_archive
from bench.corpora.raw import RawCorpus, Texts, decoded_lines, tokens
from bench.corpora.readers import Files, ReaderOptions, reader

SEPARATOR = " <sssss>"
DIGITS = ("0", "1", "2", "3", "4")


class Yelp13Options(ReaderOptions):
    """``rating_word``: keep the digit as the first word of each text, which ``cut`` does not count."""

    archive: str
    rating_word: bool = False
    cut: int = Field(default=50, ge=1, description="words kept of a review in source form")

    def sources(self) -> list[str]:
        """The archive."""
        return [self.archive]


@reader("yelp13", Yelp13Options)
def read_yelp13(name: str, options: Yelp13Options, files: Files) -> RawCorpus:
    """Reviews; attribute ``stars``, 1 to 5."""
    path = files[options.archive]
    members = read_archive(path, lambda name: name.endswith(".txt"))
    prepared = any(PurePosixPath(name).name == "train.txt" for name in members)
    corpus = RawCorpus(name, {})
    for split in SPLITS:
        filename = f"{split}.txt" if prepared else f"yelp-{split}.txt"
        texts: Texts = []
        stars = []
        data = member(members, filename, path)
        for number, line in decoded_lines(data, f"{path}: {filename}", split, corpus.treatments):
            place = f"{path}: {filename}: line {number}"
            digit, words = _prepared_line(line, place) if prepared else _source_line(line, place)
            if not prepared and len(words) > options.cut:
                corpus.treatments.add(f"reviews cut to {options.cut} words", split, number)
                words = words[: options.cut]
            texts.append([digit, *words] if options.rating_word else words)
            stars.append(int(digit) + 1)
        corpus.splits[split] = texts
        corpus.set_columns(split, stars=stars)
    return corpus


def _prepared_line(line: str, place: str) -> tuple[str, list[str]]:
    digit, *words = tokens(line)
    if digit not in DIGITS:
        raise BenchError(f"a line begins with {digit!r} instead of its rating", where=place, allowed=DIGITS)
    return digit, words


def _source_line(line: str, place: str) -> tuple[str, list[str]]:
    columns = line.replace(SEPARATOR, "").split("\t")
    if len(columns) != 7:
        allowed = ["7, separated by tabs"]
        raise BenchError(f"a review has {len(columns)} columns", where=place, allowed=allowed)
    stars = columns[4].strip()
    if stars not in ("1", "2", "3", "4", "5"):
        raise BenchError(f"the rating is {stars!r}", where=place, allowed=["1", "2", "3", "4", "5"])
    return str(int(stars) - 1), tokens(columns[6])
