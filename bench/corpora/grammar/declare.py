"""What grammar.yaml may say, checked, and one size of it as numbers: a :class:`Grammar`."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from bench.base.errors import BenchError, unknown
from bench.base.validation import read_yaml, validated
from bench.corpora.grammar.lexicon import TOPICAL, Lexicon, LexiconFile

Array = np.ndarray[Any, np.dtype[np.float64]]
FOLDER = Path(__file__).parent
START, END = "S", "<end>"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rule(_Model):
    """One way to expand a symbol; see the head of grammar.yaml."""

    to: str
    share: float = Field(1.0, gt=0)
    weight: str | None = None
    when: dict[str, str] = {}
    from_: str | None = Field(None, alias="from")


class Size(_Model):
    """One size: number of topics, lemmas kept per category (all, if absent), priors that differ, splits."""

    splits: dict[str, int]
    topics: int = Field(ge=2)
    keep: dict[str, int] = {}
    prior: dict[str, dict[str, float]] = {}
    own: float | None = Field(None, gt=0, lt=1)


class Topic(_Model):
    """The topic: prior weights, and the probability that a topical word is of the sentence's own topic."""

    own: float = Field(gt=0, lt=1)
    prior: dict[str, float]


class Style(_Model):
    """The attribute that is the style of a labelled corpus, and priors that differ there."""

    attribute: str
    prior: dict[str, dict[str, float]] = {}


class GrammarFile(_Model):
    """grammar.yaml."""

    sizes: dict[str, Size]
    attributes: dict[str, dict[str, float]]
    topic: Topic
    parameters: dict[str, tuple[str, ...]] = {}
    weights: dict[str, dict[str, dict[str, float]]] = {}
    rules: dict[str, tuple[Rule, ...]]
    replies: dict[str, Annotated[float, Field(ge=0, le=1)]] = {}
    style: Style | None = None


@dataclass(frozen=True)
class Expansion:
    """One rule as numbers: the symbols, and the probability ``(structures,)`` given each structure."""

    symbols: tuple[str, ...]
    probability: Array


@dataclass(frozen=True)
class Grammar:
    """One size of a grammar.

    A *structure* is one combination of the values of ``attributes`` (tense, number, ...), in the order of
    ``itertools.product``. The topic T is independent of it and chooses only which group g (the words of one
    topic) each topical class of the sentence takes its word from, independently: ``affinity[t, g] = P(g|t)``.
    ``replies`` says with which probability a reply keeps an attribute of its utterance, the topic included;
    ``style`` is the attribute that a labelled corpus shows.
    """

    attributes: dict[str, tuple[str, ...]]
    prior: Array  # (structures,)
    topics: tuple[str, ...]
    topic_prior: Array  # (topics,)
    affinity: Array  # (topics, groups)
    rules: dict[str, tuple[Expansion, ...]]
    lexicon: Lexicon
    splits: dict[str, int]
    replies: dict[str, float] = field(default_factory=dict)
    style: str | None = None

    @property
    def structures(self) -> list[tuple[str, ...]]:
        """The combinations of attribute values, in the order of ``prior``."""
        return list(itertools.product(*self.attributes.values()))


def load_grammar(size: str, folder: Path = FOLDER, *, styled: bool = False) -> Grammar:
    """The grammar of one size from ``folder``/grammar.yaml and lexicon.yaml; ``styled``: with the priors of styles.

    Raises :class:`BenchError` naming the file and the key for an unknown size, key, attribute, class or
    word count, for recursion, and for a word of two classes.
    """
    path = folder / "grammar.yaml"
    declared = validated(GrammarFile, read_yaml(path), path)
    words = validated(LexiconFile, read_yaml(folder / "lexicon.yaml"), folder / "lexicon.yaml")
    if size not in declared.sizes:
        raise unknown("size of generated corpus", size, declared.sizes, where=path)
    chosen = declared.sizes[size]
    style = declared.style if styled else None
    prior = chosen.prior | (style.prior if style else {})
    attributes = {name: prior.get(name, weights) for name, weights in declared.attributes.items()}
    for name in (*prior, *([style.attribute] if style else [])):
        _known("attribute", name, declared.attributes, path)
    for name in declared.replies:
        _known("attribute", name, [*declared.attributes, "topic"], path)
    rules = _reachable(_compiled(declared, size, attributes, path))
    _refuse_recursion(rules, path)
    topics = tuple(declared.topic.prior)[: chosen.topics]
    used = {symbol for options in rules.values() for option in options for symbol in option.symbols}
    lexicon = words.restricted(used - set(rules), topics, chosen.keep, folder / "lexicon.yaml")
    topic_prior = _normalised([declared.topic.prior[topic] for topic in topics])
    own = chosen.own or declared.topic.own
    others = (1 - own) / (len(topics) - 1)
    return Grammar(
        attributes={name: tuple(weights) for name, weights in attributes.items()},
        prior=_product(attributes),
        topics=topics,
        topic_prior=topic_prior,
        affinity=np.where(np.eye(len(topics), dtype=bool), own, others),
        rules=rules,
        lexicon=lexicon,
        splits=chosen.splits,
        replies=declared.replies,
        style=style.attribute if style else None,
    )


def is_topical(symbol: str) -> bool:
    """Whether the words of this class depend on the topic."""
    return symbol.endswith(TOPICAL)


def _known(noun: str, name: str, names: Iterable[str], path: Path) -> None:
    if name not in (known := list(names)):
        raise unknown(noun, name, known, where=path)


def _normalised(weights: Iterable[float]) -> Array:
    """Plain left-to-right sums: the same doubles on every platform, as the sampler needs."""
    values = list(weights)
    total = sum(values)
    return np.array([value / total for value in values])


def _product(attributes: Mapping[str, Mapping[str, float]]) -> Array:
    """P(structure) for independent attributes, flattened in the order of ``itertools.product``."""
    prior = np.ones(1)
    for weights in attributes.values():
        prior = (prior[:, None] * _normalised(weights.values())).ravel()
    return prior


def _expanded(template: str, parameters: Mapping[str, tuple[str, ...]]) -> list[dict[str, str]]:
    """The values of the parameters that occur in ``template``, in every combination."""
    used = [name for name in parameters if "{" + name + "}" in template]
    chosen = itertools.product(*(parameters[name] for name in used))
    return [dict(zip(used, values, strict=True)) for values in chosen]


def _compiled(
    declared: GrammarFile, size: str, attributes: Mapping[str, Mapping[str, float]], path: Path
) -> dict[str, tuple[Expansion, ...]]:
    sizes = list(declared.sizes)
    rules: dict[str, tuple[Expansion, ...]] = {}
    for template, options in declared.rules.items():
        for rule in options:
            _known("size", rule.from_ or size, sizes, path)
        present = [rule for rule in options if sizes.index(rule.from_ or sizes[0]) <= sizes.index(size)]
        weights = [_weight(rule, declared.weights, attributes, path) for rule in present]
        total = sum(weights, np.zeros(1))
        for values in _expanded(template, declared.parameters):
            symbol = template.format(**values)
            if symbol in rules:
                raise BenchError(f"two sets of rules expand {symbol!r}", where=f"{path}: rules")
            rules[symbol] = tuple(
                Expansion(
                    tuple(rule.to.format(**values).split()),
                    np.divide(weight, total, out=np.zeros_like(weight), where=total > 0),
                )
                for rule, weight in zip(present, weights, strict=True)
            )
    return rules


def _weight(
    rule: Rule,
    named: Mapping[str, Mapping[str, Mapping[str, float]]],
    attributes: Mapping[str, Mapping[str, float]],
    path: Path,
) -> Array:
    """share x named weight x condition, ``(structures,)``."""
    if rule.weight is not None:
        _known("weight", rule.weight, named, path)
    tables = {} if rule.weight is None else dict(named[rule.weight])
    factors = [*tables.items(), *((name, {value: 1.0}) for name, value in rule.when.items())]
    for name, table in factors:
        _known("attribute", name, attributes, path)
        for value in table:
            _known(f"value of {name}", value, attributes[name], path)
    place = {name: i for i, name in enumerate(attributes)}
    return np.array(
        [
            rule.share * math.prod(table.get(values[place[name]], 0.0) for name, table in factors)
            for values in itertools.product(*attributes.values())
        ]
    )


def _reachable(rules: Mapping[str, tuple[Expansion, ...]]) -> dict[str, tuple[Expansion, ...]]:
    reached: dict[str, tuple[Expansion, ...]] = {}
    waiting = [START]
    while waiting:
        symbol = waiting.pop()
        if symbol in rules and symbol not in reached:
            reached[symbol] = rules[symbol]
            waiting.extend(part for option in rules[symbol] for part in option.symbols)
    return reached


def _refuse_recursion(rules: Mapping[str, tuple[Expansion, ...]], path: Path) -> None:
    """Sentences are bounded only if no symbol contains itself."""
    finished: set[str] = set()

    def visit(symbol: str, inside: tuple[str, ...]) -> None:
        if symbol in inside:
            chain = " > ".join((*inside, symbol))
            raise BenchError(f"{symbol!r} contains itself: {chain}", where=f"{path}: rules")
        if symbol in finished:
            return
        for option in rules.get(symbol, ()):
            for part in option.symbols:
                visit(part, (*inside, symbol))
        finished.add(symbol)

    visit(START, ())
