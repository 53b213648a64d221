"""The report in a dozen lines of text, for a terminal: what is known, what was decided, how many runs are missing."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator

from bench.analysis.answers import answers
from bench.report.context import Material

WIDTH = 100


def summary(material: Material) -> str:
    """The lines of ``summary.txt``."""
    lines = [*_known(material), *_claims(material), *_runs(material)]
    wrapped = (textwrap.fill(line, WIDTH, subsequent_indent="  ") for line in lines)
    return "\n".join(wrapped) + "\n"


def _known(material: Material) -> Iterator[str]:
    for found in material.known:
        yield f"{material.corpus_title(found.corpus)}, tier {found.tier}:"
        yield from (f"- {sentence}" for sentence in found.sentences)


def _claims(material: Material) -> Iterator[str]:
    for name in material.papers:
        for answer in answers(material.claims[name]):
            if answer.source[0] == "own":
                held, failed = (len(answer.decided[word]) for word in ("holds", "does not hold"))
                yield (
                    f"{material.catalog.paper(name).short}: {held} of its claims hold at this budget, "
                    f"{failed} do not, {answer.open} are undecided."
                )


def _runs(material: Material) -> Iterator[str]:
    states = Counter(run.state for run in material.records.runs if run.origin == "own")
    if missing := {state: n for state, n in states.items() if state != "finished"}:
        yield "Runs without a result: " + ", ".join(f"{n} {state}" for state, n in missing.items()) + "."
