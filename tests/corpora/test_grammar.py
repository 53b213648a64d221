"""The grammar machinery against a grammar small enough to write down every sentence and derivation."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.base.errors import BenchError
from bench.corpora.grammar.declare import Grammar, is_topical, load_grammar
from bench.corpora.grammar.english import INFLECTIONS, with_articles, without_articles
from bench.corpora.grammar.exact import exact_facts
from bench.corpora.grammar.lexicon import WordClass
from bench.corpora.grammar.machine import Machine
from bench.corpora.grammar.score import score

LEXICON = """
inflect: {thing: noun}
function: [the, a, runs, run, ran, slowly, calmly]
general: {herd: [sheep], prep: [near, in], place: [barn, orchard]}
topics:
  farm: {thing: [cow, ox]}
  sea: {thing: [ship, anchor, net]}
"""
GRAMMAR = """
sizes:
  less: {splits: {train: 5}, topics: 2, keep: {prep: 1, thing@topic: 1}, prior: {pace: {slow: 1, fast: 3}}}
  more: {splits: {train: 5}, topics: 2}
attributes:
  number: {singular: 3, plural: 2}
  pace: {slow: 1, fast: 1}
topic: {own: 0.7, prior: {farm: 2, sea: 1}}
parameters: {n: [sg, pl]}
weights:
  long: {pace: {slow: 0.6, fast: 0.3}}
  short: {pace: {slow: 0.4, fast: 0.7}}
rules:
  S:
    - {to: Noun.sg Tail Verb Manner Last, when: {number: singular}}
    - {to: Noun.pl Tail Verb Manner Last, when: {number: plural}}
  Noun.{n}:
    - {to: "Article.{n} thing.{n}@topic", share: 3}
    - {to: the herd}
  Article.sg:
    - {to: a}
  Article.pl:
    - {to: the}
  Verb:
    - {to: ran}
    - {to: runs, when: {number: singular}}
    - {to: run, when: {number: plural}}
  Tail:
    - {to: "", weight: short}
    - {to: Where, weight: long, share: 0.5}
    - {to: Where Where, weight: long, share: 0.3, from: more}
    - {to: Where Further, weight: long, share: 0.2, from: more}
  Manner:
    - {to: slowly, weight: long}
    - {to: calmly, weight: short}
  Last:
    - {to: "", weight: short}
    - {to: prep the thing.sg@topic, weight: long}
  Where:
    - {to: prep place}
  Further:
    - {to: prep place}
"""


def write(folder: Path, grammar: str = GRAMMAR, lexicon: str = LEXICON) -> Path:
    (folder / "grammar.yaml").write_text(grammar)
    (folder / "lexicon.yaml").write_text(lexicon)
    return folder


Array = np.ndarray[Any, Any]
Table = dict[tuple[str, ...], Array]
Derivation = tuple[tuple[str, ...], float]


def derivations(grammar: Grammar, symbols: tuple[str, ...], structure: int) -> list[Derivation]:
    """Every derivation, one by one, of the class sequences of ``symbols``."""
    if not symbols:
        return [((), 1.0)]
    rests = derivations(grammar, symbols[1:], structure)
    heads: list[Derivation] = [((symbols[0],), 1.0)]
    if symbols[0] in grammar.rules:
        heads = [
            (said, float(option.probability[structure]) * p)
            for option in grammar.rules[symbols[0]]
            if option.probability[structure] > 0
            for said, p in derivations(grammar, option.symbols, structure)
        ]
    return [(head + rest, p * q) for head, p in heads for rest, q in rests]


def every_sentence(grammar: Grammar) -> Table:
    """P(sentence, structure, topic) by listing everything: the reference for the exact functions."""
    shape = (len(grammar.prior), len(grammar.topics))
    table: Table = defaultdict(lambda: np.zeros(shape))
    for b in range(shape[0]):
        for skeleton, p in derivations(grammar, ("S",), b):
            groups = [range(shape[1]) if is_topical(symbol) else (-1,) for symbol in skeleton]
            for chosen in itertools.product(*groups):
                keys = map(WordClass, skeleton, chosen)
                classes = [grammar.lexicon.classes[key] for key in keys]
                for picks in itertools.product(*(range(len(c.words)) for c in classes)):
                    q = math.prod(c.probabilities[i] for c, i in zip(classes, picks, strict=True))
                    words = with_articles([c.words[i] for c, i in zip(classes, picks, strict=True)])
                    for t in range(shape[1]):
                        given = math.prod(grammar.affinity[t, g] for g in chosen if g >= 0)
                        table[tuple(words)][b, t] += grammar.prior[b] * grammar.topic_prior[t] * p * q * given
    return dict(table)


def entropy(p: Array) -> float:
    p = p[p > 0]
    return float(-(p * np.log(p)).sum())


@pytest.fixture(params=["less", "more"])
def micro(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Grammar, Table]:
    grammar = load_grammar(request.param, write(tmp_path))
    return grammar, every_sentence(grammar)


def test_every_probability_and_posterior(micro: tuple[Grammar, Table]) -> None:
    grammar, table = micro
    scores = score(Machine(grammar), list(table))
    cube = np.array([each.reshape(2, 2, 2) for each in table.values()])  # number, pace, topic
    total = cube.sum(axis=(1, 2, 3))
    assert total.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(scores.log_probability, np.log(total), rtol=0, atol=1e-12)
    for axis, name in enumerate(["number", "pace", "topic"], start=1):
        others = tuple({1, 2, 3} - {axis})
        np.testing.assert_allclose(scores.posterior[name], cube.sum(axis=others) / total[:, None], atol=1e-12)


def test_entropy_and_information_by_definition(micro: tuple[Grammar, Table]) -> None:
    grammar, table = micro
    facts = exact_facts(grammar)
    cube = np.array([each.reshape(2, 2, 2) for each in table.values()])
    sentences = cube.sum(axis=(1, 2, 3))
    targets = sum(p * (len(words) + 1) for words, p in zip(table, sentences, strict=True))
    assert facts["entropy"] == pytest.approx(entropy(sentences), abs=1e-10)
    assert facts["targets_mean"] == pytest.approx(targets, abs=1e-12)
    assert facts["perplexity"] == pytest.approx(math.exp(entropy(sentences) / targets), abs=1e-10)
    assert facts["longest"] == max(map(len, table))
    tables = {"number": cube.sum(axis=(2, 3)), "pace": cube.sum(axis=(1, 3)), "topic": cube.sum(axis=(1, 2))}
    for name, joint in {**tables, "joint": cube.reshape(len(cube), -1)}.items():
        found = facts["joint"] if name == "joint" else facts["attributes"][name]
        prior = entropy(joint.sum(axis=0))
        assert found["entropy"] == pytest.approx(prior, abs=1e-12)
        assert found["information"] == pytest.approx(prior + entropy(sentences) - entropy(joint), abs=1e-10)
        assert 0 < found["information"] < prior


def test_ambiguous_sentence_is_the_sum_of_its_derivations(tmp_path: Path) -> None:
    grammar = load_grammar("more", write(tmp_path))
    skeleton = ("the", "herd", "prep", "place", "prep", "place", "ran", "slowly")
    found = [[p for said, p in derivations(grammar, ("S",), b) if said == skeleton] for b in range(4)]
    assert [len(ps) for ps in found] == [2, 2, 2, 2]  # Where Where and Where Further
    by_hand = sum(float(prior) * sum(ps) for prior, ps in zip(grammar.prior, found, strict=True))
    words = 2 / 3 * 2 / 3 * 1 / 3 * 2 / 3  # near barn in barn
    got = score(
        Machine(grammar), [["the", "sheep", "near", "barn", "in", "barn", "ran", "slowly"]]
    ).log_probability[0]
    assert got == pytest.approx(math.log(by_hand * words), abs=1e-12)


def test_rule_probabilities_by_hand(tmp_path: Path) -> None:
    grammar = load_grammar("more", write(tmp_path))
    assert grammar.structures == list(itertools.product(["singular", "plural"], ["slow", "fast"]))
    np.testing.assert_allclose(grammar.prior, [0.3, 0.3, 0.2, 0.2])
    tail = [option.probability for option in grammar.rules["Tail"]]
    np.testing.assert_allclose(tail[0], [0.4, 0.7, 0.4, 0.7])
    np.testing.assert_allclose(tail[2], [0.18, 0.09, 0.18, 0.09])
    np.testing.assert_allclose(grammar.rules["Verb"][1].probability, [0.5, 0.5, 0, 0])
    np.testing.assert_allclose(grammar.rules["Noun.sg"][0].probability, 0.75)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("an ox ran slowly", "a ox ran slowly"),
        ("a cow ran slowly", "an cow ran slowly"),
        ("a cow runs slowly", "a cow run slowly"),
        ("the cows near barn run slowly", "the cows near barn runs slowly"),
        ("the sheep ran slowly", "the zebra ran slowly"),
        ("the sheep runs calmly", "the sheep runs"),
        ("the sheep runs calmly", "the sheep runs calmly a"),
        ("the sheep runs calmly", ""),
    ],
)
def test_impossible(tmp_path: Path, right: str, wrong: str) -> None:
    machine = Machine(load_grammar("more", write(tmp_path)))
    scores = score(machine, [wrong.split(), right.split()])
    assert scores.log_probability[0] == -np.inf
    assert all(np.isnan(table[0]).all() for table in scores.posterior.values())
    assert np.isfinite(scores.log_probability[1])


@pytest.mark.parametrize(
    ("where", "old", "new", "message"),
    [
        ("grammar", "to: prep place", "to: prep plaice", "did you mean 'place'"),
        ("grammar", "to: prep place", "to: prep Tail", "contains itself: S > Tail > Where > Tail"),
        ("grammar", "weight: short", "weight: brief", "unknown weight 'brief'"),
        ("grammar", "number: plural", "nombre: plural", "unknown attribute 'nombre'"),
        ("grammar", "from: more", "from: most", "unknown size 'most'"),
        ("grammar", "share: 3", "chare: 3", "unknown key 'chare'"),
        ("grammar", "own: 0.7", "own: 1.0", "topic.own"),
        ("grammar", "keep: {prep: 1", "keep: {perp: 1", "unknown category of words 'perp'"),
        ("grammar", "Article.pl:", "Article.{n}:", "two sets of rules expand 'Article.sg'"),
        ("lexicon", "[sheep]", "[cow]", "'cow' belongs to two classes"),
        ("lexicon", "thing: noun", "thing: now", "unknown inflection 'now'"),
        ("lexicon", "  sea: {thing: [ship, anchor, net]}", "  sea: {thing: []}", "no words for the class"),
        ("lexicon", "  sea:", "  see:", "unknown topic 'sea'"),
    ],
)
def test_faults_are_named(tmp_path: Path, where: str, old: str, new: str, message: str) -> None:
    texts = {"grammar": GRAMMAR, "lexicon": LEXICON}
    assert old in texts[where]
    texts[where] = texts[where].replace(old, new)
    with pytest.raises(BenchError, match=message) as caught:
        load_grammar("less", write(tmp_path, **texts))
    assert str(tmp_path) in str(caught.value)


def test_unknown_size(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="did you mean 'less'"):
        load_grammar("lesser", write(tmp_path))


@pytest.mark.parametrize(
    ("kind", "word", "forms"),
    [
        ("noun", "box", ["box", "boxes"]),
        ("noun", "city", ["city", "cities"]),
        ("verb", "bake", ["bake", "bakes", "baked", "baking"]),
        ("verb", "fry", ["fry", "fries", "fried", "frying"]),
        ("verb", "hum", ["hum", "hums", "hummed", "humming"]),
        ("verb", "clean", ["clean", "cleans", "cleaned", "cleaning"]),
        ("invariant", "cut", ["cut", "cuts", "cutting"]),
    ],
)
def test_inflection(kind: str, word: str, forms: list[str]) -> None:
    assert [rule(word) for rule in INFLECTIONS[kind].values()] == forms


def test_articles_are_one_to_one() -> None:
    lexemes = ["a", "old", "man", "found", "a", "apple"]
    surface = with_articles(lexemes)
    assert surface == ["an", "old", "man", "found", "an", "apple"]
    assert without_articles(surface) == lexemes
    assert without_articles(lexemes) is None
