"""How the texts of a corpus become ids: which are kept, how long they may be, which words have an id."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")


class TextRules(BaseModel):
    """The treatment of texts and words: part of a protocol, so two papers may treat one corpus differently.

    The vocabulary is the four special symbols, then the words of the splits named by ``vocabulary_from``
    in the order in which they first occur there. ``max_words`` counts the words after the specials: the
    most frequent are kept (of two that are equally frequent, the one that occurs first), still in the
    order of first occurrence.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_count: int = Field(default=1, ge=1, description="a word that occurs less often has no id of its own")
    max_words: int | None = Field(default=None, ge=1, description="so many words besides the specials")
    vocabulary_from: tuple[Split, ...] = Field(default=("train",), min_length=1)
    unknown: tuple[str, ...] = Field(default=("<unk>",), description="surface forms that become id 3")
    oov: Literal["unknown", "error"] = "unknown"
    max_length: int | None = Field(default=200, ge=1, description="in words, the end symbol not counted")
    overlong: Literal["truncate", "drop"] = "truncate"
    lowercase: bool = False
    min_length: int = Field(default=1, ge=1, description="in words; shorter texts are dropped")
