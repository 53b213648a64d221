"""Log-probability of given sentences, and what they tell of their attributes; exact, for many at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.corpora.grammar.declare import END, Array, Grammar
from bench.corpora.grammar.english import without_articles
from bench.corpora.grammar.machine import FINAL, Machine, Subset, advance
from bench.corpora.grammar.tables import marginal, plogp

Indices = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Scores:
    """log P(S) ``(sentences,)`` in nats and P(attribute value | S) ``(sentences, values)`` per attribute.

    ``structure`` is P(B|S) ``(sentences, structures)``. An impossible sentence has log-probability ``-inf``
    and posteriors NaN.
    """

    log_probability: Array
    posterior: dict[str, Array]
    structure: Array
    joint_entropy: Array  # H(all attributes | this sentence), nats


@dataclass
class _Parsed:
    """The classes of one sentence, and the log-probability of its words given them."""

    symbols: tuple[str, ...]
    groups: tuple[int, ...]
    words: float


def score(machine: Machine, sentences: Sequence[Sequence[str]]) -> Scores:
    """Score ``sentences``: P(S) = sum_b P(b) P(K|b) x sum_t P(t) prod_i P(g_i|t) x prod_i P(w_i|class_i).

    The first factor sums over attribute values and derivations (the forward algorithm), the second over the
    topic; for the notation see :mod:`bench.corpora.grammar.exact`.
    """
    grammar = machine.grammar
    parsed = [_parse(grammar, sentence) for sentence in sentences]
    structure = _structure_joint(machine, parsed)
    topic = np.array([_topic_joint(grammar, each) for each in parsed]).reshape(-1, len(grammar.topics))
    words = np.array([each.words if each else -np.inf for each in parsed])
    with np.errstate(divide="ignore", invalid="ignore"):
        log_probability = np.log(structure.sum(axis=1)) + np.log(topic.sum(axis=1)) + words
        structure = structure / structure.sum(axis=1, keepdims=True)
        topic = topic / topic.sum(axis=1, keepdims=True)
    topic[np.isneginf(log_probability)] = np.nan
    posterior = {name: marginal(grammar, structure, name) for name in grammar.attributes}
    uncertainty = -plogp(structure).sum(axis=1) - plogp(topic).sum(axis=1)
    return Scores(log_probability, {**posterior, "topic": topic}, structure, uncertainty)


def _parse(grammar: Grammar, sentence: Sequence[str]) -> _Parsed | None:
    lexemes = without_articles(sentence)
    if lexemes is None or any(word not in grammar.lexicon.places for word in lexemes):
        return None
    places = [grammar.lexicon.places[word] for word in lexemes]
    return _Parsed(
        symbols=(*(place.symbol for place, _ in places), END),
        groups=tuple(place.group for place, _ in places if place.group >= 0),
        words=float(np.log([probability for _, probability in places]).sum()),
    )


def _topic_joint(grammar: Grammar, parsed: _Parsed | None) -> Array:
    """P(t) prod_i P(g_i|t): ``(topics,)``."""
    if parsed is None:
        return np.zeros(len(grammar.topics))
    return np.asarray(grammar.topic_prior * grammar.affinity[:, list(parsed.groups)].prod(axis=1))


def _structure_joint(machine: Machine, parsed: Sequence[_Parsed | None]) -> Array:
    """P(b) P(K|b): ``(sentences, structures)``; sentences that are in the same states go together."""
    prior = machine.grammar.prior
    result = np.zeros((len(parsed), len(prior)))
    possible = np.array([i for i, each in enumerate(parsed) if each], dtype=np.int64)
    layer = {machine.start: (possible, np.tile(prior, (len(possible), 1, 1)))}
    position = 0
    while layer:
        parts: dict[Subset, list[tuple[Indices, Array]]] = defaultdict(list)
        for subset, (indices, rows) in layer.items():
            said: dict[str, list[int]] = defaultdict(list)
            for row, i in enumerate(indices):
                said[parsed[i].symbols[position]].append(row)
            steps = machine.step(subset)
            for symbol in said.keys() & steps.keys():
                reached, links = steps[symbol]
                parts[reached].append((indices[said[symbol]], advance(rows[said[symbol]], links, reached)))
        layer = {
            subset: (np.concatenate([i for i, _ in each]), np.concatenate([rows for _, rows in each]))
            for subset, each in parts.items()
        }
        if FINAL in layer:
            indices, rows = layer.pop(FINAL)
            result[indices] = rows[:, 0]
        position += 1
    return result
