"""Dialogues as examples: every utterance, or every reply with the utterance before it.

An utterance has the one field ``text``, a pair the fields ``context`` and ``response``. The attributes keep
``dialogue`` (number within the split) and ``turn`` (0-based, within the dialogue), so that the rows of one
dialogue, in order, are the dialogue.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from sys import intern
from typing import TYPE_CHECKING, Any, Literal

from bench.base.text_rules import TEXT
from bench.corpora.raw import RawCorpus, Texts

if TYPE_CHECKING:
    import pandas

Form = Literal["pairs", "utterances"]
PAIR = ("context", "response")


@dataclass
class Utterance:
    """One turn: its words, who speaks, and further columns such as the dialogue act."""

    words: list[str]
    speaker: str | None = None
    columns: dict[str, Any] = field(default_factory=dict)


Dialogues = list[list[Utterance]]


def new_corpus(name: str, form: Form) -> RawCorpus:
    """An empty corpus of pairs or of utterances."""
    return RawCorpus(name, fields={field: {} for field in fields_of_form(form)})


def fields_of_form(form: Form) -> tuple[str, ...]:
    """The fields of the examples."""
    return PAIR if form == "pairs" else (TEXT,)


def add_utterances(corpus: RawCorpus, split: str, dialogues: Dialogues) -> None:
    """Every utterance is a text, in order."""
    rows = [
        {"dialogue": d, "turn": t, "speaker": utterance.speaker, **utterance.columns}
        for d, dialogue in enumerate(dialogues)
        for t, utterance in enumerate(dialogue)
    ]
    _add(corpus, split, {TEXT: [u.words for dialogue in dialogues for u in dialogue]}, rows)


def add_pairs(corpus: RawCorpus, split: str, dialogues: Dialogues, *, skip_last: bool) -> None:
    """Every utterance after the first is a response, and the one before it its context.

    ``skip_last``: the last utterance of a dialogue is not a response.
    """
    contexts, responses, rows = [], [], []
    for d, dialogue in enumerate(dialogues):
        for t in range(1, len(dialogue) - skip_last):
            context, reply = dialogue[t - 1], dialogue[t]
            row: dict[str, Any] = {"dialogue": d, "turn": t}
            if reply.speaker is not None:
                row["same_speaker"] = context.speaker == reply.speaker
            contexts.append(context.words)
            responses.append(reply.words)
            rows.append({**row, **reply.columns})
    _add(corpus, split, {"context": contexts, "response": responses}, rows)


def _add(corpus: RawCorpus, split: str, fields: dict[str, Texts], rows: list[dict[str, Any]]) -> None:
    import pandas

    for name, texts in fields.items():
        corpus.fields[name][split] = [list(map(intern, words)) for words in texts]
    frame: pandas.DataFrame = pandas.DataFrame(rows)
    corpus.attributes = {**(corpus.attributes or {}), split: frame.dropna(axis="columns", how="all")}
