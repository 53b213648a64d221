"""Arithmetic on tables of probabilities over the structures of a grammar."""

from __future__ import annotations

import numpy as np

from bench.corpora.grammar.declare import Array, Grammar


def marginal(grammar: Grammar, rows: Array, name: str) -> Array:
    """Sum the structures ``(..., structures)`` to one attribute ``(..., values)``."""
    names = list(grammar.attributes)
    shape = [len(values) for values in grammar.attributes.values()]
    axes = tuple(i - len(names) for i, other in enumerate(names) if other != name)
    return np.asarray(rows.reshape(*rows.shape[:-1], *shape).sum(axis=axes))


def plogp(p: Array) -> Array:
    """p log p in nats, 0 at p = 0."""
    return p * np.log(np.where(p > 0, p, 1.0))
