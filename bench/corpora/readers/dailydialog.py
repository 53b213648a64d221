"""DailyDialog: all utterances of the official split, or the pairs of the stochastic-WAE paper."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

from bench.base.errors import BenchError
from bench.base.text_rules import SPLITS
from bench.corpora.archives import member, read_archive
from bench.corpora.raw import RawCorpus, Treatments, decoded_lines, read_bytes
from bench.corpora.readers import Files, ReaderOptions, reader
from bench.corpora.readers.dialogue import PAIR, Dialogues, Utterance, add_pairs, add_utterances, new_corpus
from bench.corpora.tokenise import treebank, without_symbols, word_punct

END = "__eou__"
OFFICIAL = {"train": "train", "valid": "validation", "test": "test"}
ACTS = {"1": "inform", "2": "question", "3": "directive", "4": "commissive"}
_EMOTION = ("none", "anger", "disgust", "fear", "happiness", "sadness", "surprise")
EMOTIONS = {str(code): name for code, name in enumerate(_EMOTION)}
Codes = list[dict[str, str | None]]
_PUNCTUATION = re.compile(r"[^\w\s?.,]")
_NUMBER = re.compile(r"[a-z]*\d+.?\d*%?")


class ArchiveOptions(ReaderOptions):
    """The three archives of the official split."""

    train: str
    valid: str
    test: str

    def sources(self) -> list[str]:
        """The three archives."""
        return [self.train, self.valid, self.test]


@reader("dailydialog", ArchiveOptions)
def read_dailydialog(name: str, options: ArchiveOptions, files: Files) -> RawCorpus:
    """Every utterance; lower-case, words and punctuation apart; attributes ``act``, ``emotion``, ``leaked``.

    ``leaked``: the utterance and the one after it stand next to each other, word by word, in the training
    split too (1,467 of 6,740 test pairs; 1,395 as lower-case strings with their blanks). One training
    dialogue has fewer act and emotion codes than utterances; its codes are left out.
    """
    corpus = RawCorpus(name, {})
    seen: set[tuple[str, str]] = set()
    for split in SPLITS:
        dialogues = [
            [Utterance(word_punct(turn.lower()), "AB"[t % 2], codes[t]) for t, turn in enumerate(turns)]
            for turns, codes in _with_codes(files[getattr(options, split)], split, corpus.treatments)
        ]
        add_utterances(corpus, split, dialogues)
        pairs = [_neighbours(dialogue) for dialogue in dialogues]
        if split == "train":
            seen = {pair for dialogue in pairs for pair in dialogue}
        leaked = [split != "train" and pair in seen for dialogue in pairs for pair in (*dialogue, ("", ""))]
        corpus.set_columns(split, leaked=leaked)
    return corpus


class DailyDialogOptions(ArchiveOptions):
    """``published`` names the cleaned files of the paper, by split, with which the result is compared.

    Without ``deduplicated`` no pair is dropped.
    """

    deduplicated: bool = True
    published_valid: str | None = None
    published_test: str | None = None

    def sources(self) -> list[str]:
        """The archives and the published files."""
        return [*super().sources(), *filter(None, (self.published_valid, self.published_test))]

    def fields(self) -> tuple[str, ...]:
        """An utterance and its reply."""
        return PAIR


@reader("dailydialog-pairs", DailyDialogOptions, version=4)
def read_pairs(name: str, options: DailyDialogOptions, files: Files) -> RawCorpus:
    """Each utterance, the field ``context``, with the next, the field ``response``; cleaned as the paper does, and
    tokenised as its program then does, which writes the word for a number in small letters.

    A validation or test pair is dropped when its utterance is the utterance of any training pair or its
    reply the reply of any: the rule that gives the published files row by row (4,466 and 4,095 pairs). Raises
    :class:`BenchError` when the pairs left are not those of the published files.
    """
    corpus = new_corpus(name, "pairs")
    cleaned = {}
    for split in SPLITS:
        dialogues_ = _with_codes(files[getattr(options, split)], split, corpus.treatments)
        cleaned[split] = [[clean(turn) for turn in turns] for turns, _ in dialogues_]
    lines = {line for turns in cleaned["train"] for line in turns[:-1]}
    replies = {reply for turns in cleaned["train"] for reply in turns[1:]}
    for split in SPLITS:
        dialogues: Dialogues = [
            [Utterance(without_symbols(treebank(turn))) for turn in turns] for turns in cleaned[split]
        ]
        add_pairs(corpus, split, dialogues, skip_last=False)
        if split != "train" and options.deduplicated:
            pairs = [pair for turns in cleaned[split] for pair in pairwise(turns)]
            kept = [i for i, (line, reply) in enumerate(pairs) if line not in lines and reply not in replies]
            published = getattr(options, f"published_{split}")
            if published is not None:
                _compare([pairs[i] for i in kept], files[published])
            _keep(corpus, split, kept)
    return corpus


def clean(turn: str) -> str:
    """An utterance as the paper cleans it: lower-case, only ? . , of the punctuation, numbers as NUM.

    The pattern of a number includes one character of any kind after its first digits, which it swallows.
    """
    text = _PUNCTUATION.sub("", turn.strip().lower())
    return _NUMBER.sub(" NUM ", text.strip())


def _keep(corpus: RawCorpus, split: str, kept: list[int]) -> None:
    """Keep the pairs ``kept``; count the others."""
    for index in sorted(set(range(len(corpus.splits[split]))) - set(kept)):
        corpus.treatments.add("pairs with a side of a training pair dropped", split, index + 1)
    corpus.keep(split, kept)


def _compare(pairs: list[tuple[str, str]], path: Path) -> None:
    rows = csv.reader(io.StringIO(read_bytes(path).decode("utf-8"), newline=""))
    published = Counter((line, reply) for line, reply in list(rows)[1:])
    differing = (Counter(pairs) - published) + (published - Counter(pairs))
    if differing:
        raise BenchError(
            f"{len(pairs)} pairs differ from the {published.total()} published ones in {differing.total()}",
            where=path,
        )


def _neighbours(dialogue: list[Utterance]) -> list[tuple[str, str]]:
    turns = [" ".join(utterance.words) for utterance in dialogue]
    return list(pairwise(turns))


def _with_codes(archive: Path, split: str, treatments: Treatments) -> list[tuple[list[str], Codes]]:
    """(utterances, their act and emotion) of each dialogue; both codes None where their number is wrong."""
    official = OFFICIAL[split]
    members = read_archive(archive, lambda name: name.endswith(".txt"))
    columns = []
    for kind in ("dialogues", "dialogues_act", "dialogues_emotion"):
        filename = f"{kind}_{official}.txt"
        data = member(members, filename, archive)
        columns.append(list(decoded_lines(data, f"{archive}: {filename}", split, treatments)))
    if len({len(column) for column in columns}) != 1:
        raise BenchError(f"texts, acts and emotions have {[len(c) for c in columns]} lines", where=archive)
    result: list[tuple[list[str], Codes]] = []
    for (number, line), (_, acts), (_, emotions) in zip(*columns, strict=True):
        turns = [turn.strip() for turn in line.rstrip().removesuffix(END).split(END)]
        codes = list(zip(acts.split(), emotions.split(), strict=False))
        if len(codes) != len(turns):
            treatments.add("dialogues whose act and emotion codes do not fit, codes left out", split, number)
            result.append((turns, [{"act": None, "emotion": None} for _ in turns]))
        else:
            result.append((turns, [{"act": ACTS[a], "emotion": EMOTIONS[e]} for a, e in codes]))
    return result
