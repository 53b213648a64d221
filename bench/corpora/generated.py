"""The generated corpora: English-looking sentences whose entropy and attribute information are known exactly.

``generate("small")`` gives the sentences; ``exact_facts`` the best perplexity that any model can reach and
how much a latent code can carry; ``posterior`` what one sentence tells of its topic, tense, number,
sentiment and length. The grammar and its mathematics are in :mod:`bench.corpora.grammar`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from bench.base.seeds import derive_seed
from bench.corpora.grammar import exact, pairs
from bench.corpora.grammar.declare import Grammar, load_grammar
from bench.corpora.grammar.machine import Machine
from bench.corpora.grammar.sample import Sampler, SentencePlan
from bench.corpora.grammar.score import score

SIZES = ("tiny", "clear", "small", "medium")
STYLE = "style"


@dataclass(frozen=True)
class Generated:
    """A generated corpus: sentences and attributes per split (one row per sentence), and the exact facts.

    ``contexts`` holds the utterances to which the sentences are replies, ``styles`` the label of each, where
    the corpus has them.
    """

    splits: dict[str, list[list[str]]]
    attributes: dict[str, pd.DataFrame]
    exact: dict[str, Any]
    contexts: dict[str, list[list[str]]] = field(default_factory=dict)
    styles: dict[str, list[str]] = field(default_factory=dict)


@lru_cache
def _machine(size: str, styled: bool = False) -> Machine:
    return Machine(load_grammar(size, styled=styled))


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


def generate_pairs(size: str) -> Generated:
    """Utterances and their replies: each split an i.i.d. sample of pairs, seeded by its name alone.

    The frames describe the replies: the columns of :func:`generate`, ``conditional_log_probability`` given the
    utterance, and what they say of the utterances as ``context_log_probability``, ``context_topic`` and so on.
    """
    machine = _machine(size)
    grammar = machine.grammar
    splits, contexts, attributes = {}, {}, {}
    for split, count in grammar.splits.items():
        said, contexts[split], plans, splits[split] = sample_pairs(
            size, count, derive_seed("generated-pairs", size, split)
        )
        utterances, replies = score(machine, contexts[split]), score(machine, splits[split])
        frame = _plan_frame(grammar, plans).join(_plan_frame(grammar, said).add_prefix("context_"))
        given = replies.log_probability + pairs.log_ratio(grammar, grammar.replies, utterances, replies)
        frame.insert(0, "log_probability", replies.log_probability)
        frame.insert(1, "conditional_log_probability", given)
        frame.insert(2, "context_log_probability", utterances.log_probability)
        attributes[split] = frame
    return Generated(splits, attributes, exact_pair_facts(size), contexts=contexts)


def sample_pairs(
    size: str, count: int, seed: int
) -> tuple[list[SentencePlan], list[list[str]], list[SentencePlan], list[list[str]]]:
    """Draw ``count`` independent pairs: plans and sentences of the utterances, plans and sentences of the replies."""
    sampler = Sampler(_machine(size).grammar, seed)
    said = [sampler.plan() for _ in range(count)]
    plans = [sampler.reply(plan) for plan in said]
    utterances = [sampler.realise(plan, sampler.skeleton(plan)) for plan in said]
    return said, utterances, plans, [sampler.realise(plan, sampler.skeleton(plan)) for plan in plans]


def generate_styles(size: str) -> Generated:
    """Sentences with a style, which is one of their attributes: the frames hold the others.

    ``exact`` holds as ``conditional_entropy`` that of a sentence given its style.
    """
    machine = _machine(size, styled=True)
    grammar = machine.grammar
    assert grammar.style is not None
    splits, styles, attributes = {}, {}, {}
    for split, count in grammar.splits.items():
        sampler = Sampler(grammar, derive_seed("generated-styles", size, split))
        plans = [sampler.plan() for _ in range(count)]
        splits[split] = [sampler.realise(plan, sampler.skeleton(plan)) for plan in plans]
        frame = _plan_frame(grammar, plans)
        styles[split] = frame.pop(grammar.style).astype(str).tolist()
        frame.insert(0, "log_probability", score(machine, splits[split]).log_probability)
        attributes[split] = frame
    return Generated(splits, attributes, exact_style_facts(size), styles=styles)


def sample(size: str, count: int, seed: int) -> tuple[list[SentencePlan], list[list[str]]]:
    """Draw ``count`` independent sentences and the plans that they come from."""
    sampler = Sampler(_machine(size).grammar, seed)
    plans, sentences = [], []
    for _ in range(count):
        plan = sampler.plan()
        plans.append(plan)
        sentences.append(sampler.realise(plan, sampler.skeleton(plan)))
    return plans, sentences


@lru_cache
def exact_facts(size: str) -> dict[str, Any]:
    """Entropy, lowest perplexity, information per attribute: see :mod:`bench.corpora.grammar.exact`."""
    return exact.exact_facts(_machine(size).grammar)


@lru_cache
def exact_pair_facts(size: str) -> dict[str, Any]:
    """The facts of replies, the information of an utterance about its reply, H(reply | utterance), in nats."""
    machine = _machine(size)
    expected, skeleton, beliefs = exact.analysed(machine)
    told = pairs.information(machine.grammar, beliefs, expected, machine.grammar.replies)
    return pairs.pair_facts(exact.facts_of(machine.grammar, expected, skeleton, beliefs), told)


@lru_cache
def exact_style_facts(size: str) -> dict[str, Any]:
    """The facts of sentences with a style, which stands among the attributes as ``style``, and H(text | style)."""
    grammar = _machine(size, styled=True).grammar
    facts = exact.exact_facts(grammar)
    attributes = {STYLE if name == grammar.style else name: one for name, one in facts["attributes"].items()}
    return {
        **facts,
        "attributes": attributes,
        "conditional_entropy": facts["entropy"] - attributes[STYLE]["information"],
    }


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


def _plan_frame(grammar: Grammar, plans: Sequence[SentencePlan]) -> pd.DataFrame:
    structures = grammar.structures
    topics = [grammar.topics[plan.topic] for plan in plans]
    columns = {"topic": pd.Categorical(topics, categories=list(grammar.topics))}
    for i, (name, values) in enumerate(grammar.attributes.items()):
        drawn = [structures[plan.structure][i] for plan in plans]
        columns[name] = pd.Categorical(drawn, categories=list(values))
    return pd.DataFrame(columns)
