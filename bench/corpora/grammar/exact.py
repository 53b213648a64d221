"""Entropy of a sentence and its information about each attribute: computed, in nats, not estimated.

Notation: B the structural attributes (tense, number, ...), T the topic, independent of B; K the sequence of
word-class symbols, G the group (topic of the word) of each topical symbol, S the words.

Each word has one class (symbol, group), so (K, G) is a function of S, and given (K, G) the words are drawn
independently of each other and of B, T. Hence
    H(S) = H(K) + H(G|K) + sum_c E[#c] H(word|c),   I(S;A) = I(K,G;A).
K depends on B alone. Each of the n(K) topical symbols draws its group from P(g|T), so G depends on K through
n alone, and given n the sequence is exchangeable: all sequences with the same counts m_1..m_g are equally
likely and lead to the same posterior of T. Hence
    H(G|K) = sum_n P(n) H(G|n),   H(T|S) = sum_n P(n) H(T|G,n),   H(B|S) = H(B|K),   H(A|S) = H(B|S) + H(T|S)
(B and T stay independent given K and G, because P(B,T,K,G) = P(B,K) P(T) P(G|T,n(K))).

H(K) = sum_t H(K_t | K_<t) by the chain rule. What follows a prefix depends on it through the *belief*
P(state, B | prefix) only, so prefixes of one length with the same belief are merged and their probabilities
added; the last belief is P(B|K). Nothing is truncated or sampled; beliefs that agree to 12 decimals count as
the same, which merges what differs by rounding error.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.corpora.grammar.declare import END, Array, Grammar, is_topical
from bench.corpora.grammar.machine import FINAL, Machine, Stack, Subset, advance
from bench.corpora.grammar.tables import marginal, plogp

DECIMALS = 12


def exact_facts(grammar: Grammar) -> dict[str, Any]:
    """The facts of a generated corpus, in nats per sentence.

    ``entropy`` H(S); ``targets_mean`` E[words + 1]; ``perplexity`` exp(entropy / targets_mean), the lowest
    that any model of the words and the end of sentence can reach; ``attributes`` {name: {``entropy`` H(A),
    ``information`` I(S;A)}}; ``joint`` the same for all attributes together; ``longest`` the most words.
    """
    return facts_of(grammar, *analysed(Machine(grammar)))


def analysed(machine: Machine) -> tuple[Expectations, float, Beliefs]:
    """What the facts are computed from: the expectations, H(K), and the beliefs P(B|K)."""
    return expectations(machine), *skeleton_entropy(machine)


def facts_of(grammar: Grammar, expected: Expectations, skeleton: float, beliefs: Beliefs) -> dict[str, Any]:
    """The facts that :func:`exact_facts` describes."""
    groups = [group_entropies(grammar, n) for n in range(len(expected.topical))]
    entropy = (
        skeleton
        + sum(p * group for p, (group, _) in zip(expected.topical, groups, strict=True))
        + _word_entropy(grammar, expected.symbols)
    )
    remaining = {name: beliefs.entropy(grammar, name) for name in grammar.attributes}
    remaining["topic"] = sum(p * left for p, (_, left) in zip(expected.topical, groups, strict=True))
    before = {name: _entropy(marginal(grammar, grammar.prior, name)) for name in grammar.attributes}
    before["topic"] = _entropy(grammar.topic_prior)
    joint = _entropy(grammar.prior) + before["topic"]
    targets = sum(expected.symbols.values())
    return {
        "entropy": entropy,
        "targets_mean": targets,
        "perplexity": math.exp(entropy / targets),
        "longest": expected.longest,
        "attributes": {
            name: {"entropy": before[name], "information": before[name] - remaining[name]} for name in before
        },
        "joint": {"entropy": joint, "information": joint - beliefs.entropy(grammar) - remaining["topic"]},
    }


@dataclass(frozen=True)
class Expectations:
    """E[number of each symbol, END included], P(n topical symbols), the same with B, the most words."""

    symbols: dict[str, float]
    topical: list[float]
    by_structure: Array  # P(n, B): (numbers, structures)
    longest: int


def expectations(machine: Machine) -> Expectations:
    """One forward pass over the states, without merging anything."""
    symbols: dict[str, float] = {}
    topical: dict[int, float] = {}
    by_structure: dict[int, Array] = {}
    states: dict[tuple[Stack, int], Array] = {(machine.start[0], 0): machine.grammar.prior}
    length = 0
    while states:
        after: dict[tuple[Stack, int], Array] = {}
        for (stack, n), mass in states.items():
            for symbol, targets in machine.arcs(stack).items():
                for target, probability in targets.items():
                    flow = mass * probability
                    amount = float(flow.sum())
                    symbols[symbol] = symbols.get(symbol, 0.0) + amount
                    if symbol == END:
                        topical[n] = topical.get(n, 0.0) + amount
                        by_structure[n] = by_structure.get(n, 0.0) + flow
                    elif amount > 0:
                        key = (target, n + is_topical(symbol))
                        after[key] = after.get(key, 0.0) + flow
        states = after
        length += 1
    numbers, nothing = range(max(topical) + 1), np.zeros_like(machine.grammar.prior)
    return Expectations(
        symbols,
        [topical.get(n, 0.0) for n in numbers],
        np.array([by_structure.get(n, nothing) for n in numbers]),
        length - 1,
    )


@dataclass(frozen=True)
class Beliefs:
    """The distinct posteriors P(B|K) ``(rows, structures)`` and their probabilities ``(rows,)``."""

    weights: Array
    rows: Array

    def entropy(self, grammar: Grammar, name: str | None = None) -> float:
        """H(attribute|K) in nats, or H(B|K) for all of them."""
        rows = self.rows if name is None else marginal(grammar, self.rows, name)
        return float(-(self.weights * plogp(rows).sum(axis=1)).sum())


def skeleton_entropy(machine: Machine) -> tuple[float, Beliefs]:
    """H(K) in nats, and the posteriors of the structural attributes that the sequences K lead to."""
    entropy = 0.0
    layer = {machine.start: (np.ones(1), machine.grammar.prior[None, None, :])}
    finals: list[tuple[Array, Array]] = []
    while layer:
        after: dict[Subset, list[tuple[Array, Array]]] = {}
        for subset, (weights, rows) in layer.items():
            for reached, links in machine.step(subset).values():
                joint = advance(rows, links, reached)
                chance = joint.sum(axis=(1, 2))
                entropy -= float((weights * plogp(chance)).sum())
                possible = chance > 0
                if possible.any():
                    posterior = joint[possible] / chance[possible, None, None]
                    after.setdefault(reached, []).append(((weights * chance)[possible], posterior))
        finals.extend(after.pop(FINAL, []))
        layer = {subset: merged(parts) for subset, parts in after.items()}
    weights, rows = merged(finals)
    return entropy, Beliefs(weights, rows[:, 0])


def merged(parts: list[tuple[Array, Array]]) -> tuple[Array, Array]:
    """Add the weights of equal rows."""
    weights = np.concatenate([part[0] for part in parts])
    rows = np.concatenate([part[1] for part in parts])
    rounded = np.ascontiguousarray(rows.round(DECIMALS).reshape(len(rows), -1))
    keys = rounded.view(np.dtype((np.void, rounded.dtype.itemsize * rounded.shape[1]))).ravel()
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    merged = np.bincount(inverse, weights, minlength=len(first))
    return np.asarray(merged, dtype=np.float64), rows[first]


def group_entropies(grammar: Grammar, n: int) -> tuple[float, float]:
    """H(G|n) and H(T|G,n) in nats for a sentence with n topical words: a sum over counts per group."""
    probability, sequence, posterior = group_counts(grammar, n)
    return (
        float(-(probability * np.log(sequence)).sum()),
        float(-(probability * plogp(posterior).sum(axis=1)).sum()),
    )


def group_counts(grammar: Grammar, n: int) -> tuple[Array, Array, Array]:
    """All counts of the groups of n topical words.

    Their probability (counts,), that of one sequence with them (counts,), and P(T|counts) (counts, topics).
    """
    counts = _compositions(n, len(grammar.topics))
    several = math.lgamma(n + 1) - np.vectorize(math.lgamma)(counts + 1).sum(
        axis=1
    )  # log number of sequences
    joint = np.exp(counts @ np.log(grammar.affinity).T) * grammar.topic_prior  # (counts, topics)
    sequence = joint.sum(axis=1)  # of one sequence with these counts
    return np.exp(several) * sequence, sequence, joint / sequence[:, None]


def _compositions(total: int, parts: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """All ways to write ``total`` as an ordered sum of ``parts`` counts: ``(ways, parts)``."""
    bars = np.array(list(itertools.combinations(range(total + parts - 1), parts - 1)), dtype=np.int64)
    edges = np.pad(bars, ((0, 0), (1, 1)), constant_values=((0, 0), (-1, total + parts - 1)))
    return np.diff(edges, axis=1) - 1


def _word_entropy(grammar: Grammar, symbols: dict[str, float]) -> float:
    """sum over classes of E[#class] H(word|class); given its symbol, a topical word's group is marginal."""
    group = grammar.topic_prior @ grammar.affinity
    return sum(
        symbols.get(key.symbol, 0.0) * (float(group[key.group]) if key.group >= 0 else 1.0) * words.entropy
        for key, words in grammar.lexicon.classes.items()
    )


def _entropy(p: Array) -> float:
    return float(-plogp(p).sum())
