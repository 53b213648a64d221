"""The little English morphology that the generated corpora need; exceptions are declared in the lexicon."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

_SIBILANT = re.compile(r"(s|x|z|ch|sh)$")
_CONSONANT_Y = re.compile(r"[^aeiou]y$")
_DOUBLING = re.compile(r"^[^aeiou]+[aeiou][bdgmnprt]$")


def plural(word: str) -> str:
    """``box -> boxes``, ``city -> cities``, ``cake -> cakes``; also a verb's third person singular."""
    if _CONSONANT_Y.search(word):
        return word[:-1] + "ies"
    return word + ("es" if _SIBILANT.search(word) else "s")


def past(verb: str) -> str:
    """``bake -> baked``, ``fry -> fried``, ``plan -> planned``, ``cook -> cooked``."""
    if _CONSONANT_Y.search(verb):
        return verb[:-1] + "ied"
    return verb + "d" if verb.endswith("e") else _doubled(verb) + "ed"


def progressive(verb: str) -> str:
    """``bake -> baking``, ``plan -> planning``, ``see -> seeing``."""
    return (verb[:-1] if re.search(r"[^e]e$", verb) else _doubled(verb)) + "ing"


def _doubled(verb: str) -> str:
    return verb + verb[-1] if _DOUBLING.match(verb) else verb


INFLECTIONS: dict[str, dict[str, Callable[[str], str]]] = {
    "noun": {"sg": str, "pl": plural},
    "verb": {"base": str, "s": plural, "past": past, "ing": progressive},
    # cut, hit: the past has the form of the base
    "invariant": {"base": str, "s": plural, "ing": progressive},
}


def inflect(kind: str, word: str, irregular: Mapping[str, str]) -> dict[str, str]:
    """Form name -> surface form of ``word``; ``irregular`` replaces the forms that it names."""
    return {form: irregular.get(form) or rule(word) for form, rule in INFLECTIONS[kind].items()}


def _article(following: str) -> str:
    return "an" if following[:1] in "aeiou" else "a"


def with_articles(lexemes: Sequence[str]) -> list[str]:
    """The surface sentence: ``a`` becomes ``an`` before a vowel. One to one, so no probability changes."""
    return [
        _article(after) if word == "a" else word
        for word, after in zip(lexemes, [*lexemes, ""][1:], strict=True)
    ]


def without_articles(sentence: Sequence[str]) -> list[str] | None:
    """Undo :func:`with_articles`; None when an article does not fit the word that follows it."""
    lexemes = ["a" if word == "an" else word for word in sentence]
    return lexemes if with_articles(lexemes) == list(sentence) else None
