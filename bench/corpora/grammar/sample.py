"""Draw sentences: a plan (what is said), a skeleton of word classes, then the words (how it is realised).

The three steps are apart so that one plan can be realised twice (another style, a simpler skeleton) or two
plans be drawn together (a turn and its answer). Only comparisons, divisions and left-to-right sums of
doubles decide what is drawn, and the raw PCG64 stream is fixed by numpy's compatibility policy, so a seed
gives the same sentences on every platform.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from bench.corpora.grammar.declare import START, Grammar, is_topical
from bench.corpora.grammar.english import with_articles
from bench.corpora.grammar.lexicon import WordClass

BLOCK = 1 << 14


@dataclass(frozen=True)
class SentencePlan:
    """What is said: the index of a structure (``Grammar.structures``) and of a topic."""

    structure: int
    topic: int


def uniforms(seed: int) -> Iterator[float]:
    """Doubles in [0, 1) with 53 random bits each, from PCG64."""
    source = np.random.PCG64(seed)
    while True:
        yield from ((source.random_raw(BLOCK) >> np.uint64(11)) * 2.0**-53).tolist()


class Sampler:
    """Draws from ``grammar`` with the numbers of ``seed``."""

    def __init__(self, grammar: Grammar, seed: int) -> None:
        self._grammar = grammar
        self._uniforms = uniforms(seed)
        self._structure = _cumulative(grammar.prior)
        self._places = {values: place for place, values in enumerate(grammar.structures)}
        self._topic = _cumulative(grammar.topic_prior)
        self._group = [_cumulative(row) for row in grammar.affinity]
        self._rules = {
            symbol: [_cumulative(p) for p in zip(*(option.probability for option in options), strict=True)]
            for symbol, options in grammar.rules.items()
        }
        self._words = {key: _cumulative(each.probabilities) for key, each in grammar.lexicon.classes.items()}

    def _draw(self, cumulative: list[float]) -> int:
        """An index with the given cumulative probabilities, which may end a rounding error away from 1."""
        return bisect_right(cumulative, next(self._uniforms) * cumulative[-1], 0, len(cumulative) - 1)

    def plan(self) -> SentencePlan:
        """Draw the attributes of a sentence."""
        return SentencePlan(self._draw(self._structure), self._draw(self._topic))

    def reply(self, plan: SentencePlan) -> SentencePlan:
        """Draw the attributes of the reply to a sentence with this plan; see :mod:`bench.corpora.grammar.pairs`."""
        structures, keep = self._grammar.structures, self._grammar.replies
        anew = self.plan()
        values = [
            said if next(self._uniforms) < keep.get(name, 0.0) else new
            for name, said, new in zip(
                self._grammar.attributes, structures[plan.structure], structures[anew.structure], strict=True
            )
        ]
        same_topic = next(self._uniforms) < keep.get("topic", 0.0)
        return SentencePlan(self._places[tuple(values)], plan.topic if same_topic else anew.topic)

    def skeleton(self, plan: SentencePlan) -> list[str]:
        """Draw the word-class symbols of a sentence with this plan, by one leftmost derivation."""
        said: list[str] = []
        stack = [START]
        while stack:
            symbol = stack.pop()
            if symbol in self._rules:
                option = self._draw(self._rules[symbol][plan.structure])
                stack.extend(reversed(self._grammar.rules[symbol][option].symbols))
            else:
                said.append(symbol)
        return said

    def realise(self, plan: SentencePlan, skeleton: Iterable[str]) -> list[str]:
        """Draw the words of a skeleton."""
        lexemes = []
        for symbol in skeleton:
            key = WordClass(symbol, self._draw(self._group[plan.topic]) if is_topical(symbol) else -1)
            lexemes.append(self._grammar.lexicon.classes[key].words[self._draw(self._words[key])])
        return with_articles(lexemes)


def _cumulative(probabilities: Iterable[float]) -> list[float]:
    return list(accumulate(map(float, probabilities)))
