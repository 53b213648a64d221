"""Answers to the questions of the catalog: differences with their intervals, and sentences made from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.analysis.checks import value_cell
from bench.analysis.flips import printed_turning, turning
from bench.analysis.grids import GridCell
from bench.analysis.numbers import DASH, MINUS, fixed, metric_name
from bench.analysis.pairs import Contrast, Pairing, Setting, term_of
from bench.catalog.catalog import Catalog
from bench.catalog.papers import Paper
from bench.catalog.quantities import Pair, Quantity
from bench.catalog.questions import Asked, Compared, Question
from bench.catalog.reported import PrintedNumber

UNDECIDED = "Not told apart"
ONE_SEED = "With one seed that is of these runs, not of the systems."


@dataclass(frozen=True)
class PrintedDifference:
    """The printed numbers of a difference: of both systems, or of the one; none where one of them is not printed."""

    values: tuple[float, ...] = ()
    decimals: int = 0

    @property
    def change(self) -> float | None:
        """The second minus the first, of two systems."""
        return self.values[1] - self.values[0] if len(self.values) == 2 else None

    def __str__(self) -> str:
        texts = ", ".join(fixed(value, self.decimals) for value in self.values)
        return texts if self.change is None else f"{fixed(self.change, self.decimals, signed=True)} ({texts})"


@dataclass(frozen=True)
class AnswerLine:
    """One difference: of which systems, both numbers, what the paper printed, and what it comes to.

    ``samples``: of how many samples both numbers are, where the question asks what that decides.
    """

    who: str
    column: Compared
    first: GridCell
    second: GridCell
    printed: PrintedDifference
    contrast: Contrast
    samples: int | None

    @property
    def ran(self) -> bool:
        """Whether a run says anything of it: either number, or why there is no difference."""
        return self.first.number is not None or self.second.number is not None or bool(self.contrast.effect)

    @property
    def side(self) -> int:
        """1 or -1 where the interval lies above or below zero, else 0."""
        d = self.contrast.difference
        return 0 if d is None or not d.excludes_zero else 1 if d.mean > 0 else -1

    @property
    def label(self) -> str:
        """That of its column, with the number of samples where the question asks for it."""
        return self.column.label if self.samples is None else f"{self.column.label} ({self.samples})"

    @property
    def by_seed(self) -> str:
        """What two estimators differ by on each training of one system; nothing for two systems, or one seed."""
        d, terms = self.contrast.difference, self.contrast.terms
        if d is None or d.seeds < 2 or len({term.system for term in terms}) > 1:
            return ""
        return f"by seed {', '.join(fixed(value, 2, signed=True) for value in d.by_seed)}"

    @property
    def said(self) -> str:
        """The difference in words."""
        return f"{self.contrast.effect} ({self.by_seed})" if self.by_seed else self.contrast.effect

    @property
    def of_two_runs(self) -> bool:
        """Whether it is of two systems by a single seed, which cannot tell whether the systems differ."""
        d, terms = self.contrast.difference, self.contrast.terms
        return d is not None and d.seeds < 2 and len({term.system for term in terms}) > 1


@dataclass(frozen=True)
class AnswerGroup:
    """What the runs of one (origin, tier, paper, corpus) say.

    ``sentences``: one for each column. ``turns``: for each pair that was run, whether its order turns with the number
    of samples, where that is asked.
    """

    setting: Setting
    lines: tuple[AnswerLine, ...]
    sentences: tuple[str, ...]
    turns: tuple[str, ...]
    files: tuple[Path, ...]

    @property
    def first(self) -> str:
        """The sentence of the first column that was measured."""
        measured = {line.column.label for line in self.lines if line.contrast.effect}
        labels = dict.fromkeys(line.column.label for line in self.lines)
        said = dict(zip(labels, self.sentences, strict=True))
        return next((text for label, text in said.items() if label in measured), self.sentences[0])


@dataclass(frozen=True)
class OfPaper:
    """What one paper's runs say: groups, the most expensive tier first, and printed corpora without any."""

    asked: Asked
    groups: tuple[AnswerGroup, ...]
    unmeasured: tuple[str, ...]


@dataclass(frozen=True)
class Answered:
    """A question with all that is known of its answer."""

    key: str
    question: Question
    papers: tuple[OfPaper, ...]


def answered(catalog: Catalog, papers: Sequence[str], pairings: Mapping[Setting, Pairing]) -> list[Answered]:
    """The questions that any of these papers is asked, answered by all settings that hold both runs of a pair."""
    found = []
    for key, question in catalog.questions.items():
        asked = [one for one in question.asked if one.paper in papers]
        parts = tuple(_of_paper(catalog, question, one, pairings) for one in asked)
        found += [Answered(key, question, parts)] if parts else []
    return found


def _of_paper(
    catalog: Catalog, question: Question, asked: Asked, pairings: Mapping[Setting, Pairing]
) -> OfPaper:
    speaking = [
        pairing
        for pairing in pairings.values()
        if pairing.setting[2] == asked.paper
        and any(all(system in pairing.runs for system in pair) for pair in asked.pairs)
    ]
    groups = tuple(_group(question, asked, pairing) for pairing in speaking)
    ran = {group.setting[3] for group in groups}
    unmeasured = (corpus for corpus in _corpora(catalog.paper(asked.paper), asked) if corpus not in ran)
    return OfPaper(asked, groups, tuple(unmeasured))


def _corpora(paper: Paper, asked: Asked) -> list[str]:
    """Those on which the paper printed a number that is asked for."""
    named = [(s, name) for s in asked.systems for column in asked.columns for name in column.printed]
    return [c for c in paper.corpora if any(_reported(paper, *one, c) is not None for one in named)]


def _group(question: Question, asked: Asked, pairing: Pairing) -> AnswerGroup:
    lines = tuple(_line(*both, pairing) for both in asked.compared)
    labels = dict.fromkeys(line.column.label for line in lines)
    sentences = tuple(_sentence(question, label, lines) for label in labels)
    runs = [run for system in asked.systems for run in pairing.runs.get(system, ())]
    files = tuple(run.folder / "measurements.json" for run in runs)
    return AnswerGroup(pairing.setting, lines, sentences, tuple(_turns(lines)), files)


def _turns(lines: tuple[AnswerLine, ...]) -> Iterator[str]:
    """For each pair of which a run says anything, whether its order turns with the number of samples."""
    asked = [line for line in lines if line.column.samples]
    for who in dict.fromkeys(line.who for line in asked if line.ran):
        mine = [line for line in asked if line.who == who and line.samples and line.contrast.effect]
        # Of two columns with the same number of samples the first counts.
        sides = {line.samples: line.side for line in reversed(mine) if line.samples}
        said = turning(sides)
        parts = [f"{who}: {said}.", printed_turning(_changes(lines, who))]
        parts += [f" {ONE_SEED}"] if any(line.of_two_runs for line in mine) else []
        yield "".join(parts)


def _changes(lines: tuple[AnswerLine, ...], who: str) -> dict[str, tuple[float, int]]:
    """The printed differences of a pair with their decimals, by the names of their quantities."""
    return {
        metric_name(line.column.first.name): (line.printed.change, line.printed.decimals)
        for line in lines
        if line.who == who and line.printed.change is not None
    }


def _line(pair: Pair, column: Compared, pairing: Pairing) -> AnswerLine:
    first, second = pair
    names = list(dict.fromkeys(pairing.title(system) for system in (second, first)))
    return AnswerLine(
        f" {MINUS} ".join(names),
        column,
        _value(pairing, first, column.first),
        _value(pairing, second, column.second),
        _printed(pairing.paper, pair, column.printed, pairing.corpus),
        pairing.contrast([term_of(first, column.first), term_of(second, column.second)]),
        _samples(pair, column, pairing),
    )


def _value(pairing: Pairing, system: str, quantity: Quantity) -> GridCell:
    return value_cell(pairing, system, quantity) if system in pairing.runs else GridCell(DASH, None)


def _samples(pair: Pair, column: Compared, pairing: Pairing) -> int | None:
    """Of how many samples both numbers are; None where that is not asked, not known, or not one number."""
    if column.samples != "recorded":
        return 1 if column.samples == "one" else None
    both = zip(pair, (column.first, column.second), strict=True)
    found = {
        measured.samples
        for system, quantity in both
        for run in pairing.runs.get(system, ())
        if (measured := pairing.find(run, quantity.metric, quantity.estimator, quantity.part)) is not None
    }
    return found.pop() if len(found) == 1 else None


def _printed(paper: Paper, pair: Pair, metrics: Sequence[str], corpus: str) -> PrintedDifference:
    """The printed sums of these columns, of the first system, and of two systems of both."""
    rows = [[_reported(paper, s, metric, corpus) for metric in metrics] for s in dict.fromkeys(pair)]
    known = [[number for number in row if number is not None] for row in rows]
    if not metrics or any(len(row) < len(metrics) for row in known):
        return PrintedDifference()
    decimals = max(_decimals(paper, number) for number in known[0])
    return PrintedDifference(tuple(sum(number.value for number in row) for row in known), decimals)


def _decimals(paper: Paper, number: PrintedNumber) -> int:
    tables = (t for t in paper.tables if t.printed == number.table and number.metric in t.columns)
    declared = (paper.quantity(table, number.metric) for table in tables)
    return next(quantity.decimals for quantity in declared if quantity is not None)


def _reported(paper: Paper, system: str, metric: str, corpus: str) -> PrintedNumber | None:
    rows = {(t.printed, r.label, r.setting) for t in paper.tables for r in t.rows if r.system == system}
    found = (n for n in paper.reported if (n.metric, n.corpus) == (metric, corpus))
    return next((n for n in found if (n.table, n.label, n.setting) in rows), None)


def _sentence(question: Question, label: str, lines: tuple[AnswerLine, ...]) -> str:
    """What the differences of one column say: those above zero, below, not told apart, not measured."""
    mine = [line for line in lines if line.column.label == label]
    measured = [line for line in mine if line.contrast.effect]
    parts = []
    for side, said in ((1, question.above), (-1, question.below), (0, UNDECIDED)):
        found = [f"{line.who} {line.said}" for line in measured if line.side == side]
        parts += [f"{said}: {'; '.join(found)}."] if found else []
    lacking = [line.who for line in mine if not line.contrast.effect]
    shown = next((line.label for line in measured), label)
    if not parts:
        return f"{label}: not measured."
    parts += [ONE_SEED] if any(line.of_two_runs for line in measured) else []
    parts += [f"Not measured: {', '.join(lacking)}."] if lacking else []
    return f"{shown}. {' '.join(parts)}"


def rows_of(found: Answered) -> Iterator[dict[str, object]]:
    """The answer as rows: one per difference."""
    for part in found.papers:
        for group in part.groups:
            origin, tier, paper, corpus = group.setting
            about = {"origin": origin, "tier": tier, "paper": paper, "corpus": corpus}
            for line in group.lines:
                yield about | _row(line)


def _row(line: AnswerLine) -> dict[str, object]:
    d = line.contrast.difference
    return {
        "systems": line.who,
        "column": line.column.label,
        "first": line.first.number,
        "second": line.second.number,
        "samples": line.samples,
        "estimators": line.contrast.estimator,
        "printed": str(line.printed),
        "difference": d.mean if d else None,
        "low": d.low if d else None,
        "high": d.high if d else None,
        "unit": line.contrast.unit,
        "seeds": line.contrast.seeds,
        "texts": d.texts if d else None,
        "reason": line.contrast.reason,
        "files": line.contrast.files,
    }
