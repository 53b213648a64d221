"""How the texts of a corpus become ids: which are kept, how long they may be, which words have an id."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")
TEXT = "text"  # the field of a corpus that has one
OF_VOCABULARIES = ("min_count", "max_words", "vocabulary_from", "unknown")


def _neutral(value: Any) -> bool:
    return not value


class FieldRules(BaseModel):
    """The treatment of the texts of one field.

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


class TextRules(FieldRules):
    """The treatment of a corpus: part of a protocol, so two papers may treat one corpus differently.

    The rules hold for every field; ``fields`` names the fields that differ, each with the rules that differ.
    All fields share one vocabulary, which counts the words of all, except for those in ``separate``, which
    have a vocabulary each. ``decodes`` is the field that models write, by default the last one of the corpus;
    ``encodes`` is the field that the encoder reads, by default the one that is written.
    """

    fields: dict[str, FieldRules] = Field(default={}, exclude_if=_neutral)
    separate: tuple[str, ...] = Field(default=(), exclude_if=_neutral)
    decodes: str | None = Field(default=None, exclude_if=_neutral)
    encodes: str | None = Field(default=None, exclude_if=_neutral)

    @model_validator(mode="before")
    @classmethod
    def _completed(cls, values: Any) -> Any:
        """The rules of a field that are not its own are those of all fields."""
        if not isinstance(values, dict) or not isinstance(values.get("fields"), dict):
            return values
        common = {name: value for name, value in values.items() if name in FieldRules.model_fields}
        own = values["fields"]
        return values | {"fields": {n: common | r if isinstance(r, dict) else r for n, r in own.items()}}

    @model_validator(mode="after")
    def _one_vocabulary_one_rule(self) -> Self:
        for name, rules in self.fields.items():
            for key in OF_VOCABULARIES:
                if name not in self.separate and getattr(rules, key) != getattr(self, key):
                    raise ValueError(
                        f"{key} of the field {name!r} differs from that of the vocabulary which it shares: "
                        f"name {name!r} in separate, or leave {key} out"
                    )
        return self

    def of(self, field: str) -> FieldRules:
        """The rules of one field."""
        return self.fields.get(field, self)

    @property
    def named(self) -> tuple[str, ...]:
        """All fields that these rules name."""
        chosen = (name for name in (self.decodes, self.encodes) if name is not None)
        return tuple(dict.fromkeys((*self.fields, *self.separate, *chosen)))
