"""Dialogues as texts: every utterance, or every reply with the utterance before it as ``context``.

The text that a language model sees is the utterance or the reply. The attributes keep what dialogue models
need: ``dialogue`` (number within the split) and ``turn`` (0-based, within the dialogue), so that the rows of
one dialogue, in order, are the dialogue; in pairs also ``context``, words separated by blanks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from sys import intern
from typing import TYPE_CHECKING, Any, Literal

from bench.corpora.raw import RawCorpus

if TYPE_CHECKING:
    import pandas

Form = Literal["pairs", "utterances"]


@dataclass
class Utterance:
    """One turn: its words, who speaks, and further columns such as the dialogue act."""

    words: list[str]
    speaker: str | None = None
    columns: dict[str, Any] = field(default_factory=dict)


Dialogues = list[list[Utterance]]


def add_utterances(corpus: RawCorpus, split: str, dialogues: Dialogues) -> None:
    """Every utterance is a text, in order."""
    rows = [
        {"dialogue": d, "turn": t, "speaker": utterance.speaker, **utterance.columns}
        for d, dialogue in enumerate(dialogues)
        for t, utterance in enumerate(dialogue)
    ]
    _add(corpus, split, [u.words for dialogue in dialogues for u in dialogue], rows)


def add_pairs(corpus: RawCorpus, split: str, dialogues: Dialogues, *, skip_last: bool) -> None:
    """Every utterance after the first is a text, and the one before it its context.

    ``skip_last``: the last utterance of a dialogue is not a text.
    """
    texts, rows = [], []
    for d, dialogue in enumerate(dialogues):
        for t in range(1, len(dialogue) - skip_last):
            context, reply = dialogue[t - 1], dialogue[t]
            row = {"context": " ".join(context.words), "dialogue": d, "turn": t}
            if reply.speaker is not None:
                row["same_speaker"] = context.speaker == reply.speaker
            texts.append(reply.words)
            rows.append({**row, **reply.columns})
    _add(corpus, split, texts, rows)


def _add(corpus: RawCorpus, split: str, texts: list[list[str]], rows: list[dict[str, Any]]) -> None:
    import pandas

    corpus.splits[split] = [list(map(intern, words)) for words in texts]
    frame: pandas.DataFrame = pandas.DataFrame(rows)
    corpus.attributes = {**(corpus.attributes or {}), split: frame.dropna(axis="columns", how="all")}
