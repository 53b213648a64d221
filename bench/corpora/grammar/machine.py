"""The grammar as an automaton over word classes, built as it is needed.

A state is the stack of symbols still to be said: a leftmost derivation pops the first one, expands it or
says it. Derivations that agree on what was said and on what remains share a state, so a sum over paths is a
sum over derivations. Since no symbol contains itself the stacks are finitely many and sentences bounded.
"""

from __future__ import annotations

import numpy as np

from bench.corpora.grammar.declare import END, START, Array, Grammar

Stack = tuple[str, ...]
Subset = tuple[Stack, ...]
Links = list[tuple[int, int, Array]]

FINAL: Subset = ((),)


class Machine:
    """The automaton of ``grammar``; every path ends by saying ``END``."""

    def __init__(self, grammar: Grammar) -> None:
        self.grammar = grammar
        self.start: Subset = ((START, END),)
        self._arcs: dict[Stack, dict[str, dict[Stack, Array]]] = {}
        self._steps: dict[Subset, dict[str, tuple[Subset, Links]]] = {}

    def arcs(self, stack: Stack) -> dict[str, dict[Stack, Array]]:
        """What may be said next: word class -> remaining stack -> probability ``(structures,)``."""
        if stack not in self._arcs:
            self._arcs[stack] = self._expand(stack)
        return self._arcs[stack]

    def _expand(self, stack: Stack) -> dict[str, dict[Stack, Array]]:
        head, rest = stack[0], stack[1:]
        if head not in self.grammar.rules:
            return {head: {rest: np.ones_like(self.grammar.prior)}}
        found: dict[str, dict[Stack, Array]] = {}
        for option in self.grammar.rules[head]:
            for symbol, targets in self.arcs(option.symbols + rest).items():
                for target, probability in targets.items():
                    joint = option.probability * probability
                    if joint.any():
                        known = found.setdefault(symbol, {})
                        known[target] = known.get(target, 0.0) + joint
        return found

    def step(self, subset: Subset) -> dict[str, tuple[Subset, Links]]:
        """The arcs of a set of stacks: word class -> set of stacks reached, and which leads to which.

        A link ``(i, j, probability)`` goes from stack i of ``subset`` to stack j of the set reached.
        """
        if subset not in self._steps:
            by_symbol: dict[str, list[tuple[int, Stack, Array]]] = {}
            for i, stack in enumerate(subset):
                for symbol, targets in self.arcs(stack).items():
                    by_symbol.setdefault(symbol, []).extend((i, target, p) for target, p in targets.items())
            self._steps[subset] = {symbol: _linked(found) for symbol, found in by_symbol.items()}
        return self._steps[subset]


def _linked(found: list[tuple[int, Stack, Array]]) -> tuple[Subset, Links]:
    reached = tuple(sorted({target for _, target, _ in found}))
    return reached, [(i, reached.index(target), probability) for i, target, probability in found]


def advance(rows: Array, links: Links, reached: Subset) -> Array:
    """Forward probabilities ``(rows, stacks, structures)`` after one more word class."""
    after = np.zeros((len(rows), len(reached), rows.shape[2]))
    for i, j, probability in links:
        after[:, j] += rows[:, i] * probability
    return after
