"""Systems against a corpus whose entropy and attributes are known exactly: what a demo shows, in rows and sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bench.analysis.compare import EXCESS
from bench.analysis.findings import SEEDS
from bench.analysis.numbers import fixed
from bench.analysis.pairs import MeasuredTerm, Pairing

UNUSED = 0.1  # nats: a code that tells less of its text is called unused
ATTRIBUTE, KL, MI = "attribute_information", "kl", "mi"  # the first of each attribute, on generated corpora
NAMED = 3  # systems that a sentence names
NOTHING = 0.005  # nats that are shown as 0.00
ESTIMATED = "monte-carlo"  # of a KL without a closed form


@dataclass(frozen=True)
class SystemMeans:
    """One system, its means over seeds; null is what it does not have.

    ``excess``: NLL above the entropy, ``kl``, ``mi``, the mutual information of code and text, and ``told``, that of a
    code about the known attributes, summed over them, in nats per text; ``bleu``: BLEU-2 of its reconstructions.
    """

    paper: str
    system: str
    title: str
    seeds: int
    excess: float | None
    kl: float | None
    mi: float | None
    told: float | None
    bleu: float | None


@dataclass(frozen=True)
class Known:
    """What the runs of one tier show on one corpus; ``carried`` is what the texts tell of their attributes, in nats."""

    tier: str
    corpus: str
    entropy: float
    carried: float
    rows: tuple[SystemMeans, ...]
    sentences: tuple[str, ...]


def known(exact: Mapping[str, Any], pairings: Sequence[Pairing]) -> Known:
    """What the runs of one tier on one corpus show; ``exact`` are the facts of that corpus, one pairing is a paper."""
    _, tier, _, corpus = pairings[0].setting
    rows = _told_apart([_means(p, system) for p in pairings for system in p.runs], pairings)
    carried = sum(facts["information"] for facts in exact.get("attributes", {}).values())
    said = [_limit(exact, carried), *_use(rows), *_apart(pairings), *_told(rows, carried), *_nearest(rows)]
    return Known(tier, corpus, float(exact["entropy"]), carried, tuple(rows), tuple(said))


def _means(pairing: Pairing, system: str) -> SystemMeans:
    runs = pairing.runs[system]

    def mean(metric: str, part: str | None = None, estimator: str | None = None) -> float | None:
        found = [
            float(m.value) for r in runs if (m := r.find(metric, estimator, part)) and m.value is not None
        ]
        return float(np.mean(found)) if found else None

    parts = dict.fromkeys(m.part for run in runs for m in run.measurements if m.metric == ATTRIBUTE)
    # Each is too high in expectation, so that the least is the nearest to the truth.
    excess = [value for one in (None, "defensive") if (value := mean(EXCESS, estimator=one)) is not None]
    told = [max(value, 0.0) for part in parts if (value := mean(ATTRIBUTE, part)) is not None]
    return SystemMeans(
        pairing.setting[2],
        system,
        pairing.title(system),
        len(runs),
        min(excess, default=None),
        mean(KL) if mean(KL) is not None else mean(KL, estimator=ESTIMATED),
        mean(MI),
        sum(told) if told else None,
        mean("bleu2"),
    )


def _told_apart(rows: Sequence[SystemMeans], pairings: Sequence[Pairing]) -> list[SystemMeans]:
    """The rows, where a title stands for systems of several papers with the short name of the paper behind it."""
    papers = {pairing.setting[2]: pairing.paper.short for pairing in pairings}
    count = Counter(row.title for row in rows)
    return [
        replace(row, title=f"{row.title} ({papers[row.paper]})") if count[row.title] > 1 else row
        for row in rows
    ]


def _limit(exact: Mapping[str, Any], carried: float) -> str:
    names = list(exact.get("attributes", {}))
    about = f", and carries {fixed(carried, 1)} nats about its {_listed(names)}" if names else ""
    given = exact.get("conditional_entropy")
    lowest = (
        "the lowest NLL that any model can reach"
        if given is None
        else (f"and of {fixed(given, 2)} nats given what it answers, below which no NLL can be")
    )
    return f"A sentence of this corpus has an entropy of {fixed(exact['entropy'], 2)} nats, {lowest}{about}."


def _use(rows: Sequence[SystemMeans]) -> list[str]:
    """Which codes tell their texts apart; a KL alone may be that of all codes together, and tell nothing."""
    codes = sorted((row for row in rows if row.mi is not None), key=lambda row: -(row.mi or 0.0))
    used = [f"{row.title} ({_of_kl(row)})" for row in codes if (row.mi or 0.0) >= UNUSED]
    unused = [f"{row.title} ({_of_kl(row)})" for row in codes if (row.mi or 0.0) < UNUSED]
    said = []
    if used:
        said.append(f"Mutual information of code and text, of the KL in nats: {_listed(used)}.")
    if unused:
        said.append(f"Less than {UNUSED} nats, so that the code is hardly used: {_listed(unused)}.")
    return said


def _of_kl(row: SystemMeans) -> str:
    told = fixed(row.mi, 2)
    return told if row.kl is None else f"{told} of {fixed(row.kl, 2)}"


def _apart(pairings: Sequence[Pairing]) -> Iterator[str]:
    """By how much systems differ in KL from the first of their paper that has one, on the same texts."""
    for pairing in pairings:
        measured = [name for name, runs in pairing.runs.items() if any(pairing.find(run, KL) for run in runs)]
        reference, *others = measured or [""]
        apart: list[str] = []
        alike: list[str] = []
        single: list[str] = []
        for system in others:
            found = pairing.contrast([MeasuredTerm(reference, KL), MeasuredTerm(system, KL)])
            if (change := found.difference) is not None and change.low is not None:
                said = f"{pairing.title(system)} {found.effect}"
                (single if change.seeds < SEEDS else apart if change.excludes_zero else alike).append(said)
        name = pairing.title(reference)
        if apart:
            yield f"Told apart from {name} by their KL, on the same texts: {'; '.join(apart)}."
        if alike:
            yield f"Not told apart from {name} by their KL: {'; '.join(alike)}."
        if single:
            yield f"KL beside that of {name}, by one seed each, which tells runs apart alone: {'; '.join(single)}."


def _told(rows: Sequence[SystemMeans], carried: float) -> list[str]:
    told = sorted((row for row in rows if row.told is not None), key=lambda row: -(row.told or 0.0))
    if not told or not carried:
        return []
    named = [f"{row.title} {fixed(row.told, 2)}" for row in told[:NAMED]]
    nothing = sum((row.told or 0.0) < NOTHING for row in told)
    least = f"; nothing that was measurable in {nothing} of {len(told)} systems" if nothing else ""
    return [f"Of those {fixed(carried, 1)} nats the code tells most in {_listed(named)}{least}."]


def _nearest(rows: Sequence[SystemMeans]) -> list[str]:
    found = sorted((row for row in rows if row.excess is not None), key=lambda row: row.excess or 0.0)
    if not found:
        return []
    first, last = found[0], found[-1]
    rest = f", furthest from it {last.title} at {fixed(last.excess, 2)}" if last is not first else ""
    sizes = (
        " Sizes, rates and steps are those of each protocol." if len({row.paper for row in rows}) > 1 else ""
    )
    return [f"Nearest to the entropy is {first.title}, {fixed(first.excess, 2)} nats above it{rest}.{sizes}"]


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
