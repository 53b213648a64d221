"""What the first screen says of a paper's claims."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bench.analysis.answers import LACKS, answers
from bench.analysis.claims import Judged, Ruling
from bench.analysis.findings import Finding, Word
from bench.analysis.statistics import Difference


def finding(word: Word, leans: bool | None = None, seeds: int = 0, p: float | None = None) -> Finding:
    found = Difference((0.1,) * seeds, -1.0, 1.0, None) if seeds else None
    return Finding("ptb", "nll of b less that of a", word, "", ("a", "b"), leans, difference=found, p=p)


def claim(key: str, *findings: Finding) -> Judged:
    ruling = Ruling(("own", "paper"), findings)
    about: Any = None
    return Judged(key, about, ("a", "b"), (ruling,) if findings else ())


def test_an_answer_says_what_is_decided_what_leans_and_what_would_decide() -> None:
    told = answers(
        [
            claim("yes", finding("holds", True, 3)),
            claim("no", finding("does not hold", False, 3), finding("not run")),
            claim("few", finding("undecided", True, 1), finding("not run")),
            claim("wide", finding("undecided", False, 4)),
            claim("mixed", finding("undecided", True, 4), finding("undecided", False, 4)),
            claim("chance", finding("does not hold", False, 3, 0.04), finding("holds", True, 3, 0.04)),
            claim("untested"),
        ]
    )
    assert [answer.source for answer in told] == [("own", "paper")]
    (answer,) = told
    assert {word: [c.key for c in found] for word, found in answer.decided.items()} == {
        "holds": ["yes"],
        "does not hold": ["no"],
    }
    assert {side: [c.key for c in found] for side, found in answer.leaning.items()} == {
        "towards": ["few"],
        "against": ["wide"],
        "neither": ["mixed", "chance"],
    }
    assert (answer.open, answer.untested) == (4, 1)
    assert dict(answer.lacks) == {LACKS[0]: 1, LACKS[1]: 1, LACKS[2]: 3}
    assert "own budget" in answer.budget


def test_no_runs_no_answer() -> None:
    assert answers([claim("untested")]) == []


def test_what_was_measured_on_another_corpus_answers_nothing() -> None:
    """It stands in the ledger, and the verdict is that of a cheaper tier whose corpus the claim names."""
    beside = replace(finding("does not hold", False, 3, 0.01), decides=False)
    rulings = (
        Ruling(("own", "paper"), (finding("not run"), beside)),
        Ruling(("own", "quick"), (finding("holds", True, 3),)),
    )
    judged = replace(claim("elsewhere"), rulings=rulings)
    assert [ruling.word for ruling in rulings] == ["not run", "holds"]
    assert rulings[0].share is None
    assert judged.word == "holds"
    assert judged.tested == rulings[1:]
    assert [answer.source for answer in answers([judged])] == [("own", "quick")]
    assert replace(judged, rulings=rulings[:1]).word == "not run"


def test_a_refuted_claim_names_what_refutes_it() -> None:
    against, towards = finding("does not hold", False, 3, 0.001), finding("holds", True, 3, 0.9)
    (told,) = Ruling(("own", "paper"), (against, towards)).failing
    assert told == f"{against.what}: {against.effect}"
    assert Ruling(("own", "paper"), (towards,)).failing == ()
