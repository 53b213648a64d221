"""Generated pairs and styles: their exact information against enumeration and against samples."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.base.errors import BenchError
from bench.base.text_rules import TextRules
from bench.corpora.entries import load_corpora
from bench.corpora.generated import (
    _plan_frame,
    exact_facts,
    exact_pair_facts,
    exact_style_facts,
    generate_pairs,
    generate_styles,
    sample_pairs,
)
from bench.corpora.grammar import exact, pairs
from bench.corpora.grammar.declare import load_grammar
from bench.corpora.grammar.machine import Machine
from bench.corpora.grammar.score import score
from bench.corpora.grammar.tables import marginal
from bench.corpora.prepare import prepare
from bench.corpora.prepared import Prepared
from tests.corpora.test_generated import close
from tests.corpora.test_grammar import GRAMMAR, every_sentence, write

KEPT = [{}, {"topic": 1.0}, {"number": 0.7}, {"topic": 0.6, "number": 0.9, "pace": 0.3}]


@pytest.mark.parametrize("keep", KEPT)
def test_information_by_enumeration_of_all_pairs(tmp_path: Path, keep: dict[str, float]) -> None:
    """P(U, R) from the channel written out value by value, over every pair of sentences."""
    grammar = load_grammar("less", write(tmp_path))
    table = np.array(list(every_sentence(grammar).values()))  # P(sentence, structure, topic)
    marginals = [*(np.array(p) for p in ([0.6, 0.4], [0.25, 0.75])), grammar.topic_prior]
    names = ["number", "pace", "topic"]
    kernels = [
        [[keep.get(n, 0.0) * (a == b) + (1 - keep.get(n, 0.0)) * p[b] for b in range(2)] for a in range(2)]
        for n, p in zip(names, marginals, strict=True)
    ]
    joint = table.reshape(len(table), 2, 2, 2)
    given = joint / np.einsum("a,b,c->abc", *marginals)  # P(sentence | plan)
    both = np.einsum("uabc,ax,by,cz,rxyz->ur", joint, *kernels, given, optimize=True)
    assert both.sum() == pytest.approx(1, abs=1e-12)
    alone = table.sum(axis=(1, 2))
    np.testing.assert_allclose(both.sum(axis=0), alone, atol=1e-12)  # a reply alone is a sentence
    possible = both > 0
    expected = (both[possible] * np.log((both / np.outer(alone, alone))[possible])).sum()
    expectations, skeleton, beliefs = exact.analysed(Machine(grammar))
    found = pairs.information(grammar, beliefs, expectations, keep)
    assert found == pytest.approx(expected, abs=1e-10)
    facts = pairs.pair_facts(exact.facts_of(grammar, expectations, skeleton, beliefs), found)
    by_chain = -(both[possible] * np.log((both / alone[:, None])[possible])).sum()
    assert facts["conditional_entropy"] == pytest.approx(by_chain, abs=1e-10)


@pytest.mark.parametrize(("size", "count"), [("tiny", 3_000), ("small", 1_500)])
def test_pairs_agree_with_their_exact_facts(size: str, count: int) -> None:
    grammar = load_grammar(size)
    machine, facts = Machine(grammar), exact_pair_facts(size)
    said, utterances, plans, replies = sample_pairs(size, count, seed=3)
    scores = score(machine, utterances), score(machine, replies)
    ratio = pairs.log_ratio(grammar, grammar.replies, *scores)
    assert close(ratio, facts["information"])
    assert close(-(scores[1].log_probability + ratio), facts["conditional_entropy"])
    assert {key: facts[key] for key in exact_facts(size)} == exact_facts(size)
    for name, keep in grammar.replies.items():
        frames = _plan_frame(grammar, said), _plan_frame(grammar, plans)
        prior = grammar.topic_prior if name == "topic" else marginal(grammar, grammar.prior, name)
        same = (frames[0][name] == frames[1][name]).to_numpy(dtype=float)
        assert close(same, keep + (1 - keep) * float((prior**2).sum())), name


def test_the_corpus_of_pairs() -> None:
    corpus = generate_pairs("tiny")
    for split, replies in corpus.splits.items():
        frame = corpus.attributes[split]
        assert len(frame) == len(replies) == len(corpus.contexts[split])
        assert list(frame)[:2] == ["log_probability", "conditional_log_probability"]
        assert {"context_log_probability", "context_topic", "context_tense"} <= set(frame)
        assert np.isfinite(frame["conditional_log_probability"]).all()
    assert corpus.exact == exact_pair_facts("tiny")
    assert 0.5 < corpus.exact["information"] < corpus.exact["entropy"]


def test_styles_are_known_and_so_is_what_a_text_tells_of_them() -> None:
    corpus = generate_styles("tiny")
    facts = exact_style_facts("tiny")
    assert corpus.exact == facts
    style = facts["attributes"]["style"]
    assert style["entropy"] == pytest.approx(np.log(2))
    assert "sentiment" not in facts["attributes"]
    assert facts["conditional_entropy"] == pytest.approx(facts["entropy"] - style["information"])
    machine = Machine(load_grammar("tiny", styled=True))
    sentences = corpus.splits["train"]
    values = list(machine.grammar.attributes["sentiment"])
    held = [values.index(value) for value in corpus.styles["train"]]
    scores = score(machine, sentences)
    gained = np.log(scores.posterior["sentiment"][np.arange(len(held)), held]) + np.log(2)
    assert close(gained, style["information"])
    assert close(-scores.log_probability, facts["entropy"])
    np.testing.assert_array_equal(corpus.attributes["train"]["log_probability"], scores.log_probability)
    assert "sentiment" not in corpus.attributes["train"]


@pytest.mark.parametrize("name", ["generated-pairs-tiny", "generated-styles-tiny"])
def test_they_are_prepared_at_once_and_the_same_every_time(tmp_path: Path, name: str) -> None:
    entry = load_corpora()[name]
    began = time.process_time()
    hashes = {prepare(entry, {}, TextRules(), tmp_path / str(i))["data_hash"] for i in range(2)}
    assert time.process_time() - began < 5
    assert len(hashes) == 1
    corpus = Prepared.load(tmp_path / "0")
    assert (len(corpus.splits["train"]), corpus.exact is not None) == (600, True)
    attributes = corpus.attributes("test")
    assert attributes is not None
    assert corpus.exact is not None
    assert set(corpus.exact["attributes"]) <= set(attributes)  # what a code tells of them is measured


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("rules:\n", "replies: {paces: 1}\nrules:\n", "unknown attribute 'paces'"),
        ("rules:\n", "replies: {pace: 1.5}\nrules:\n", "replies.pace is 1.5"),
        ("rules:\n", "style: {attribute: paces}\nrules:\n", "unknown attribute 'paces'"),
    ],
)
def test_wrong_declarations(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(BenchError, match=said):
        load_grammar("more", write(tmp_path, GRAMMAR.replace(old, new, 1)), styled=True)


def test_conditional_information_never_exceeds_what_the_plan_tells() -> None:
    facts: dict[str, Any] = exact_pair_facts("tiny")
    assert facts["information"] < facts["joint"]["information"]
