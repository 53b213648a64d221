"""The generated corpora: English-looking sentences whose entropy and attribute information are known exactly.

``generate("small")`` gives the sentences; ``exact_facts`` the best perplexity that any model can reach and
how much a latent code can carry; ``posterior`` what one sentence tells of its topic, tense, number,
sentiment and length. The grammar and its mathematics are in :mod:`bench.corpora.grammar`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from bench.base.seeds import derive_seed
from bench.corpora.grammar import exact
from bench.corpora.grammar.declare import Grammar, load_grammar
from bench.corpora.grammar.machine import Machine
from bench.corpora.grammar.sample import Plan, Sampler
from bench.corpora.grammar.score import score

SIZES = ("tiny", "small", "medium")


@dataclass(frozen=True)
class Generated:
    """A generated corpus: sentences and attributes per split (one row per sentence), and the exact facts."""

    splits: dict[str, list[list[str]]]
    attributes: dict[str, pd.DataFrame]
    exact: dict[str, Any]


@lru_cache
def _machine(size: str) -> Machine:
    return Machine(load_grammar(size))


def generate(size: str) -> Generated:
    """The corpus of one size: each split an i.i.d. sample, seeded by its name alone.

    The attribute frames have the column ``log_probability`` (nats) and one categorical column per latent
    attribute. Raises :class:`bench.base.errors.BenchError` for an unknown size.
    """
    grammar = _machine(size).grammar
    splits, attributes = {}, {}
    for split, count in grammar.splits.items():
        plans, splits[split] = sample(size, count, derive_seed("generated", size, split))
        frame = _plan_frame(grammar, plans)
        frame.insert(0, "log_probability", log_probabilities(size, splits[split]))
        attributes[split] = frame
    return Generated(splits, attributes, exact_facts(size))


def sample(size: str, count: int, seed: int) -> tuple[list[Plan], list[list[str]]]:
    """Draw ``count`` independent sentences and the plans that they come from."""
    sampler = Sampler(_machine(size).grammar, seed)
    plans, sentences = [], []
    for _ in range(count):
        plan = sampler.plan()
        plans.append(plan)
        sentences.append(sampler.realise(plan, sampler.skeleton(plan)))
    return plans, sentences


def exact_facts(size: str) -> dict[str, Any]:
    """Entropy, lowest perplexity, information per attribute: see :mod:`bench.corpora.grammar.exact`."""
    return exact.exact_facts(_machine(size).grammar)


def log_probabilities(size: str, sentences: Sequence[Sequence[str]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """log P(S) in nats ``(sentences,)``, summed over attributes and derivations; -inf if impossible."""
    return score(_machine(size), sentences).log_probability


def sentence_log_probability(size: str, sentence: Sequence[str]) -> float:
    """log P(S) of one sentence in nats; -inf if the grammar cannot say it."""
    return float(log_probabilities(size, [sentence])[0])


def posterior(size: str, sentences: Sequence[Sequence[str]]) -> dict[str, pd.DataFrame]:
    """P(value | sentence) per attribute: frames ``(sentences, values)``; NaN for impossible sentences."""
    machine = _machine(size)
    tables = score(machine, sentences).posterior
    values = {**machine.grammar.attributes, "topic": machine.grammar.topics}
    return {name: pd.DataFrame(table, columns=list(values[name])) for name, table in tables.items()}


def _plan_frame(grammar: Grammar, plans: Sequence[Plan]) -> pd.DataFrame:
    structures = grammar.structures
    topics = [grammar.topics[plan.topic] for plan in plans]
    columns = {"topic": pd.Categorical(topics, categories=list(grammar.topics))}
    for i, (name, values) in enumerate(grammar.attributes.items()):
        drawn = [structures[plan.structure][i] for plan in plans]
        columns[name] = pd.Categorical(drawn, categories=list(values))
    return pd.DataFrame(columns)
