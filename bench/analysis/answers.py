"""The first answer of the report, per paper: what was decided, what leans which way, what would decide it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.analysis.claims import Judged, Ruling
from bench.analysis.compare import PAPER_TIER
from bench.analysis.findings import SEEDS, corrected
from bench.store.records import Source

LACKS = ("systems or corpora that were not run", "a second seed", "more seeds or texts")


@dataclass(frozen=True)
class Answer:
    """What the runs of one source (origin and tier) say of a paper's claims.

    ``decided`` and ``leaning`` hold claims in the ledger's order, by word and by side, which is neither where
    differences lie on both; ``open`` counts the undecided ones; ``lacks`` says of how many of those each thing would
    be needed.
    """

    source: Source
    decided: Mapping[str, Sequence[Judged]]
    leaning: Mapping[str, Sequence[Judged]]
    open: int
    untested: int
    lacks: Mapping[str, int]

    @property
    def budget(self) -> str:
        """The budget in words: claims of a paper are about its own."""
        tier = self.source[1]
        return "At the paper's own budget" if tier == PAPER_TIER else f"At the budget of the tier {tier}"


def answers(claims: Sequence[Judged]) -> list[Answer]:
    """One answer for each source that judges any of these claims, in the order of the rulings."""
    sources = dict.fromkeys(ruling.source for claim in claims for ruling in claim.tested)
    return [_answer(source, claims) for source in sources]


def _answer(source: Source, claims: Sequence[Judged]) -> Answer:
    ruled = [(claim, r) for claim in claims for r in claim.tested if r.source == source]
    waiting = [(claim, ruling) for claim, ruling in ruled if ruling.word == "undecided"]
    lacks = Counter(lack for _, ruling in waiting for lack in _lacks(ruling))
    return Answer(
        source,
        {word: [c for c, r in ruled if r.word == word] for word in ("holds", "does not hold")},
        {side: [c for c, r in waiting if _side(r) == side] for side in ("towards", "against", "neither")},
        len(waiting),
        len(claims) - len(ruled),
        {lack: lacks[lack] for lack in LACKS if lacks[lack]},
    )


def _side(ruling: Ruling) -> str:
    """The side of every measured difference that decides; neither where they disagree or have no side."""
    leans = {f.leans for f in ruling.counted if f.word != "not run"}
    return "towards" if leans == {True} else "against" if leans == {False} else "neither"


def _lacks(ruling: Ruling) -> set[str]:
    """What the differences that decide nothing yet would need."""
    found = set()
    deciding = [finding for finding in ruling.findings if finding.decides]
    for finding, word in zip(deciding, corrected(deciding), strict=True):
        if word == "not run":
            found.add(LACKS[0])
        elif word == "undecided":
            few = finding.difference is not None and finding.difference.seeds < SEEDS
            found.add(LACKS[1] if few else LACKS[2])
    return found
