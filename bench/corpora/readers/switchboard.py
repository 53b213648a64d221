"""Switchboard telephone conversations: the files of Zhao et al. (2017) and the dialogue act corpus (SwDA)."""

from __future__ import annotations

import json
from pathlib import Path

from bench.base.errors import BenchError
from bench.base.text_rules import SPLITS
from bench.corpora.archives import folder_members
from bench.corpora.raw import RawCorpus, Treatments, decoded_lines, read_bytes
from bench.corpora.readers import Files, ReaderOptions, reader
from bench.corpora.readers.dialogue import (
    Dialogues,
    Form,
    Utterance,
    add_pairs,
    add_utterances,
    fields_of_form,
    new_corpus,
)
from bench.corpora.tokenise import word_punct


class SwitchboardOptions(ReaderOptions):
    """One file of JSON lines per split. ``pairs``: as the Coupled-VAE paper converts them."""

    train: str
    valid: str
    test: str
    form: Form

    def sources(self) -> list[str]:
        """The three files."""
        return [self.train, self.valid, self.test]

    def fields(self) -> tuple[str, ...]:
        """Those of the form."""
        return fields_of_form(self.form)


@reader("switchboard", SwitchboardOptions, version=2)
def read_switchboard(name: str, options: SwitchboardOptions, files: Files) -> RawCorpus:
    """Lower-case, words and punctuation apart.

    As pairs, the responses are the utterances 1 to T - 2 (0-based) of a dialogue of T, and the context of each
    is the one utterance before it, whoever said it: about a third of the pairs are one speaker continuing.
    """
    corpus = new_corpus(name, options.form)
    for split in SPLITS:
        path = files[getattr(options, split)]
        dialogues = _json_dialogues(path, split, corpus.treatments)
        _add(corpus, split, dialogues, options.form)
    return corpus


def _add(corpus: RawCorpus, split: str, dialogues: Dialogues, form: Form) -> None:
    if form == "pairs":
        add_pairs(corpus, split, dialogues, skip_last=True)
    else:
        add_utterances(corpus, split, dialogues)


def _json_dialogues(path: Path, split: str, treatments: Treatments) -> Dialogues:
    """Dialogues of lines {"utts": [[caller, text, [act, sentiment]], ...], ...}."""
    dialogues: Dialogues = []
    for number, line in decoded_lines(read_bytes(path), path, split, treatments):
        try:
            utterances = json.loads(line)["utts"]
            dialogues.append(
                [
                    Utterance(word_punct(text.lower()), speaker, {"act": features[0]})
                    for speaker, text, features in utterances
                ]
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BenchError(
                f"line {number} is not a dialogue: {type(error).__name__}: {error}",
                where=path,
                allowed=['{"utts": [[caller, text, [act, ...]], ...], ...}'],
            ) from error
    return dialogues


class SwdaOptions(ReaderOptions):
    """``train`` is an archive with one file per dialogue in ``folder``; the others are one file per split."""

    train: str
    folder: str
    valid: str
    test: str
    form: Form = "utterances"

    def sources(self) -> list[str]:
        """The archive and the two files."""
        return [self.train, self.valid, self.test]

    def fields(self) -> tuple[str, ...]:
        """Those of the form."""
        return fields_of_form(self.form)


@reader("swda", SwdaOptions)
def read_swda(name: str, options: SwdaOptions, files: Files) -> RawCorpus:
    """Every utterance; lower-case, words and punctuation apart; attributes ``speaker`` and ``act``.

    The files of validation and test do not say where a dialogue ends: ``dialogue`` and ``turn`` are NA there. As
    pairs, the responses are those that :func:`read_switchboard` takes; in validation and test, the first utterance of
    a dialogue then answers the last of the one before.
    """
    import pandas

    corpus = new_corpus(name, options.form)
    archive = files[options.train]
    train: Dialogues = [
        _swda_dialogue(data, f"{archive}: {filename}", "train", corpus.treatments)
        for filename, data in folder_members(archive, options.folder).items()
    ]
    _add(corpus, "train", train, options.form)
    for split, path in (("valid", files[options.valid]), ("test", files[options.test])):
        _add(corpus, split, [_swda_dialogue(read_bytes(path), path, split, corpus.treatments)], options.form)
        texts = next(iter(corpus.fields.values()))[split]
        unknown = pandas.array([pandas.NA] * len(texts), dtype="Int64")
        corpus.set_columns(split, dialogue=unknown, turn=unknown)
    return corpus


def _swda_dialogue(data: bytes, source: object, split: str, treatments: Treatments) -> list[Utterance]:
    """Utterances of lines ``speaker|text|act``."""
    utterances = []
    for number, line in decoded_lines(data, source, split, treatments):
        columns = line.split("|")
        if len(columns) != 3:
            raise BenchError(
                f"line {number} has {len(columns)} columns", where=source, allowed=["speaker|utterance|act"]
            )
        speaker, text, act = columns
        utterances.append(Utterance(word_punct(text.lower()), speaker, {"act": act}))
    return utterances
