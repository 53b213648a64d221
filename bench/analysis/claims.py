"""The claims of a paper, each tested by its predicate on what was measured, by one rule for all.

A claim falls into findings: one difference each, on one corpus. With two seeds or more a finding holds if the
95 % interval lies on the claimed side, does not hold if it lies on the other, and is undecided if it reaches
over; with one seed it is undecided, since texts do not show the spread over seeds. The shape of a curve takes three
seeds: how far a maximum exceeds the start is never negative, and Student's t over two such numbers means little. A
claim holds if all of its findings on the corpora of which it speaks do, and does not hold if one does not, corrected
for their number; findings on other corpora are shown beside them and decide nothing. How many comparisons lie on the
claimed side is told beside the verdict.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from bench.analysis.compare import PAPER_TIER
from bench.analysis.findings import MEANINGS, Finding, Share, Word, corrected, decide, share_of, together
from bench.analysis.numbers import MINUS, metric_name
from bench.analysis.pairs import Contrast, Pairing, Setting, of_differences, term_of
from bench.analysis.shapes import shape_findings
from bench.analysis.statistics import Values
from bench.catalog.catalog import Catalog
from bench.catalog.claims import Beyond, Claim, Differences, Interaction, Near, Sensitivity, Trend
from bench.catalog.quantities import Pair, Quantity
from bench.store.records import Source


@dataclass(frozen=True)
class Ruling:
    """A claim judged by the runs of one origin and tier."""

    source: Source
    findings: tuple[Finding, ...]

    @property
    def word(self) -> Word:
        """The verdict, from the corpora of which the claim speaks; no other corpus decides it."""
        return together(corrected([finding for finding in self.findings if finding.decides]))

    @property
    def budget(self) -> str:
        """What a verdict at less than the paper's own budget has to say of itself; nothing at that budget."""
        tier = self.source[1]
        return "" if tier == PAPER_TIER else f"at the budget of the tier {tier}, not the paper's"

    @property
    def beside(self) -> frozenset[str]:
        """The corpora of which the claim does not speak."""
        return frozenset(finding.corpus for finding in self.findings if not finding.decides)

    @property
    def counted(self) -> tuple[Finding, ...]:
        """The findings that decide; where none of them was measured, all."""
        deciding = tuple(finding for finding in self.findings if finding.decides)
        return deciding if together(f.word for f in deciding) != "not run" else self.findings

    @property
    def counts(self) -> dict[Word, int]:
        """How many findings have each verdict."""
        found = Counter(finding.word for finding in self.counted)
        return {word: found[word] for word in MEANINGS if found[word]}

    @property
    def effect(self) -> str:
        """The difference on which the claim rests; of several, how many there are by their verdict."""
        if len(self.counted) == 1:
            return self.counted[0].effect
        counts = ", ".join(f"{number} {word}" for word, number in self.counts.items())
        towards, against = self.leans
        leans = f" ({towards} towards, {against} against)" if towards or against else ""
        share = f"; {self.share}" if self.share else ""
        return f"{len(self.counted)} differences: {counts}{leans}{share}"

    @property
    def leans(self) -> tuple[int, int]:
        """How many undecided findings lean towards the claim, and how many against it."""
        leans = [f.leans for f in self.counted if f.word == "undecided"]
        return leans.count(True), leans.count(False)

    @property
    def corpora(self) -> dict[str, Word]:
        """The verdict of each corpus alone."""
        names = dict.fromkeys(finding.corpus for finding in self.findings)
        return {name: together(corrected([f for f in self.findings if f.corpus == name])) for name in names}

    @property
    def share(self) -> Share | None:
        """The share of comparisons on the claimed side; None for fewer than two, and where none decides."""
        return None if self.word == "not run" else share_of(self.counted)

    @property
    def failing(self) -> tuple[str, ...]:
        """The differences that refute the claim, each with its effect."""
        pairs = zip(self.counted, corrected(self.counted), strict=True)
        return tuple(
            f"{finding.what}: {finding.effect}" for finding, word in pairs if word == "does not hold"
        )

    @property
    def seeds(self) -> str:
        """How many seeds the findings rest on: ``1`` or ``1 to 3``."""
        found = sorted({f.difference.seeds for f in self.counted if f.difference})
        return " to ".join(dict.fromkeys((str(found[0]), str(found[-1])))) if found else ""


@dataclass(frozen=True)
class Judged:
    """A claim with its rulings, that of the most expensive tier first; none where nothing was run.

    A ruling whose word is ``not run`` has differences on other corpora than those of which the claim speaks.
    """

    key: str
    claim: Claim
    systems: tuple[str, ...]
    rulings: tuple[Ruling, ...]

    @property
    def tested(self) -> tuple[Ruling, ...]:
        """The rulings by runs on a corpus of which the claim speaks."""
        return tuple(ruling for ruling in self.rulings if ruling.word != "not run")

    @property
    def word(self) -> Word:
        """The verdict of the most expensive tier that tests it."""
        return self.tested[0].word if self.tested else "not run"


def judge_claims(catalog: Catalog, paper: str, pairings: Mapping[Setting, Pairing]) -> list[Judged]:
    """Every claim of a paper, for each source of ``pairings`` that has something to say about it."""
    sources: dict[Source, dict[str, Pairing]] = {}
    for (origin, tier, _, corpus), pairing in pairings.items():
        sources.setdefault((origin, tier), {})[corpus] = pairing
    judged = []
    for key, claim in catalog.paper(paper).claims.items():
        rulings = []
        for source, by_corpus in sources.items():
            ruling = Ruling(source, tuple(_findings(catalog, paper, claim, by_corpus)))
            if any(finding.word != "not run" for finding in ruling.findings):
                rulings.append(ruling)
        judged.append(Judged(key, claim, tuple(_systems(catalog, paper, claim)), tuple(rulings)))
    return judged


def _systems(catalog: Catalog, paper: str, claim: Claim) -> list[str]:
    """All systems that a claim speaks of, each once."""
    of_table = (system for pair in _pairs(catalog, paper, claim) for system in pair)
    return list(dict.fromkeys((*claim.named(), *of_table)))


def _pairs(catalog: Catalog, paper: str, claim: Claim) -> Sequence[Pair]:
    if claim.differences is None:
        return ()
    table = next((t for t in catalog.paper(paper).tables if t.id == claim.differences.table), None)
    return claim.differences.pairs if table is None else catalog.pairs(paper, table)


def _printed(catalog: Catalog, paper: str, claim: Claim) -> Sequence[str]:
    """The paper's corpora but those on which it prints none of the systems that a claim speaks of."""
    declared, systems = catalog.paper(paper), set(_systems(catalog, paper, claim))
    tables = [table for table in declared.tables if systems & {row.system for row in table.rows}]
    known = {corpus for table in tables for corpus in table.corpora}
    return [corpus for corpus in declared.corpora if corpus in known] or declared.corpora


def _findings(
    catalog: Catalog, paper: str, claim: Claim, pairings: Mapping[str, Pairing]
) -> Iterator[Finding]:
    """The findings on each corpus of which the claim speaks, whether it was run or not.

    A claim about all corpora of the paper is also shown, where measured, on others, which decide nothing.
    """
    declared, pairs = catalog.paper(paper), _pairs(catalog, paper, claim)
    table = next((t for t in declared.tables if claim.differences and t.id == claim.differences.table), None)
    spoken_of = claim.corpora or (table.corpora if table else _printed(catalog, paper, claim))
    for corpus in spoken_of:
        if (pairing := pairings.get(corpus)) is not None:
            yield from findings_on(claim, pairing, pairs)
        else:
            systems = tuple(_systems(catalog, paper, claim))
            yield Finding(corpus, "all of it", "not run", "no run on this corpus", systems)
    for corpus, pairing in pairings.items() if claim.corpora is None else ():
        if corpus not in spoken_of:
            measured = (f for f in findings_on(claim, pairing, pairs) if f.word != "not run")
            yield from (replace(found, decides=False) for found in measured)


def findings_on(claim: Claim, pairing: Pairing, pairs: Sequence[Pair] = ()) -> Iterator[Finding]:
    """The findings of a claim on one corpus; ``pairs`` stand for the table of its differences."""
    if claim.differences:
        yield from _differences(claim.differences, pairing, pairs or claim.differences.pairs)
    if claim.trend:
        yield from _trend(claim.trend, pairing)
    if claim.sensitivity:
        yield _sensitivity(claim.sensitivity, pairing)
    if claim.interaction:
        yield from _interaction(claim.interaction, pairing)
    if claim.near:
        yield from _near(claim.near, pairing)
    if claim.beyond:
        yield from _beyond(claim.beyond, pairing)
    for shape in claim.shapes:
        yield from shape_findings(shape, pairing)


def _finding(pairing: Pairing, contrast: Contrast, what: str, above: bool | None) -> Finding:
    systems = tuple(dict.fromkeys(term.system for term in contrast.terms))
    if contrast.difference is None:
        return Finding(pairing.corpus, what, "not run", contrast.reason, systems)
    decision = decide(contrast.difference, above)
    return Finding(
        pairing.corpus,
        what,
        **vars(decision),
        systems=systems,
        difference=contrast.difference,
        unit=contrast.unit,
        estimator=contrast.estimator,
        files=contrast.files,
        witness=(pairing.corpus, *pairing.witness(systems)),
    )


def _differences(asked: Differences, pairing: Pairing, pairs: Sequence[Pair]) -> Iterator[Finding]:
    for baseline, other in pairs:
        for quantity in asked.metrics:
            yield _step(pairing, baseline, other, quantity, asked.direction == "higher", asked.against)


def _step(
    pairing: Pairing,
    baseline: str,
    other: str,
    quantity: Quantity,
    higher: bool,
    against: Quantity | None = None,
) -> Finding:
    first = against or quantity
    terms = [
        term_of(baseline, first),
        term_of(other, quantity),
    ]
    names = [metric_name(quantity.name)] if against is None else [metric_name(t.name) for t in terms[::-1]]
    what = f"{_minus(pairing, baseline, other)}: {f' {MINUS} '.join(names)}"
    return _finding(pairing, pairing.contrast(terms), what, higher)


def _minus(pairing: Pairing, baseline: str, other: str) -> str:
    return f"{pairing.title(other)} {MINUS} {pairing.title(baseline)}"


def _trend(asked: Trend, pairing: Pairing) -> Iterator[Finding]:
    for chain in asked.chains:
        for baseline, other in pairwise(chain):
            for quantity in asked.metrics:
                yield _step(pairing, baseline, other, quantity, asked.direction == "higher")


def _sensitivity(asked: Sensitivity, pairing: Pairing) -> Finding:
    terms = [term_of(s, asked.metric) for s in (*asked.more, *asked.less)]
    split = len(asked.more)

    def ranges(values: Values) -> Values:
        more, less = np.ptp(values[:split], axis=0), np.ptp(values[split:], axis=0)
        return np.asarray(more - less, dtype=np.float64)

    named = [", ".join(map(pairing.title, systems)) for systems in (asked.more, asked.less)]
    what = f"range of {metric_name(asked.metric.name)} over {named[0]} {MINUS} range over {named[1]}"
    return _finding(pairing, pairing.contrast(terms, ranges), what, True)


def _interaction(asked: Interaction, pairing: Pairing) -> Iterator[Finding]:
    for pair in asked.others:
        terms = [term_of(system, asked.metric) for system in (*asked.first, *pair)]
        first, other = (_minus(pairing, *compared) for compared in (asked.first, pair))
        what = f"{metric_name(asked.metric.name)}: ({first}) {MINUS} ({other})"
        yield _finding(pairing, pairing.contrast(terms, of_differences), what, None)


def _near(asked: Near, pairing: Pairing) -> Iterator[Finding]:
    """The tolerance minus the distance, by seed: seeds on both sides of the number do not make up for each other."""
    for system, number in asked.numbers.items():

        def left(values: Values, number: float = number) -> Values:
            return np.asarray(asked.within - np.abs(values[0] - number), dtype=np.float64)

        distance = f"|{metric_name(asked.metric.name)} {MINUS} {number:g}|"
        what = f"{pairing.title(system)}: {asked.within:g} {MINUS} {distance}"
        yield _finding(pairing, pairing.contrast([term_of(system, asked.metric)], left), what, True)


def _beyond(asked: Beyond, pairing: Pairing) -> Iterator[Finding]:
    for system, number in asked.numbers.items():

        def above(values: Values, number: float = number) -> Values:
            return np.asarray(values[0] - number, dtype=np.float64)

        what = f"{pairing.title(system)}: {metric_name(asked.metric.name)} {MINUS} {number:g}"
        contrast = pairing.contrast([term_of(system, asked.metric)], above)
        yield _finding(pairing, contrast, what, asked.direction == "higher")


COLUMNS = ("claim", "where", "statement", "verdict")  # of every row of the ledger


def rows_of(judged: Sequence[Judged]) -> Iterator[dict[str, object]]:
    """The ledger as rows: one per finding, or one for a claim that nothing tests."""
    for claim in judged:
        about: dict[str, object] = {
            "claim": claim.key,
            "where": claim.claim.where,
            "statement": claim.claim.statement,
        }
        if not claim.rulings:
            yield about | {"verdict": claim.word}
        for ruling in claim.rulings:
            source = {
                "origin": ruling.source[0],
                "tier": ruling.source[1],
                "verdict": ruling.word,
                "budget": ruling.budget,
                "share": str(ruling.share or ""),
            }
            for finding in ruling.findings:
                yield about | source | _row(finding)


def _row(finding: Finding) -> dict[str, object]:
    d = finding.difference
    return {
        "corpus": finding.corpus,
        "decides": finding.decides,
        "what": finding.what,
        "finding": finding.word,
        "reason": finding.reason,
        "effect": d.mean if d else None,
        "low": d.low if d else None,
        "high": d.high if d else None,
        "p": finding.p,
        "unit": finding.unit,
        "seeds": d.seeds if d else 0,
        "by_seed": d.by_seed if d else (),
        "texts": d.texts if d else None,
        "estimator": finding.estimator,
        "files": finding.files,
    }
