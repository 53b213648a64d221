"""The word classes of one size: which words, with which probabilities, and the class of each word.

Each surface form belongs to one class, so that the classes of a sentence are a function of its words.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from bench.base.errors import BenchError, unknown
from bench.corpora.grammar.english import INFLECTIONS, inflect

TOPICAL = "@topic"


class WordClass(NamedTuple):
    """A terminal symbol of the grammar and, for a topical one, the index of its topic (else -1)."""

    symbol: str
    group: int


@dataclass(frozen=True)
class Words:
    """The words of one class, most frequent first, with P(word|class) proportional to 1/rank."""

    words: tuple[str, ...]
    probabilities: tuple[float, ...]

    @property
    def entropy(self) -> float:
        """H(word|class) in nats."""
        return -sum(p * math.log(p) for p in self.probabilities)


@dataclass(frozen=True)
class Lexicon:
    """All word classes of one size."""

    classes: dict[WordClass, Words]
    places: dict[str, tuple[WordClass, float]]  # word -> its class and P(word|class)


class LexiconFile(BaseModel):
    """lexicon.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    inflect: dict[str, str]
    irregular: dict[str, dict[str, str]] = {}
    function: tuple[str, ...]
    general: dict[str, tuple[str, ...]]
    topics: dict[str, dict[str, tuple[str, ...]]]

    def restricted(
        self, terminals: Collection[str], topics: Sequence[str], keep: Mapping[str, int], path: Path
    ) -> Lexicon:
        """The classes that ``terminals`` name, with the first ``keep[category]`` lemmas of each category.

        Raises :class:`BenchError` for an unknown class, category or topic, and a word of two classes.
        """
        found: dict[WordClass, tuple[str, ...]] = {WordClass(word, -1): (word,) for word in self.function}
        for category, lemmas in self.general.items():
            found |= self._forms(category, -1, lemmas[: keep.get(category)], path)
        for group, topic in enumerate(topics):
            if topic not in self.topics:
                raise unknown("topic", topic, self.topics, where=path)
            for category, lemmas in self.topics[topic].items():
                found |= self._forms(category, group, lemmas[: keep.get(category + TOPICAL)], path)
        known = {key.symbol for key in found}
        categories = [*self.general, *(name + TOPICAL for topic in topics for name in self.topics[topic])]
        for category in keep:
            if category not in categories:
                raise unknown("category of words", category, categories, where=f"{path}: keep")
        for symbol in sorted(terminals):
            if symbol not in known:
                raise unknown("symbol (neither rules nor words)", symbol, known, where=path)
        classes = {key: _zipf(words) for key, words in found.items() if key.symbol in terminals}
        _check_groups(classes, len(topics), path)
        return Lexicon(classes, _places(classes, path))

    def _forms(
        self, category: str, group: int, lemmas: Sequence[str], path: Path
    ) -> dict[WordClass, tuple[str, ...]]:
        suffix = TOPICAL if group >= 0 else ""
        if category not in self.inflect:
            return {WordClass(category + suffix, group): tuple(lemmas)}
        kind = self.inflect[category]
        if kind not in INFLECTIONS:
            raise unknown("inflection", kind, INFLECTIONS, where=f"{path}: inflect.{category}")
        forms = [inflect(kind, lemma, self.irregular.get(lemma, {})) for lemma in lemmas]
        return {
            WordClass(f"{category}.{form}{suffix}", group): tuple(each[form] for each in forms)
            for form in INFLECTIONS[kind]
        }


def _zipf(words: Sequence[str]) -> Words:
    """P(rank r) proportional to 1/r: divisions and left-to-right sums only, so equal on every platform."""
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    total = sum(weights)
    return Words(tuple(words), tuple(weight / total for weight in weights))


def _check_groups(classes: Mapping[WordClass, Words], topics: int, path: Path) -> None:
    """A class without words, or a topical class that some topic lacks, would lose probability."""
    for symbol in {key.symbol for key in classes}:
        groups = range(topics) if symbol.endswith(TOPICAL) else (-1,)
        for group in groups:
            if not (WordClass(symbol, group) in classes and classes[WordClass(symbol, group)].words):
                raise BenchError(f"no words for the class {symbol!r} (topic number {group})", where=path)


def _places(classes: Mapping[WordClass, Words], path: Path) -> dict[str, tuple[WordClass, float]]:
    places: dict[str, tuple[WordClass, float]] = {}
    for key, entry in classes.items():
        for word, probability in zip(entry.words, entry.probabilities, strict=True):
            if word in places:
                others = f"{places[word][0].symbol!r} and {key.symbol!r}"
                raise BenchError(
                    f"the word {word!r} belongs to two classes, {others}",
                    where=path,
                    remedy="remove it from one of them: the exact entropy needs one class per word",
                )
            places[word] = (key, probability)
    return places
