"""Pairs of an utterance and its reply: how much the one tells of the other, computed, not estimated.

The plan of a reply depends on the plan of its utterance alone: each attribute a that ``grammar.yaml`` lists
under ``replies`` keeps its value with probability k_a, and otherwise is drawn anew from its prior, as all
other attributes are. So each attribute of the reply has its prior, a reply alone is a sentence of the grammar,
and H(R) is the entropy of the grammar.

Notation as in :mod:`bench.corpora.grammar.exact`: B the structural attributes, T the topic, K the word-class
symbols, G the groups; a prime marks the reply. U - (B,T) - (B',T') - R is a Markov chain, and given K and G
the words tell nothing, hence
    P(R|U) / P(R) = f(K,K') g(G,G'),  f = sum_bb' P(b|K) P(b'|b) P(b'|K') / P(b'),
                                      g = sum_tt' P(t|G) P(t'|t) P(t'|G') / P(t').
f depends on the beliefs P(B|K) and P(B|K') alone, of which there are few, and g on the counts of the groups:
    I(U;R) = E[log f] + E[log g],   H(R|U) = H(R) - I(U;R).
E[log g] is taken given the numbers n, n' of topical symbols, which depend on each other through B and B'.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from bench.corpora.grammar.declare import Array, Grammar
from bench.corpora.grammar.exact import Beliefs, Expectations, group_counts, merged
from bench.corpora.grammar.score import Scores
from bench.corpora.grammar.tables import marginal, plogp


def channel(prior: Array, keep: float) -> Array:
    """P(value of the reply | value of the utterance) ``(values, values)``."""
    return np.asarray(keep * np.eye(len(prior)) + (1 - keep) * prior)


def structure_channel(grammar: Grammar, keep: Mapping[str, float]) -> Array:
    """P(b'|b) for independent attributes ``(structures, structures)``."""
    result: Array = np.ones((1, 1))
    for name in grammar.attributes:
        prior = marginal(grammar, grammar.prior, name)
        result = np.asarray(np.kron(result, channel(prior, keep.get(name, 0.0))), dtype=np.float64)
    return result


def topic_channel(grammar: Grammar, keep: Mapping[str, float]) -> Array:
    """P(t'|t) ``(topics, topics)``."""
    return channel(grammar.topic_prior, keep.get("topic", 0.0))


def information(
    grammar: Grammar, beliefs: Beliefs, expected: Expectations, keep: Mapping[str, float]
) -> float:
    """I(U;R) in nats."""
    structures = structure_channel(grammar, keep)
    topical = _topical(grammar, expected, structures, topic_channel(grammar, keep))
    return _structural(grammar, beliefs, structures) + topical


def _structural(grammar: Grammar, beliefs: Beliefs, structures: Array) -> float:
    """E[log f], over the distinct messages P(B'|K) that the utterances send."""
    weights, rows = merged([(beliefs.weights, np.asarray(beliefs.rows @ structures))])
    ratio = _divided(rows, grammar.prior) @ beliefs.rows.T
    return float(weights @ plogp(ratio) @ beliefs.weights)


def _topical(grammar: Grammar, expected: Expectations, structures: Array, topics: Array) -> float:
    """E[log g], given the numbers of topical symbols of utterance and reply."""
    counts = expected.by_structure  # P(n, b): (numbers, structures)
    both = counts @ structures @ _divided(counts, grammar.prior).T
    groups = [group_counts(grammar, n) for n in range(len(counts))]
    total = 0.0
    for n, (first, _, sent) in enumerate(groups):
        messages = _divided(sent @ topics, grammar.topic_prior)
        for m, (second, _, received) in enumerate(groups):
            if both[n, m] > 0:
                total += float(both[n, m] * (first @ plogp(messages @ received.T) @ second))
    return total


def log_ratio(grammar: Grammar, keep: Mapping[str, float], utterances: Scores, replies: Scores) -> Array:
    """log P(R|U) - log P(R) of each pair ``(pairs,)``, in nats: its mean is I(U;R)."""
    f = _divided(utterances.structure @ structure_channel(grammar, keep), grammar.prior) * replies.structure
    g = _divided(utterances.posterior["topic"] @ topic_channel(grammar, keep), grammar.topic_prior)
    return np.asarray(np.log(f.sum(axis=1)) + np.log((g * replies.posterior["topic"]).sum(axis=1)))


def _divided(rows: Array, prior: Array) -> Array:
    """rows / prior, 0 where the prior is."""
    return np.divide(rows, prior, out=np.zeros_like(rows), where=prior > 0)


def pair_facts(facts: Mapping[str, Any], told: float) -> dict[str, Any]:
    """The facts of a paired corpus, in nats per reply: those of the replies alone, and given their utterances."""
    conditional = facts["entropy"] - told
    return {
        **facts,
        "information": told,
        "conditional_entropy": conditional,
        "conditional_perplexity": math.exp(conditional / facts["targets_mean"]),
    }
