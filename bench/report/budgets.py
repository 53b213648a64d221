"""What was spent: the steps that runs made, and the claims of all papers, each by its largest budget."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench.analysis.answers import Answer, answers
from bench.analysis.compare import PAPER_TIER
from bench.analysis.numbers import count
from bench.report.context import Material
from bench.store.records import RunRecord, Source


@dataclass(frozen=True)
class InShort:
    """The claims of all papers, each counted once: by the largest budget at which it was tested.

    ``papers`` and ``claims`` count them; ``budgets`` says how many claims each (source, steps) tests; ``lacks`` of how
    many of the undecided ones each thing would be needed; ``at_the_papers`` whether any budget is a paper's own.
    """

    papers: int
    claims: int
    holds: int
    fails: int
    undecided: int
    budgets: Sequence[tuple[Source, str, int]]
    lacks: Counter[str]
    at_the_papers: bool

    @property
    def untested(self) -> int:
        """Claims that no run tests."""
        return self.claims - self.holds - self.fails - self.undecided


def in_short(material: Material) -> InShort:
    """The answer of the whole report in numbers."""
    largest = [
        replace(claim, rulings=claim.tested[:1])
        for paper in material.papers
        for claim in material.claims[paper]
    ]
    found = answers(largest)
    found.sort(key=lambda answer: material.cost((*answer.source, "", "")))
    decided = Counter({word: sum(len(a.decided[word]) for a in found) for word in ("holds", "does not hold")})
    return InShort(
        papers=len(material.papers),
        claims=len(largest),
        holds=decided["holds"],
        fails=decided["does not hold"],
        undecided=sum(answer.open for answer in found),
        budgets=[(a.source, steps_of(material, a.source), _tested(a)) for a in found],
        lacks=sum((Counter(answer.lacks) for answer in found), Counter()),
        at_the_papers=any(answer.source[1] == PAPER_TIER for answer in found),
    )


def _tested(answer: Answer) -> int:
    return sum(map(len, answer.decided.values())) + answer.open


def steps_of(material: Material, source: Source, paper: str = "") -> str:
    """What the finished runs of a source spent, of one paper or of all: ``700 to 3 000 steps, 5 % of a paper's``."""
    tier = source[1]
    runs = [run for run in material.records.runs if (run.origin, run.parts[0]) == source]
    found = steps([run for run in runs if paper in ("", run.parts[1])])
    known = tier in material.catalog.tiers.tiers
    papers = {run.parts[1] for run in runs if known and paper in ("", run.parts[1])}
    scales = {material.catalog.budget(tier, one).scale for one in papers & material.catalog.papers.keys()}
    if not found or scales in (set(), {1.0}):
        return found
    shares = dict.fromkeys(f"{100 * scale:.3g}" for scale in (min(scales), max(scales)))
    return f"{found}, {' to '.join(shares)} % of a paper's own"


def steps(runs: Sequence[RunRecord]) -> str:
    """The fewest and the most steps of those that finished; empty where none says."""
    found = sorted(
        {int(run.run["steps"]) for run in runs if run.state == "finished" and run.run.get("steps")}
    )
    return " to ".join(dict.fromkeys(map(count, (found[0], found[-1])))) + " steps" if found else ""
